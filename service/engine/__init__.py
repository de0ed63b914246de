"""Text in, text out: the engine's front door.

It knows neither HTTP nor settings; whoever opens it hands it numbers.

    Library.hold() -> Models.find(source, target) -> Translator.translate(text) -> Translation
    Library.lend(name, version) -> Models, of this version alone
"""

from service.engine.detector import Detection, Detector
from service.engine.hypothesis import FinishReason, SearchOptions
from service.engine.identity import parse_model
from service.engine.languages import closest, is_same_language
from service.engine.library import Library
from service.engine.markup import Markup, visible
from service.engine.model import EngineOptions, ModelDescription, open_translator
from service.engine.pages import PageTag, find_blocks, find_tags
from service.engine.pivot import PivotTranslator
from service.engine.registry import AnyTranslator, Models
from service.engine.sessions import ShortlistChoice
from service.engine.terms import Term, Terms
from service.engine.translation import (
    AlignedSpan,
    FinishedSentence,
    Score,
    Sentence,
    SentenceAttention,
    SentenceScore,
    SplitMode,
    TermUse,
    TokenScore,
    Translation,
    TranslationOptions,
)
from service.engine.translator import Translator
from service.engine.waiting_line import Priority

__all__ = [
    "AlignedSpan",
    "AnyTranslator",
    "Detection",
    "Detector",
    "EngineOptions",
    "FinishReason",
    "FinishedSentence",
    "Library",
    "Markup",
    "ModelDescription",
    "Models",
    "PageTag",
    "PivotTranslator",
    "Priority",
    "Score",
    "SearchOptions",
    "Sentence",
    "SentenceAttention",
    "SentenceScore",
    "ShortlistChoice",
    "SplitMode",
    "Term",
    "TermUse",
    "Terms",
    "TokenScore",
    "Translation",
    "TranslationOptions",
    "Translator",
    "closest",
    "find_blocks",
    "find_tags",
    "is_same_language",
    "open_translator",
    "parse_model",
    "visible",
]
