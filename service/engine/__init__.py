"""Text in, text out: the engine's front door.

It knows neither HTTP nor settings; whoever opens it hands it numbers.

    Library.hold() -> Models.find(source, target) -> Translator.translate(text) -> Translation
"""

from service.engine.detector import Detection, Detector
from service.engine.hypothesis import FinishReason, SearchOptions
from service.engine.library import Library
from service.engine.model import EngineOptions, ModelDescription, open_translator
from service.engine.registry import Models, is_same_language
from service.engine.sessions import ShortlistChoice
from service.engine.translator import (
    SentenceAttention,
    Translation,
    TranslationOptions,
    Translator,
)
from service.engine.waiting_line import Priority

__all__ = [
    "Detection",
    "Detector",
    "EngineOptions",
    "FinishReason",
    "Library",
    "ModelDescription",
    "Models",
    "Priority",
    "SearchOptions",
    "SentenceAttention",
    "ShortlistChoice",
    "Translation",
    "TranslationOptions",
    "Translator",
    "is_same_language",
    "open_translator",
]
