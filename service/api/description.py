"""The description of all APIs in one OpenAPI document, with a tag for each."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

TAGS = [
    {"name": "translation", "description": "The native API: translating."},
    {"name": "detection", "description": "The native API: which language a text is in."},
    {"name": "scoring", "description": "The native API: how likely a translation is."},
    {"name": "documents", "description": "The native API: files, translated by jobs."},
    {"name": "batches", "description": "The native API: files of any size, translated by jobs."},
    {"name": "evaluations", "description": "The native API: how good a model is, by jobs."},
    {"name": "glossaries", "description": "The native API: terms to be translated in a given way."},
    {"name": "models", "description": "The native API: what there is."},
    {"name": "usage", "description": "The native API: what was done for a key."},
    {"name": "LibreTranslate", "description": "For clients of LibreTranslate."},
    {"name": "DeepL", "description": "For clients of DeepL."},
    {"name": "Apertium", "description": "For clients of Apertium APy, such as OmegaT."},
    {"name": "operations", "description": "For operators and their machines."},
]
_UNUSED = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the document, made once.

    It differs from FastAPI's in that no route answers 422, for all failures are those of
    `dialect.py`, and in that streams are described by the schema of an event, as is usual where
    OpenAPI 3.1 is spoken; 3.2 has a word of its own for that.
    """
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=TAGS,
        )
        for item in document["paths"].values():
            for operation in item.values():
                _amend(operation["responses"])
        schemas = document.get("components", {}).get("schemas", {})
        for name in _UNUSED:
            schemas.pop(name, None)
        app.openapi_schema = document
    return app.openapi_schema


def _amend(responses: dict[str, Any]) -> None:
    responses.pop("422", None)
    for status, response in responses.items():
        content = response.get("content", {})
        for media in content.values():
            if "itemSchema" in media:
                media["schema"] = media.pop("itemSchema")
        if status >= "400" and len(content) == 1:
            # FastAPI takes a failure to be of the type of what was asked for.
            response["content"] = {"application/json": next(iter(content.values()))}


def part(document: dict[str, Any], tag: str) -> dict[str, Any]:
    """Return what a document says of the routes with a tag, and nothing else."""
    paths = {
        path: item
        for path, item in document["paths"].items()
        if any(tag in operation.get("tags", []) for operation in item.values())
    }
    schemas = document["components"]["schemas"]
    used: dict[str, Any] = {}
    while found := _named(schemas, {"paths": paths, "used": used}) - used.keys():
        used |= {name: schemas[name] for name in found}
    return document | {
        "paths": paths,
        "tags": [each for each in document["tags"] if each["name"] == tag],
        "components": {"schemas": used},
    }


def _named(schemas: dict[str, Any], part: dict[str, Any]) -> set[str]:
    text = json.dumps(part)
    return {name for name in schemas if f'"#/components/schemas/{name}"' in text}
