"""The dialect of LibreTranslate, whose clients need nothing but the address."""

from fastapi import APIRouter

from service.api.libretranslate import catalogue, translation
from service.api.libretranslate.wording import render

PREFIXES = ("/translate", "/detect", "/languages", "/frontend", "/health")
"""Where its paths begin."""

router = APIRouter()
router.include_router(translation.router)
router.include_router(catalogue.router)

__all__ = ["PREFIXES", "render", "router"]
