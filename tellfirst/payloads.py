"""How values become payloads: what our own code reads again is written without what it would assume anyway.

A history is paid for by its bytes and read again on every restart; half of a small model is fields that nobody set.
"""

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
)

from tellfirst.domain.base import Answer


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


DATA_CONVERTER = DataConverter(payload_converter_class=LeanPayloads)
