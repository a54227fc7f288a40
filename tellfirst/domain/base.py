"""The kinds of models: what we made ourselves, what others read of it, and what came from outside."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Is an immutable value; unknown fields are ignored, so that recorded values of later versions still load."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Answer(Frozen):
    """Is an immutable value that others read, in whatever language: it travels whole, defaults included."""


class Outside(Frozen):
    """Is an immutable value given from outside; unknown fields are refused, so that a typing error is heard."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, extra="forbid")
