"""The published API: bodies are read by the routes themselves, so what they hold is described here beside them."""

from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter

from tellfirst.web.bodies import JSON

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
                        shared.update(content["schema"].pop("$defs", {}))
        assert self.openapi_schema is not None  # noqa: S101 - made just now
        return self.openapi_schema


def described(body: Any, *types: str, headers: tuple[str, ...] = _SIGNED) -> dict[str, Any]:
    """Returns what is published of a route that reads its own body; `headers` are those its signature is in."""
    schema = TypeAdapter(body).json_schema(ref_template="#/components/schemas/{model}")
    return {
        "parameters": [
            {"in": "header", "name": name, "required": True, "schema": {"type": "string"}} for name in headers
        ],
        "requestBody": {"required": True, "content": {type_: {"schema": dict(schema)} for type_ in types or (JSON,)}},
    }
