"""How values become payloads: what our own code reads again is written without what it would assume anyway.

A history is paid for by its bytes and read again on every restart; half of a small model is fields that nobody set.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic_core import SchemaSerializer
from pydantic_core.core_schema import any_schema
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    PayloadCodec,
)

from tellfirst.domain.base import Answer
from tellfirst.errors import SettingsError

ENCRYPTED = b"binary/encrypted"
"""The `encoding` of a payload that tellfirst/encryption.py wrote."""


class LeanJson(PydanticJSONPlainPayloadConverter):
    """Leaves out what equals its default, except from answers: whoever reads those may not know our defaults."""

    def __init__(self) -> None:
        super().__init__()
        self._json = SchemaSerializer(any_schema())

    def to_payload(self, value: Any) -> Payload | None:
        """Returns the JSON of a value."""
        data = self._json.to_json(value, exclude_defaults=not isinstance(value, Answer))
        return Payload(metadata={"encoding": self.encoding.encode()}, data=data)


class LeanPayloads(CompositePayloadConverter):
    """Converts nothing, bytes, protobuf and, as lean JSON, everything else."""

    def __init__(self) -> None:
        super().__init__(*_converters())


@cache
def _converters() -> tuple[EncodingPayloadConverter, ...]:
    # The SDK makes a converter for every value that it converts: made once, what types are read by is kept.
    usual, lean = DefaultPayloadConverter.default_encoding_payload_converters, LeanJson()
    return tuple(lean if one.encoding == lean.encoding else one for one in usual)


class Unencrypted(PayloadCodec):
    """Writes payloads as they are, and reads none that is encrypted: taken as it is, a decision would be lost."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Returns them as they are."""
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Returns them as they are; raises SettingsError where one is encrypted."""
        if any(payload.metadata.get("encoding") == ENCRYPTED for payload in payloads):
            raise SettingsError(
                "a payload is encrypted, and no keys are given",
                where="TELLFIRST_PAYLOAD_KEYS",
                remedy="give the keys that the workers have",
            )
        return list(payloads)


DATA_CONVERTER = DataConverter(payload_converter_class=LeanPayloads, payload_codec=Unencrypted())
