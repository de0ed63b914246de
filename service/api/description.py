"""The description of all APIs in one OpenAPI document, with a tag for each."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

TAGS = [
    {"name": "translation", "description": "The native API: translating, detecting, scoring."},
    {"name": "documents", "description": "The native API: files, translated by jobs."},
    {"name": "glossaries", "description": "The native API: terms to be translated in a given way."},
    {"name": "models", "description": "The native API: what there is."},
    {"name": "LibreTranslate", "description": "For clients of LibreTranslate."},
    {"name": "DeepL", "description": "For clients of DeepL."},
    {"name": "Apertium", "description": "For clients of Apertium APy, such as OmegaT."},
    {"name": "operations", "description": "For operators and their machines."},
]
_UNUSED = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the document, made once.

    It differs from FastAPI's in that no route answers 422: all failures are those of `dialect.py`.
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
                operation["responses"].pop("422", None)
        schemas = document.get("components", {}).get("schemas", {})
        for name in _UNUSED:
            schemas.pop(name, None)
        app.openapi_schema = document
    return app.openapi_schema
