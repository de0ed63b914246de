"""Texts to translations, and texts to languages."""

from typing import Annotated, Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel, Field

from service.api.bodies import Fields, request_body
from service.api.dependencies import Limits, ModelsAtWork, RequestLimits, unless_gone
from service.api.libretranslate.catalogue import AUTO, check_pair
from service.api.libretranslate.wording import TranslatingCaller, dialect_router, parse
from service.api.texts import detect_all, detect_texts, translate_texts
from service.engine import Detection, Markup, TranslationOptions
from service.errors import InvalidRequest

T = TypeVar("T")

Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[str], Field(min_length=1)]
Code = Annotated[str, Field(min_length=1, max_length=64)]

MAX_DETECTIONS = 3
"""Languages that `/detect` names, those with no confidence left out; as the original does."""

router = dialect_router()


class TranslateFields(BaseModel):
    """Texts and how to translate them; other fields are ignored."""

    q: Text | Texts = Field(
        description="A text, or an array of texts for an array of answers.",
        examples=["Guten Morgen. Wie geht es dir?"],
    )
    source: Code = Field(
        description="Language of the texts; `auto` finds it for each.", examples=["de"]
    )
    target: Code = Field(description="Language to translate into.", examples=["en"])
    format: Literal["text", "html", ""] | None = Field(
        None, description="What the texts are; `text` if not given."
    )
    alternatives: int = Field(0, description="Further translations of each text.")
    api_key: str | None = Field(None, description="Needed only if the server asks for one.")

    @property
    def texts(self) -> list[str]:
        """The texts, be they one or several."""
        return self.q if isinstance(self.q, list) else [self.q]

    def options(self) -> TranslationOptions:
        """Return how to translate."""
        return TranslationOptions(
            alternatives=max(0, self.alternatives),
            markup=Markup("html") if self.format == "html" else None,
        )


class DetectFields(BaseModel):
    """A text whose language is asked for; other fields are ignored."""

    q: Text | Texts = Field(
        description="A text; of an array, all texts count as one.",
        examples=["Guten Morgen. Wie geht es dir?"],
    )
    api_key: str | None = Field(None, description="Needed only if the server asks for one.")


class DetectedLanguage(BaseModel):
    """A language and how sure it is."""

    confidence: float = Field(description="Percent.", examples=[90.0])
    language: str = Field(examples=["de"])


class TranslateAnswer(BaseModel):
    """The translation of a text, or arrays of everything for an array of texts."""

    translatedText: str | list[str] = Field(examples=["Good morning. How are you?"])
    detectedLanguage: DetectedLanguage | list[DetectedLanguage] | None = Field(
        None, description="Only where `auto` was asked for."
    )
    alternatives: list[str] | list[list[str]] | None = Field(
        None, description="Only where some were asked for; there may be fewer."
    )


@router.post(
    "/translate",
    openapi_extra=request_body(TranslateFields),
    response_model_exclude_none=True,
)
async def translate(
    fields: Fields,
    caller: TranslatingCaller,
    request: Request,
    models: ModelsAtWork,
    limits: Limits,
) -> TranslateAnswer:
    """Translate a text or several.

    The fields may stand in the query string too, with an empty body.
    """
    asked = parse(TranslateFields, fields)
    _check(asked, limits)
    caller.charge(sum(map(len, asked.texts)))
    texts, options, detections = asked.texts, asked.options(), None
    sources = [asked.source] * len(texts)
    if asked.source.lower() == AUTO:
        detections = await detect_texts(texts, models, options.markup)
        # A text of which nothing tells the language has nothing to translate: it stays as it is.
        sources = [each.language if each.confidence else asked.target for each in detections]
    for source in dict.fromkeys(sources):
        check_pair(source, asked.target, models)
    work = translate_texts(texts, sources, asked.target, options, models)
    translations = await unless_gone(request, work)

    def answer(values: list[T]) -> T | list[T]:
        return values if isinstance(asked.q, list) else values[0]

    others = answer([each.alternatives for each in translations])
    return TranslateAnswer(
        translatedText=answer([each.text for each in translations]),
        detectedLanguage=answer([_body(each) for each in detections]) if detections else None,
        alternatives=others if asked.alternatives > 0 else None,
    )


@router.post("/detect", openapi_extra=request_body(DetectFields))
async def detect(
    fields: Fields, _: TranslatingCaller, models: ModelsAtWork, limits: Limits
) -> list[DetectedLanguage]:
    """Tell which language a text is in, the likeliest first.

    The fields may stand in the query string too, with an empty body.
    """
    asked = parse(DetectFields, fields)
    texts = asked.q if isinstance(asked.q, list) else [asked.q]
    check_lengths(texts, limits)
    detections = await detect_all("\n".join(texts), MAX_DETECTIONS, models)
    best, *others = [_body(each) for each in detections]
    return [best, *(each for each in others if each.confidence)]


def _check(asked: TranslateFields, limits: RequestLimits) -> None:
    if asked.alternatives > limits.max_alternatives:
        raise InvalidRequest(
            f"Invalid request: alternatives parameter must be <= {limits.max_alternatives}",
            field="alternatives",
            limit=limits.max_alternatives,
        )
    check_lengths(asked.texts, limits)


def check_lengths(texts: list[str], limits: RequestLimits) -> None:
    """Refuse texts that go beyond the limits, in the words of the original.

    Raises:
        InvalidRequest: there are too many, or one is too long, or all of them are.
    """
    sizes = [(len(texts), limits.max_texts), (sum(map(len, texts)), limits.max_characters)]
    sizes += [(len(text), limits.max_text_characters) for text in texts]
    for size, limit in sizes:
        if size > limit:
            raise InvalidRequest(
                f"Invalid request: request ({size}) exceeds text limit ({limit})",
                field="q",
                limit=limit,
            )


def _body(detection: Detection) -> DetectedLanguage:
    return DetectedLanguage(
        confidence=round(100 * detection.confidence, 1), language=detection.language
    )
