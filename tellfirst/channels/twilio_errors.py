"""What Twilio's refusals mean for the next step.

Source: Twilio's error dictionary. Twilio declares its codes subject to change, so a code that is not listed is never
repeated by the machine: the send fails, its code is recorded, the address stays, and a person looks at it.
"""

from tellfirst.domain.message import AnswerKind

ERRORS: dict[int, AnswerKind] = {
    # The recipient said STOP to this sender; only START on the handset undoes it.
    21610: AnswerKind.OPTED_OUT,
    # The address will not work on this channel: not a number, no such handset, not reachable by text, not on WhatsApp.
    21202: AnswerKind.PERMANENT,
    21211: AnswerKind.PERMANENT,
    21214: AnswerKind.PERMANENT,
    21217: AnswerKind.PERMANENT,
    21612: AnswerKind.PERMANENT,
    21614: AnswerKind.PERMANENT,
    21635: AnswerKind.PERMANENT,
    30005: AnswerKind.PERMANENT,
    30006: AnswerKind.PERMANENT,
    63003: AnswerKind.PERMANENT,
    63024: AnswerKind.PERMANENT,
    # Tried and lost on the way, perhaps passing: this send ends here, the address stays.
    30003: AnswerKind.UNREACHED,
    30008: AnswerKind.UNREACHED,
    63032: AnswerKind.UNREACHED,
    # Capacity: never processed, or dropped from the queue before it left.
    20429: AnswerKind.NOT_SENT,
    21611: AnswerKind.NOT_SENT,
    30001: AnswerKind.NOT_SENT,
    30022: AnswerKind.NOT_SENT,
    63017: AnswerKind.NOT_SENT,
    63018: AnswerKind.NOT_SENT,
    # Our own validity period ran out in the queue; the gate decides whether it still makes sense.
    30036: AnswerKind.NOT_SENT,
    # Quiet hours that the carrier or the provider's toolkit keeps: neither queued nor sent.
    30047: AnswerKind.QUIET_HOURS,
    30610: AnswerKind.QUIET_HOURS,
    # The text or the sender is blocked: the next recipient would get the same answer.
    21602: AnswerKind.POLICY_BLOCK,
    21617: AnswerKind.POLICY_BLOCK,
    21656: AnswerKind.POLICY_BLOCK,
    30004: AnswerKind.POLICY_BLOCK,
    30007: AnswerKind.POLICY_BLOCK,
    30034: AnswerKind.POLICY_BLOCK,
    63005: AnswerKind.POLICY_BLOCK,
    63013: AnswerKind.POLICY_BLOCK,
    63016: AnswerKind.POLICY_BLOCK,
    63021: AnswerKind.POLICY_BLOCK,
    63028: AnswerKind.POLICY_BLOCK,
    # Our account, credentials, sender or settings: no recipient may be used up on it.
    20003: AnswerKind.CONFIGURATION,
    20404: AnswerKind.CONFIGURATION,
    21203: AnswerKind.CONFIGURATION,
    21205: AnswerKind.CONFIGURATION,
    21210: AnswerKind.CONFIGURATION,
    21212: AnswerKind.CONFIGURATION,
    21213: AnswerKind.CONFIGURATION,
    21215: AnswerKind.CONFIGURATION,
    21219: AnswerKind.CONFIGURATION,
    21408: AnswerKind.CONFIGURATION,
    21603: AnswerKind.CONFIGURATION,
    21606: AnswerKind.CONFIGURATION,
    21608: AnswerKind.CONFIGURATION,
    21609: AnswerKind.CONFIGURATION,
    21703: AnswerKind.CONFIGURATION,
    21704: AnswerKind.CONFIGURATION,
    30002: AnswerKind.CONFIGURATION,
    63001: AnswerKind.CONFIGURATION,
    63007: AnswerKind.CONFIGURATION,
    63020: AnswerKind.CONFIGURATION,
    63027: AnswerKind.CONFIGURATION,
}


def classify(status: int, code: int) -> tuple[AnswerKind, str]:
    """Returns what an HTTP answer other than 2xx means, and its detail; `code` is 0 when the answer has none."""
    detail = str(code) if code else f"http_{status}"
    # A server that failed, or a gateway that gave up waiting for one, may have accepted the message first.
    if status >= 500 or status == 408:
        return AnswerKind.AMBIGUOUS, detail
    if status == 429:
        return AnswerKind.NOT_SENT, detail
    if code in ERRORS:
        return ERRORS[code], detail
    if status in (401, 403, 404) or status < 400:  # a redirect is never followed: the base address is wrong
        return AnswerKind.CONFIGURATION, detail
    return AnswerKind.UNREACHED, f"unknown code {detail}"
