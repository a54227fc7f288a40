"""The file that says under which ContentSid Twilio keeps the words of each template."""

import re
import tomllib
from pathlib import Path

from tellfirst.errors import SettingsError

_CONTENT_SID = re.compile(r"HX[0-9a-fA-F]{32}")


def read_templates(path: Path | None) -> dict[str, str]:
    """Returns the ContentSid of each template by its name; raises SettingsError for a file that is not one of these."""
    if path is None:
        return {}
    try:
        templates = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"cannot be read ({type(error).__name__})", where=str(path), remedy='write lines such as name = "HX…"'
        ) from None
    for name, sid in templates.items():
        if not isinstance(sid, str) or not _CONTENT_SID.fullmatch(sid):
            raise SettingsError(
                f"the ContentSid of '{name}' is not one", where=str(path), remedy="it is HX and 32 hexadecimal digits"
            )
    return templates
