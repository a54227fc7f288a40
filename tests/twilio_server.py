"""The state of the local provider: messages, calls, faults, counts, and the wire form of Twilio's two resources."""

import asyncio
import base64
import binascii
import json
import random
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.http_connection import Connection
from tests.resend_server import PATH, Mails
from tests.twilio_callbacks import Callbacks

ACCOUNT_SID = "AC" + "0" * 31 + "1"
AUTH_TOKEN = "local-provider-token"  # of this stand-in only
SERVICE_SID = "MG" + "0" * 31 + "2"

MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages"
CALLS = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls"
MODES = {
    "rate_limit": "429 with Retry-After (retry_after), nothing accepted",
    "error_before": "HTTP 500 (http_status), nothing accepted",
    "error_after": "accepted, then HTTP 503 (http_status)",
    "reset_before": "connection reset, nothing accepted",
    "reset_after": "accepted, then connection reset",
    "slow": "accepted, answered after `ms` milliseconds",
    "truncated": "accepted, the answer cut in the middle",
    "garbage": "accepted, HTTP 200 (http_status) with a body that is no JSON",
    "empty": "accepted, HTTP 201 with the body {}",
    "refuse": "error `code` with HTTP 400 (http_status), nothing accepted",
    "born_dead": "recorded with `status` and error `code`, HTTP 201, nothing accepted",
    "hold": "accepted, answered when released",
}
COUNTS = ("requests", "accepted", "lookups", "in_flight", "max_in_flight", "told", "refused")
Json = dict[str, Any]


class Server:
    """Is the provider's state: messages, calls, registered contents, faults, counts."""

    def __init__(self, log: Path, delay: float, seed: int) -> None:
        self.log = log.open("a+", buffering=1)
        self.delay, self.random = delay, random.Random(seed)
        self.forget()
        self.log.seek(0)
        for line in self.log:
            self.remember(json.loads(line))

    def forget(self) -> None:
        self.contents: dict[str, str] = {}
        self.by_sid: dict[str, Json] = {}
        self.by_to: defaultdict[str, list[Json]] = defaultdict(list)
        self.faults: list[Json] = []
        self.held: list[Callable[[], None]] = []
        self.waiting: list[tuple[Json, Connection]] = []
        self.callbacks: Callbacks | None = None
        self.counts = dict.fromkeys(COUNTS, 0)
        self.mails = Mails(self.keep, self.counts)

    def remember(self, record: Json) -> Json:
        if record["sid"].startswith("RE"):
            self.mails.remember(record)
        resource = _call(record) if record["sid"].startswith("CA") else _message(record)
        self.by_sid[record["sid"]] = resource
        self.by_to[record["to"]].append(resource)
        return resource

    def handle(self, on: Connection, method: str, target: str, headers: Mapping[str, str], body: str) -> None:
        path, _, query = target.partition("?")
        if path.startswith("/control/"):
            self.control(on, path.removeprefix("/control/"), json.loads(body or "{}"))
        elif method == "POST" and path == PATH:
            self.mails.create(on, headers, body)
            self.changed()
        elif not self.authorised(headers.get("authorization", "")):
            self.counts["requests"] += method == "POST"
            on.answer(401, _error(20003, 401))
        elif method == "POST" and path in (f"{MESSAGES}.json", f"{CALLS}.json"):
            self.create(on, _form(body), call=path == f"{CALLS}.json")
        elif method == "GET" and path in (f"{MESSAGES}.json", f"{CALLS}.json"):
            self.counts["lookups"] += 1
            on.answer(200, json.dumps(self.listed(dict(parse_qsl(query)), path.removesuffix(".json"))))
        elif method == "GET" and (resource := self.by_sid.get(path.rpartition("/")[2].removesuffix(".json"))):
            on.answer(200, json.dumps(resource))
        else:
            self.counts["requests"] += method == "POST"
            on.answer(404, _error(20404, 404))

    def authorised(self, header: str) -> bool:
        try:
            return base64.b64decode(header.removeprefix("Basic ")) == f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()
        except binascii.Error:
            return False

    def listed(self, query: Mapping[str, str], resource: str) -> Json:
        found = self.by_to.get(query["To"], []) if "To" in query else list(self.by_sid.values())
        found = [one for one in found if one["uri"].startswith(resource)]
        # A message in the queue was sent at no time yet, so a filter by that time does not see it.
        found = [] if any(name.startswith("DateSent") for name in query) else found[::-1]
        if "From" in query:
            found = [message for message in found if message["from"] == query["From"]]
        page, size = int(query.get("Page", 0)), min(int(query.get("PageSize", 50)), 1000)
        more = {**query, "Page": str(page + 1)} if len(found) > (page + 1) * size else None
        return {
            resource.rpartition("/")[2].lower(): found[page * size : (page + 1) * size],
            "page": page,
            "page_size": size,
            "next_page_uri": f"{resource}.json?{urlencode(more)}" if more else None,
            "uri": f"{resource}.json",
        }

    def create(self, on: Connection, form: Json, *, call: bool) -> None:
        counts = self.counts  # after a reset, a late answer still settles the counts it began with
        counts["requests"] += 1
        counts["in_flight"] += 1
        counts["max_in_flight"] = max(counts["max_in_flight"], counts["in_flight"])

        def finish(how: Callable[[], None]) -> None:
            counts["in_flight"] -= 1
            how()
            self.changed()

        fault = self.fault(form.get("To", ""))
        mode = fault.get("mode", "")
        wrong = _invalid_call(form) if call else _invalid(form)
        if wrong or mode in ("rate_limit", "error_before", "refuse"):
            default = {"rate_limit": (20429, 429), "error_before": (0, 500)}.get(mode, (0, 400))
            code, status = (
                (wrong, 400) if wrong else (fault.get("code", default[0]), fault.get("http_status", default[1]))
            )
            return finish(lambda: on.answer(status, _error(code, status), retry_after=fault.get("retry_after")))
        if mode == "reset_before":
            return finish(on.reset)
        message = self.accept(form, fault if mode == "born_dead" else {}, call=call)
        text = json.dumps(message)

        def answer() -> None:
            if mode == "reset_after":
                finish(on.reset)
            elif mode == "error_after":
                status = fault.get("http_status", 503)
                finish(lambda: on.answer(status, _error(20503, status)))
            elif mode == "garbage":
                finish(lambda: on.answer(fault.get("http_status", 200), "<html>welcome</html>"))
            elif mode == "empty":
                finish(lambda: on.answer(201, "{}"))
            else:
                finish(lambda: on.answer(201, text, cut=mode == "truncated"))

        if mode == "hold":
            self.held.append(answer)
            self.changed()
        elif pause := fault["ms"] / 1000 if mode == "slow" else self.delay:
            asyncio.get_running_loop().call_later(pause, answer)
        else:
            answer()
        return None

    def accept(self, form: Json, dead: Json, *, call: bool) -> Json:
        record = {
            "sid": ("CA" if call else "SM") + secrets.token_hex(16),
            "to": form["To"],
            "body": form["Twiml"] if call else form.get("Body") or self.filled(form),
            "at": time.time(),
            "status_callback": form.get("StatusCallback"),
            "form": form,
        }
        if dead:
            return self.remember({**record, "status": dead.get("status", "failed"), "error_code": dead.get("code")})
        resource = self.keep(record)
        if self.callbacks is not None and record["status_callback"] and not call:
            self.callbacks.promise(record)
        return resource

    def keep(self, record: Json) -> Json:
        """Writes down what is accepted, before anybody hears of it."""
        self.log.write(json.dumps(record) + "\n")
        self.counts["accepted"] += 1
        return self.remember(record)

    def filled(self, form: Json) -> str:
        """Returns what is read: the registered words with the values of the form in their places."""
        values = json.loads(form.get("ContentVariables", "{}"))
        return re.sub(
            r"\{\{(\d+)\}\}", lambda place: values.get(place[1], ""), self.contents.get(form["ContentSid"], "")
        )

    def fault(self, to: str) -> Json:
        for fault in self.faults:
            if not to.endswith(fault.get("to_suffix", "")) or self.random.random() >= fault.get("probability", 1):
                continue
            if fault.get("times") is not None:
                fault["times"] -= 1
                if not fault["times"]:
                    self.faults.remove(fault)
            self.counts[fault["mode"]] = self.counts.get(fault["mode"], 0) + 1
            return fault
        return {}

    def control(self, on: Connection, what: str, wish: Json) -> None:
        match what:
            case "fault" if wish.get("mode") in MODES:
                self.faults.append(wish)
            case "content":
                self.contents |= wish
            case "callbacks":
                self.callbacks = Callbacks(ACCOUNT_SID, AUTH_TOKEN, self.counts, self.changed, **wish)
            case "clear":
                self.faults.clear()
            case "release":
                held, self.held = self.held, []
                for answer in held:
                    answer()
            case "reset":
                self.forget()
                self.log.truncate(0)
            case "wait":
                self.waiting.append((wish, on))
                return self.changed()
            case "stats":
                pass
            case _:
                return on.answer(400, json.dumps({"error": "unknown control or mode", "modes": MODES}))
        return on.answer(200, json.dumps(self.stats()))

    def stats(self) -> Json:
        return {**self.counts, "held": len(self.held)}

    def changed(self) -> None:
        if not self.waiting:
            return
        stats, waiting = self.stats(), self.waiting
        self.waiting = []
        for wish, on in waiting:
            if all(stats.get(name, 0) >= least for name, least in wish.items()):
                on.answer(200, json.dumps(stats))
            else:
                self.waiting.append((wish, on))


def _message(record: Json) -> Json:
    service = record["form"].get("MessagingServiceSid")
    return {
        "sid": record["sid"],
        "account_sid": ACCOUNT_SID,
        "to": record["to"],
        "from": record["form"].get("From"),
        "messaging_service_sid": service,
        "body": record["body"],
        "status": record.get("status", "accepted" if service else "queued"),
        "error_code": record.get("error_code"),
        "error_message": None,
        "direction": "outbound-api",
        "num_segments": "0" if service else "1",
        "num_media": "0",
        "date_created": formatdate(record["at"], usegmt=False),
        "date_updated": formatdate(record["at"], usegmt=False),
        "date_sent": None,
        "price": None,
        "price_unit": "USD",
        "api_version": "2010-04-01",
        "uri": f"{MESSAGES}/{record['sid']}.json",
        "subresource_uris": {},
    }


def _call(record: Json) -> Json:
    return {
        "sid": record["sid"],
        "account_sid": ACCOUNT_SID,
        "to": record["to"],
        "from": record["form"].get("From"),
        "status": record.get("status", "queued"),
        "direction": "outbound-api",
        "date_created": formatdate(record["at"], usegmt=False),
        "date_updated": formatdate(record["at"], usegmt=False),
        "start_time": None,
        "api_version": "2010-04-01",
        "uri": f"{CALLS}/{record['sid']}.json",
        "subresource_uris": {},
    }


def _error(code: int, status: int) -> str:
    payload = {"message": "refused by the local provider", "more_info": "", "status": status}
    return json.dumps(payload | ({"code": code} if code else {}))


def _form(body: str) -> Json:
    form: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in parse_qsl(body, keep_blank_values=True):
        form[name].append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in form.items()}


def _invalid_call(form: Mapping[str, str]) -> int:
    if not form.get("To"):
        return 21201
    if not re.fullmatch(r"\+[1-9]\d{6,14}", form["To"]):
        return 21211
    if not form.get("Twiml") or len(form["Twiml"]) > 4000:
        return 21205
    return 0 if form.get("From") else 21213


def _invalid(form: Mapping[str, str]) -> int:
    if not form.get("To"):
        return 21604
    if not re.fullmatch(r"(whatsapp:)?\+[1-9]\d{6,14}", form["To"]):
        return 21211
    if not (form.get("Body") or form.get("ContentSid")):
        return 21602
    if len(form.get("Body", "")) > 1600:
        return 21617
    if form["To"].startswith("whatsapp:") and not form.get("ContentSid"):
        return 63016  # nobody here has written in the last 24 hours
    try:
        values = json.loads(form.get("ContentVariables", "{}"))
    except ValueError:
        return 21656
    if not all(isinstance(v, str) and v and not re.search(r"[\n\t]| {5}", v) for v in values.values()):
        return 21656
    return 0 if form.get("From") or form.get("MessagingServiceSid") else 21603


async def serve(port: int, log: Path, delay: float, seed: int) -> None:
    """Serves until the process is ended; prints `ready PORT` once it listens."""
    server = Server(log, delay, seed)
    listening = await asyncio.get_running_loop().create_server(
        lambda: Connection(server.handle), "127.0.0.1", port, backlog=512
    )
    print("ready", listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()
