"""The native API, version 1: one module for each thing that can be asked for."""

from fastapi import APIRouter

from service.api.native import (
    catalogue,
    detection,
    glossaries,
    scoring,
    stream,
    translation,
    usage,
)

router = APIRouter()
for part in (translation, stream, detection, scoring, glossaries, catalogue, usage):
    router.include_router(part.router)

__all__ = ["router"]
