"""WhatsApp messages through Twilio's official SDK: templates that WhatsApp knows, with our values in their places."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from tellfirst.channels.twilio_account import Callback, TwilioAccount
from tellfirst.channels.twilio_messages import TwilioMessages
from tellfirst.domain.message import Answer, AnswerKind, Outbound


class TwilioWhatsApp(TwilioMessages):
    """Sends registered templates, and nothing else: whoever did not write in the last 24 hours gets no free text.

    `templates` maps a template's name in the playbooks to its ContentSid (`HX...`).
    """

    prefix = "whatsapp:"

    def __init__(
        self,
        account: TwilioAccount,
        sender: str,
        templates: Mapping[str, str],
        *,
        status_callback: Callback | None = None,
    ) -> None:
        super().__init__(account, sender, status_callback=status_callback)
        self._templates = dict(templates)

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Sends the batch as the base does; none of it leaves while a template's ContentSid is not known."""
        if refused := self._refused(batch):
            kind, detail = refused
            return [Answer(send_id=message.send_id, kind=kind, detail=detail) for message in batch]
        return await super().send(batch, now=now)

    def _refused(self, batch: Sequence[Outbound]) -> tuple[AnswerKind, str] | None:
        for name in (message.rendered.template for message in batch):
            if not name:
                return AnswerKind.POLICY_BLOCK, "a text without a template"
            if name not in self._templates:
                return AnswerKind.CONFIGURATION, f"no ContentSid for template {name}"
        return None

    def _words(self, message: Outbound) -> dict[str, object]:
        values = {str(place): value for place, value in enumerate(message.rendered.variables, start=1)}
        words: dict[str, object] = {"content_sid": self._templates[message.rendered.template]}
        return words | ({"content_variables": json.dumps(values, ensure_ascii=False)} if values else {})
