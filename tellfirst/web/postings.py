"""What other systems post as JSON, plain or as a CloudEvent: read, checked and described in one way."""

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.exceptions import BaseCloudEventException
from fastapi import HTTPException, Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, StringConstraints, ValidationError

from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import personal_pattern
from tellfirst.web.bodies import media_type, read_json
from tellfirst.web.openapi import CLOUDEVENT

Model = TypeVar("Model", bound=BaseModel)


def opaque(text: str) -> str:
    """Returns the text; raises ValueError for one that looks like somebody's address."""
    if kind := personal_pattern(text):
        raise ValueError(f"it looks like {kind}; use the opaque ids of your own systems")
    return text


def _ours(at: datetime) -> datetime:
    if not EARLIEST < at < LATEST:
        raise ValueError("it is no instant of our time")
    return at


def _said(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return text if len(text) <= 200 and text.isascii() and text.isprintable() else ""


EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
Opaque = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$"), AfterValidator(opaque)
]
"""An id or a word that stands for itself and holds nothing personal."""
Moment = Annotated[AwareDatetime, AfterValidator(_ours)]
"""An instant that says its zone."""
Said = Annotated[str, BeforeValidator(_said)]
"""A word in a provider's event that may be left out; whatever is no plain word counts as left out."""


class Attributes(Frozen):
    """Is what a CloudEvent says of itself, as far as we read it; `customer` is an extension of ours."""

    id: str
    source: str
    type: str
    subject: str = ""
    time: Moment | None = None
    customer: str | None = None


def read_posted(request: Request, body: bytes) -> tuple[Attributes | None, Any]:
    """Returns the value that was posted, with the attributes of the CloudEvent around it; raises 400 for neither.

    An event in structured mode is all within what was signed. In binary mode its attributes are headers, which nobody
    signed: they are not read, and the body counts as if it were plain.
    """
    if media_type(request) != CLOUDEVENT:
        return None, read_json(body)
    given = read_json(body)
    # The library makes up what is missing, and an event with another id each time would be a new one each time.
    if not (isinstance(given, dict) and given.get("id") and given.get("specversion") == "1.0"):
        raise HTTPException(400, "the body is not a CloudEvent 1.0")
    try:
        event = from_structured_event(HTTPMessage(headers={"content-type": CLOUDEVENT}, body=body))
    except (BaseCloudEventException, ValueError, TypeError, KeyError, AttributeError):
        raise HTTPException(400, "the body is not a CloudEvent 1.0") from None
    attributes = {name: value for name, value in event.get_attributes().items() if name in Attributes.model_fields}
    if "time" not in given:
        attributes.pop("time", None)
    return checked(Attributes, attributes), event.get_data()


def checked(model: type[Model], value: Any) -> Model:
    """Returns the model of a value; raises 422 that names the field and what is wrong, and never what stood there."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise HTTPException(422, f"{where}: {first['msg']}"[:300]) from None
    except RecursionError:
        raise HTTPException(400, "the body is nested too deep") from None
