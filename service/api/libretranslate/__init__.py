"""The dialect of LibreTranslate, whose clients need nothing but the address."""

from functools import cache
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi

from service.api.libretranslate import catalogue, suggestions, translation
from service.api.libretranslate.wording import dialect_router, render

PREFIXES = (
    "/translate",
    "/detect",
    "/languages",
    "/frontend",
    "/health",
    "/suggest",
    "/spec",
)
"""Where its paths begin."""

router = APIRouter()
for _part in (translation, catalogue, suggestions):
    router.include_router(_part.router)
_described = [*router.routes]
_spec = dialect_router()


@_spec.get("/spec")
async def read_spec() -> dict[str, Any]:
    """Return the description of these routes alone, in OpenAPI."""
    return _description()


router.include_router(_spec)


@cache
def _description() -> dict[str, Any]:
    return get_openapi(
        title="Dragoman for clients of LibreTranslate", version="1", routes=_described
    )


__all__ = ["PREFIXES", "render", "router"]
