"""What push messages leave through, as the settings say."""

import json

from tellfirst.channels import push as fcm
from tellfirst.channels.base import Adapter
from tellfirst.channels.push import FcmPush
from tellfirst.errors import SettingsError
from tellfirst.settings import Settings


def push(settings: Settings) -> Adapter:
    """Returns what sends push messages."""
    path = settings.fcm_credentials
    if path is None:
        raise SettingsError(
            "push messages need the key of a service account",
            where="TELLFIRST_PUSH=fcm",
            remedy="set TELLFIRST_FCM_CREDENTIALS to its JSON file",
        )
    try:
        account = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"it cannot be read ({type(error).__name__})", where=str(path), remedy="check TELLFIRST_FCM_CREDENTIALS"
        ) from None
    if not isinstance(account, dict):
        raise SettingsError("it is no key of a service account", where=str(path), remedy="download it again as JSON")
    return FcmPush(
        account,
        base_url=settings.fcm_api_base or fcm.API,
        link=settings.push_link,
        timeout=settings.provider_timeout,
        in_flight=settings.provider_in_flight,
    )
