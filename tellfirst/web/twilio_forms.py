"""Forms that Twilio posts: read with their blank fields, and refused when Twilio did not sign them."""

import hmac
from collections.abc import Mapping

from fastapi import HTTPException, Request
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator

from tellfirst.web.bodies import FORM, read_body, read_form
from tellfirst.web.openapi import described

FORMS = described(dict[str, str], FORM, headers=("X-Twilio-Signature",))
"""What is published of such a form; its fields are Twilio's."""


class _Fields(dict[str, list[str]]):
    """Is a form as the validator asks for it first; anything else costs it two exceptions a field."""

    getall = dict.__getitem__


class TwilioForms:
    """Reads signed forms; `public_url` is the address that Twilio knows us by."""

    def __init__(self, public_url: str, auth_token: str) -> None:
        self._base, self._known = public_url.rstrip("/"), bool(public_url and auth_token)
        self._validator = RequestValidator(auth_token)

    def address(self, path: str, query: str = "") -> str:
        """Returns the public address of a path of ours."""
        return self._base + path + (f"?{query}" if query else "")

    def fits(self, url: str, fields: Mapping[str, list[str]], signature: str) -> bool:
        """Returns whether Twilio signed these fields for exactly this address; `read` knows its other spellings too."""
        signed = self._known and self._validator.compute_signature(url, _Fields(fields))
        return bool(signed) and hmac.compare_digest(str(signed).encode(), signature.encode())

    async def read(self, request: Request, path: str) -> ImmutableMultiDict[str, str]:
        """Returns the form that was posted to `path`; raises 403 for one that is not signed, 503 without settings."""
        if not self._known:
            raise HTTPException(503, "Twilio needs TELLFIRST_PUBLIC_URL and TWILIO_AUTH_TOKEN; see docs/channels.md")
        form = read_form(await read_body(request, FORM))
        # What Twilio signed is the public address, and not the one a proxy made of it; the query as it was written.
        url = self.address(path, request.scope["query_string"].decode("latin-1"))
        if not self._validator.validate(url, form, request.headers.get("X-Twilio-Signature", "")):
            raise HTTPException(403, "the signature does not fit; check TELLFIRST_PUBLIC_URL and TWILIO_AUTH_TOKEN")
        return form
