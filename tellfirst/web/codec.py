"""`python -m tellfirst.web.codec`: decrypts payloads for the Temporal UI, on this machine alone or by a token."""

import hashlib
import hmac
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from temporalio.api.common.v1 import Payload, Payloads

from tellfirst.encryption import SETTING, Encryption, read_keys
from tellfirst.errors import SettingsError, TellfirstError
from tellfirst.settings import Settings
from tellfirst.web.bodies import JSON, read_body

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
UI = ("http://localhost:8233", "http://127.0.0.1:8233")
"""Where the UI of the dev server and of the compose file stands."""
LIMIT = 8_388_608
"""The limit of a body in bytes: Temporal's own messages are 4 MB, and base64 adds a third."""


def create_codec(settings: Settings) -> FastAPI:
    """Returns the codec server; raises SettingsError without keys, or where others could reach it without a token."""
    token = settings.codec_token.get_secret_value()
    if settings.payload_keys is None:
        raise SettingsError("there is nothing to decrypt with", where=SETTING, remedy="give the file of keys")
    if not token and not _is_local(settings.codec_host):
        raise SettingsError(
            "whoever reaches the codec server reads everything",
            where="TELLFIRST_CODEC_HOST",
            remedy="listen on 127.0.0.1, or set TELLFIRST_CODEC_TOKEN",
        )
    codec = Encryption(read_keys(settings.payload_keys))
    app = FastAPI(title="Tellfirst codec", docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/decode")
    async def decode(request: Request) -> Response:
        return await _answer(request, codec.decode)

    @app.post("/encode")
    async def encode(request: Request) -> Response:
        return await _answer(request, codec.encode)

    async def _answer(request: Request, convert: Callable[[Sequence[Payload]], Awaitable[list[Payload]]]) -> Response:
        if token and not _knows(request, token):
            raise HTTPException(401, "the token is missing or wrong", headers={"WWW-Authenticate": "Bearer"})
        body = await read_body(request, JSON, limit=LIMIT)
        try:
            payloads = Parse(body, Payloads()).payloads
            converted = await convert(payloads)
        except (ParseError, ValueError, RecursionError):
            raise HTTPException(400, "the body is no JSON of Temporal's Payloads") from None
        except TellfirstError as error:
            raise HTTPException(400, str(error)) from None
        return Response(MessageToJson(Payloads(payloads=converted), indent=None), media_type=JSON)

    if not token:
        # A page elsewhere can give its own name our address and then read what its visitor's browser gets from us.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOCAL_NAMES, www_redirect=False)
    # The outermost: browsers ask beforehand without a token. Other origins are refused, and never told a thing.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=_origins(settings.temporal_ui),
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "x-namespace"],
        allow_private_network=True,
    )
    return app


def main() -> int:
    """Returns the exit code of the process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = Settings.load()
        app = create_codec(settings)
    except TellfirstError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: None)
    config = uvicorn.Config(
        app,
        host=settings.codec_host,
        port=settings.codec_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run()
    return 0


def _origins(ui: str) -> Sequence[str]:
    if not ui:
        return UI
    address = urlsplit(ui)
    return (f"{address.scheme}://{address.netloc}",)


def _knows(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    digests = (hashlib.sha256(one.encode()).digest() for one in (given.strip(), token))
    return scheme.lower() == "bearer" and hmac.compare_digest(*digests)


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main())
