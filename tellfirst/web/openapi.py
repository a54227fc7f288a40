"""The published API: bodies are read by the routes themselves, so what they hold is described here beside them."""

from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter

from tellfirst.web.bodies import JSON

CLOUDEVENT = "application/cloudevents+json"
PLAIN_OR_EVENT = (JSON, CLOUDEVENT)
_SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Api(FastAPI):
    """Is an application whose published description is whole: what bodies refer to stands among its schemas."""

    def openapi(self) -> dict[str, Any]:
        """Returns the description of every route."""
        if self.openapi_schema is None:
            schema = super().openapi()
            shared = schema.setdefault("components", {}).setdefault("schemas", {})
            for operations in schema["paths"].values():
                for operation in operations.values():
                    for content in operation.get("requestBody", {}).get("content", {}).values():
                        shared.update(_definitions(content["schema"]))
        assert self.openapi_schema is not None  # noqa: S101 - made just now
        return self.openapi_schema


def _definitions(schema: dict[str, Any]) -> dict[str, Any]:
    """Takes the definitions out of a schema, and out of that of an event's data."""
    within = schema.get("properties", {}).get("data", {})
    return {**schema.pop("$defs", {}), **within.pop("$defs", {})}


def described(body: Any, *types: str, headers: tuple[str, ...] = _SIGNED, data: Any = None) -> dict[str, Any]:
    """Returns what is published of a route that reads its own body; `headers` are those its signature is in.

    A CloudEvent holds the body as its data, or `data` where its attributes say the rest.
    """
    plain = _schema(body)
    inside = {CLOUDEVENT: _event(plain if data is None else _schema(data))}
    return {
        "parameters": [
            {"in": "header", "name": name, "required": True, "schema": {"type": "string"}} for name in headers
        ],
        "requestBody": {
            "required": True,
            "content": {type_: {"schema": inside.get(type_, plain)} for type_ in types or (JSON,)},
        },
    }


def _schema(body: Any) -> dict[str, Any]:
    return TypeAdapter(body).json_schema(ref_template="#/components/schemas/{model}")


def _event(data: dict[str, Any]) -> dict[str, Any]:
    word = {"type": "string", "minLength": 1, "maxLength": 200}
    named = dict.fromkeys(("id", "source", "type", "subject", "customer"), word)
    time = {"type": "string", "format": "date-time"}
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {"specversion": {"const": "1.0"}, **named, "time": time, "data": data},
    }
