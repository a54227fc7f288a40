"""What a call says and which keys it understands, in Twilio's markup."""

from twilio.twiml.voice_response import VoiceResponse

from tellfirst.playbooks.spoken import Spoken

REPEAT, HUMAN, STOP = "1", "0", "9"
PATIENCE = 8
"""Seconds that a call waits for a key after it has said everything."""


def message(text: str, says: Spoken, *, action: str) -> str:
    """Returns a call that says `text`, which may be empty, and what the keys do; a key is reported to `action`."""
    call = VoiceResponse()
    keys = call.gather(action=action, method="POST", input="dtmf", num_digits=1, timeout=PATIENCE)
    for sentence in filter(None, (text, says.repeat, says.human, says.stop)):
        keys.say(sentence, language=says.voice)
    call.say(says.goodbye, language=says.voice)
    return str(call)


def connect(says: Spoken, *, number: str, caller: str, action: str) -> str:
    """Returns a call that goes on with somebody at `number`, who sees `caller`; how that ended is told to `action`."""
    call = VoiceResponse()
    call.say(says.connecting, language=says.voice)
    call.dial(number, caller_id=caller, action=action, method="POST")
    return str(call)


def farewell(sentence: str, says: Spoken) -> str:
    """Returns a call that says one thing, or nothing, and ends."""
    call = VoiceResponse()
    if sentence:
        call.say(sentence, language=says.voice)
    call.hangup()
    return str(call)
