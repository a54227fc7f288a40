"""Text messages through Twilio's official SDK."""

from tellfirst.channels.twilio_messages import TwilioMessages
from tellfirst.domain.message import Outbound


class TwilioSms(TwilioMessages):
    """Sends texts as they were approved: normalised before, and never rewritten by the provider."""

    def _words(self, message: Outbound) -> dict[str, object]:
        return {"body": message.rendered.body, "smart_encoded": False}
