"""Text in, text out: the engine's front door.

It knows neither HTTP nor settings; whoever opens it hands it numbers.

    Models.find(source, target) -> Translator.translate(text, options) -> Translation
"""

from service.engine.detector import Detection
from service.engine.registry import (
    ModelDescription,
    Models,
    is_same_language,
    open_translator,
)
from service.engine.search import SearchOptions
from service.engine.translator import Translation, TranslationOptions, Translator

__all__ = [
    "Detection",
    "ModelDescription",
    "Models",
    "SearchOptions",
    "Translation",
    "TranslationOptions",
    "Translator",
    "is_same_language",
    "open_translator",
]
