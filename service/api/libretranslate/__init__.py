"""The dialect of LibreTranslate, whose clients need nothing but the address."""

from fastapi import APIRouter

from service.api.libretranslate import catalogue, files, suggestions, translation
from service.api.libretranslate.wording import render

PREFIXES = (
    "/translate",
    "/detect",
    "/languages",
    "/frontend",
    "/health",
    "/translate_file",
    "/download_file",
    "/suggest",
    "/spec",
)
"""Where its paths begin."""

router = APIRouter()
for _part in (translation, files, suggestions, catalogue):
    router.include_router(_part.router)

__all__ = ["PREFIXES", "render", "router"]
