"""The pages that customers open from their messages: plain HTML, the same without scripts, in their own language."""

import base64
import hashlib
import tomllib
from pathlib import Path

from fastapi.responses import HTMLResponse
from liquid import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import Field

from tellfirst.domain.base import Outside

FOLDER = Path(__file__).parent
FALLBACK = "en"
Section = dict[str, str]


def page_headers(style: str) -> dict[str, str]:
    """Returns the headers of a page that has this style and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow",
    }


class Texts(Outside):
    """Is what stands on the pages in one language; `by` names channels as the way a message comes by."""

    name: str
    channels: Section
    by: Section
    purposes: Section
    unsubscribe: Section
    preferences: Section
    survey: Section
    gone: Section
    human: Section = Field(min_length=2)


class Pages:
    """Makes pages; `human` tells how a customer reaches a person."""

    def __init__(self, *, human: str) -> None:
        self._human, self._style = human, Markup((FOLDER / "page.css").read_text(encoding="utf-8"))  # noqa: S704
        self._templates = Environment(loader=FileSystemLoader(FOLDER), undefined=StrictUndefined, autoescape=True)
        self.texts = {
            path.stem: Texts.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
            for path in sorted(FOLDER.glob("*.toml"))
        }
        self._headers = page_headers(self._style)

    def locale(self, *wanted: str | None) -> str:
        """Returns the first language that there are texts in, also for a part of the world (`de-AT`)."""
        found = (one.replace("_", "-").partition("-")[0].lower() for one in wanted if one)
        return next((one for one in found if one in self.texts), FALLBACK)

    def show(self, name: str, locale: str, *, title: str, status: int = 200, **values: object) -> HTMLResponse:
        """Returns a page; whatever is in `values` is text and never markup."""
        text = self.texts[locale].model_dump()
        content = self._templates.get_template(f"{name}.html").render(text=text, locale=locale, **values)
        page = self._templates.get_template("frame.html").render(
            content=Markup(content),  # noqa: S704 - it was escaped as it was made
            text=text,
            locale=locale,
            title=title,
            style=self._style,
            human=self._human,
        )
        return HTMLResponse(page, status_code=status, headers=self._headers)
