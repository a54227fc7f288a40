"""Resend's form of the local provider: a second request with the key of the first is answered as that one was."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.http_connection import Connection

PATH, API_KEY = "/emails", "re_local"  # of this stand-in only
Json = dict[str, Any]


class Mails:
    """Knows mails by their keys; `keep` writes down what is accepted, and `repeated` counts what was asked again."""

    def __init__(self, keep: Callable[[Json], object], counts: Json) -> None:
        self._keep, self._counts = keep, counts
        self._by_key: dict[str, Json] = {}

    def remember(self, record: Json) -> None:
        """Takes in a mail that was accepted."""
        self._by_key[record["key"]] = record

    def create(self, on: Connection, headers: Mapping[str, str], body: str) -> None:
        """Accepts a mail, or answers what its key was answered before."""
        self._counts["requests"] += 1
        if headers.get("authorization") != f"Bearer {API_KEY}":
            return on.answer(401, _problem(401, "invalid_api_key"))
        key, mail = headers["idempotency-key"], json.loads(body)
        if key in self._by_key:
            self._counts["repeated"] = self._counts.get("repeated", 0) + 1
        else:
            # The key is our id of the send; logs name it as the address of a status callback would.
            named = {"sid": f"RE{key}", "key": key, "status_callback": f"resend:?d={key}"}
            self._keep({**named, "to": mail["to"][0], "body": mail["text"], "at": time.time(), "form": mail})
        if self._by_key[key]["form"] != mail:
            return on.answer(409, _problem(409, "invalid_idempotent_request"))
        return on.answer(200, json.dumps({"id": self._by_key[key]["sid"]}))


def _problem(status: int, name: str) -> str:
    return json.dumps({"statusCode": status, "name": name, "message": "refused by the local provider"})
