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
from service.engine.search import FinishReason, SearchOptions
from service.engine.translator import (
    SentenceAttention,
    Translation,
    TranslationOptions,
    Translator,
)
from service.engine.waiting_line import Priority

__all__ = [
    "Detection",
    "FinishReason",
    "ModelDescription",
    "Models",
    "Priority",
    "SearchOptions",
    "SentenceAttention",
    "Translation",
    "TranslationOptions",
    "Translator",
    "is_same_language",
    "open_translator",
]
