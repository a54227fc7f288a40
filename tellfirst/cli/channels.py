"""`channels`: through what each channel leaves, how fast, what has halted it, and when it may reach a customer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, get_args

import typer

from tellfirst.channels.base import Idempotency
from tellfirst.cli.instants import read_instant
from tellfirst.cli.output import Json, print_json, print_table, say, when
from tellfirst.cli.steer import By
from tellfirst.cli.wiring import opened, whoever
from tellfirst.domain.message import Channel
from tellfirst.errors import InputError, NotFoundError
from tellfirst.policy.consent import PURPOSES, may_contact
from tellfirst.policy.hours import opening
from tellfirst.policy.quiet import HoursTable, Timing, calendar_for
from tellfirst.policy.zones import zones_of
from tellfirst.settings import Settings
from tellfirst.store.customers import Customer
from tellfirst.store.rates import Rate
from tellfirst.store.whereabouts import NUMBERS

channels = typer.Typer(help="How messages leave.", no_args_is_help=True)

# Their adapters say so themselves; loading them all would make every command slow.
IDEMPOTENCY: Mapping[str, Idempotency] = {
    "outbox": "key",
    "twilio": "lookup",
    "smtp": "none",
    "sendgrid": "none",
    "resend": "key",
    "fcm": "none",
    "inbox": "key",
    "calls": "key",
}
DOUBT: Mapping[Idempotency, str] = {"key": "repeated by key", "lookup": "looked up", "none": "held"}
"""What becomes of a message when nobody knows whether the provider took it."""
SOURCES: Mapping[str, str] = {
    "customer": "they said so",
    "imported": "imported",
    "region": "by their region",
    "phone": "guessed by their number",
    "default": "TELLFIRST_DEFAULT_ZONE",
}
UNLIMITED = ("none", "default")

Name = Annotated[str, typer.Argument(metavar="CHANNEL", help="Such as sms.")]


@channels.command("list")
def list_channels(as_json: Annotated[bool, Json] = False) -> None:
    """List the channels and what holds on each.

    The provider, what happens in doubt, how much leaves in a second, and what is halted.
    """
    settings = Settings.load()
    with opened(settings) as here:
        halts = {c.name.removeprefix("channel:"): c for c in here.controls.on() if c.name.startswith("channel:")}
        rates = here.rates.all()
    found = [
        {
            "channel": channel,
            "provider": provider,
            "idempotency": IDEMPOTENCY[provider],
            "rate": rates.get(channel, Rate()).per_second,
            "halted": halt.value if (halt := halts.get(channel)) else None,
            "since": halt.at.isoformat() if halt else None,
        }
        for channel, provider in settings.providers.items()
    ]
    if as_json:
        print_json({"channels": found})
        return
    print_table(
        ("channel", "through", "in doubt", "rate", "halted"),
        [
            (
                one["channel"],
                one["provider"],
                DOUBT[IDEMPOTENCY[str(one["provider"])]],
                _told(str(one["channel"]), rates.get(str(one["channel"]), Rate())),
                f"{halt.value} since {when(halt.at)}" if (halt := halts.get(str(one["channel"]))) else "-",
            )
            for one in found
        ],
    )


@channels.command()
def rate(
    channel: Name,
    per_second: Annotated[
        str, typer.Argument(metavar="RATE", help="So many a second, `none` for no limit, or `default`.")
    ],
    by: By = "",
) -> None:
    """Set how much leaves on a channel in a second.

    It counts for all processes together.
    Counted are the segments of texts and, on other channels, messages. It holds at once; nothing is started again.
    """
    settings = Settings.load()
    known = _known(channel)
    wanted = _read(per_second)
    with opened(settings) as here:
        here.rates.change(known, wanted, by=whoever(by, settings), at=datetime.now(UTC))
        say(f"{known}: {_told(known, here.rates.of(known))}, at once")


@channels.command()
def resume(channel: Name, by: By = "") -> None:
    """Lift the halt of a channel.

    Do so when what was wrong with its settings is mended.
    Outreaches that stopped for it go on when each is resumed.
    """
    settings = Settings.load()
    known = _known(channel)
    who = whoever(by, settings)
    with opened(settings) as here:
        was_on = here.controls.turn_off(f"channel:{known}", by=who, at=datetime.now(UTC))
    if not was_on:
        say(f"{known} was not halted")
        return
    say(f"{known} is no longer halted; `tellfirst stuck` lists what `tellfirst resume OUTREACH` lets go on")


@channels.command("when")
def may_reach(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The id of a customer.")],
    at: Annotated[str, typer.Option("--at", metavar="ISO8601", help="As of then; default now.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Tell when a customer may be reached.

    On each channel, with the zones they may be in, and what tells so.
    That is by their addresses, consent, region, business hours and own wishes; a playbook may wait for more or less.
    """
    settings = Settings.load()
    instant = read_instant(at, "--at") if at else datetime.now(UTC)
    table = HoursTable.load(settings.hours)
    with opened(settings) as here:
        found = here.customers.resolve([customer]).get(customer)
    if found is None:
        raise NotFoundError("there is no customer of that id", where=customer, remedy="import them first")
    where = zones_of(
        stated=found.preference.timezone,
        imported=found.timezone,
        region=found.region,
        phone=next((found.addresses[c].address for c in NUMBERS if c in found.addresses), None),
        default=settings.default_zone,
    )
    opens: dict[str, datetime | None] = {}
    for channel in get_args(Channel):
        calendar = calendar_for(
            table, Timing(), channel=channel, zones=where, business=found.business, quiet=found.preference.quiet
        )
        opens[channel] = opening(calendar, instant)
    barred = {channel: why for channel in opens if (why := _barred(found, channel))}
    if as_json:
        print_json(
            {
                "customer": customer,
                "zones": where.names,
                "source": where.source or None,
                "region": where.region or None,
                "opens": {channel: None if hour is None else hour.isoformat() for channel, hour in opens.items()},
                "barred": barred,
            }
        )
        return
    say(f"zones   {', '.join(where.names) or 'unknown'}{f' ({SOURCES[where.source]})' if where.source else ''}")
    say(f"hours   {f'of {where.region}' if where.region else 'of everywhere'}")
    say("")
    print_table(
        ("channel", "may reach them"),
        [
            (c, barred.get(c) or ("now" if hour == instant else when(hour) if hour else "never"))
            for c, hour in opens.items()
        ],
    )


def _barred(customer: Customer, channel: str) -> str:
    """Returns why nothing reaches a customer on a channel at any hour; empty where something may."""
    address = customer.addresses.get(channel)
    if address is None or not address.usable:
        return "no address" if address is None else "the address does not work"
    return "" if any(may_contact(customer.consents, channel, one) for one in PURPOSES) else "opted out"


def _known(channel: str) -> Channel:
    for known in get_args(Channel):
        if channel == known:
            return known  # type: ignore[no-any-return]
    raise InputError("there is no such channel", where=channel, remedy=f"one of {', '.join(get_args(Channel))}")


def _read(text: str) -> float | None:
    if text in UNLIMITED:
        return 0.0 if text == "none" else None
    try:
        wanted = float(text)
    except ValueError:
        wanted = 0.0
    if not 0.01 <= wanted <= 100_000:
        raise InputError(
            "a rate is a number from 0.01 to 100000",
            where=text,
            remedy="or `none` for no limit, `default` for the settings'; `tellfirst pause --all` stops everything",
        )
    return wanted


def _told(channel: str, rate: Rate) -> str:
    if rate.per_second is None:
        return "no limit"
    return f"{rate.per_second:g} {'segments' if channel == 'sms' else 'messages'} a second"
