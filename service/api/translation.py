"""The shapes of `POST /v1/translate`, and the limits of what it may ask for."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.api.dependencies import RequestLimits
from service.api.failure import FailureBody
from service.api.texts import check_number
from service.engine import FinishReason, Priority, SplitMode, Translation, TranslationOptions
from service.errors import InvalidRequest, ServiceError, TextTooLong

AUTO = "auto"
"""Instead of a source language: find it for each text."""


def _as_list(text: object) -> object:
    if isinstance(text, str):
        return [text]
    if isinstance(text, list):
        return text
    raise PydanticCustomError("texts_type", "Input should be a string or a list of strings")


def _check_unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = "Character {position} is half of a surrogate pair"
        raise PydanticCustomError("unicode", message, {"position": error.start}) from None
    return text


Texts = Annotated[
    list[Annotated[str, AfterValidator(_check_unicode)]],
    BeforeValidator(_as_list),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "description": "A text of any length, or a list of texts.",
            "examples": ["Guten Morgen. Wie geht es dir?"],
        }
    ),
]
Penalty = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TranslateRequest(BaseModel):
    """Texts and how to translate them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Texts
    source: str = Field(
        AUTO,
        description="Language of the texts; `auto` finds it for each. A text found to be in the "
        "target language comes back as it is.",
        examples=["de"],
    )
    target: str = Field(description="Language to translate into.", examples=["en"])
    beam: int | None = Field(
        None,
        ge=1,
        description="Beam width; 1 is greedy search. The model's own if not given.",
        examples=[4],
    )
    length_penalty: Penalty | None = Field(
        None,
        description="Exponent of the length normalisation; the higher, the longer the sentences. "
        "0 turns it off. The model's own if not given.",
        examples=[0.6],
    )
    alternatives: int = Field(0, ge=0, description="Further translations of each text.")
    max_tokens: int | None = Field(
        None,
        ge=1,
        description="Most target tokens of a sentence. The model's own if not given.",
        examples=[256],
    )
    no_repeat_ngram: int = Field(
        0,
        ge=0,
        description="No sequence of so many tokens occurs twice in a sentence. 0 turns it off.",
    )
    coverage_penalty: Penalty = Field(
        0.0,
        description="Weight of the penalty for source tokens that are left untranslated; matters "
        "with a beam. 0 turns it off.",
    )
    split: SplitMode = Field(
        "sentences",
        description="`sentences` finds them within a line; with `lines` each line is one; with "
        "`nonewlines` a newline does not end a sentence. What is too long is split in any case.",
    )
    attention: bool = Field(
        False, description="Whether to tell which source tokens each target token was made from."
    )
    priority: Priority = Field(
        "interactive", description="`batch` lets the requests of those who wait go first."
    )
    timeout: Seconds | None = Field(
        None,
        description="Seconds, for all texts together; a text that is not translated by then "
        "fails with `deadline_exceeded`. No end if not given.",
        examples=[10],
    )


class AttentionBody(BaseModel):
    """What each target token of a sentence attended to."""

    model_config = ConfigDict(from_attributes=True)

    source_tokens: list[str] = Field(
        description="Pieces of the vocabulary, with the target tag and the end of sentence.",
        examples=[["<2en>", "▁Guten", "▁Morgen", ".", "</s>"]],
    )
    target_tokens: list[str] = Field(
        description="Pieces of the best hypothesis, with the end of sentence if it came that far.",
        examples=[["▁Good", "▁morning", ".", "</s>"]],
    )
    weights: list[list[float]] = Field(
        description="For each target token a row, with a weight for each source token; rows sum "
        "to 1. Four decimals."
    )


class TranslationBody(BaseModel):
    """A translation and where it came from."""

    model_config = ConfigDict(from_attributes=True)

    text: str
    source: str = Field(description="As asked, or as found.")
    target: str
    model: str = Field(
        description="Bundle and version that translated, such as de-en/3; empty if none did."
    )
    score: float = Field(description="Mean length-normalised log-probability.")
    finish_reason: FinishReason = Field(
        description="`length` if a sentence was cut off at its most tokens, `repetition` if one "
        "was stopped because it only repeated itself."
    )
    alternatives: list[str] = Field(description="Other translations, best first.")
    attention: list[AttentionBody] | None = Field(
        None,
        description="One for each sentence that was decoded; absent if not asked for, or if no "
        "model translated.",
    )


class TranslateResponse(BaseModel):
    """The translations, in the order of the texts."""

    translations: list[TranslationBody | FailureBody] = Field(
        description="An object with `error` stands in the place of a text that failed."
    )


def check(body: TranslateRequest, limits: RequestLimits) -> None:
    """Refuse what goes beyond the limits; how long each text is, `check_length` tells.

    Raises:
        InvalidRequest: a number is too high.
        TextTooLong: all texts together are too long for what is asked.
        TooLarge: there are too many texts.
    """
    check_number(body.text, limits)
    most, total = limits.max_attention_characters, sum(map(len, body.text))
    if body.attention and total > most:
        message = f"attention: {total} characters in all exceed {most}"
        raise TextTooLong(message, field="attention", limit=most)
    numbers: tuple[tuple[str, float | None, float], ...] = (
        ("beam", body.beam, limits.max_beam),
        ("length_penalty", body.length_penalty, limits.max_penalty),
        ("alternatives", body.alternatives, limits.max_alternatives),
        ("max_tokens", body.max_tokens, limits.max_tokens),
        ("no_repeat_ngram", body.no_repeat_ngram, limits.max_ngram),
        ("coverage_penalty", body.coverage_penalty, limits.max_penalty),
        ("timeout", body.timeout, limits.max_timeout_seconds),
    )
    for field, value, limit in numbers:
        if value is not None and value > limit:
            raise InvalidRequest(f"{field}: {value} exceeds {limit}", field=field, limit=limit)


def options_of(body: TranslateRequest) -> TranslationOptions:
    """Return the options of every text."""
    return TranslationOptions(
        beam=body.beam,
        length_penalty=body.length_penalty,
        alternatives=body.alternatives,
        max_tokens=body.max_tokens,
        no_repeat_ngram=body.no_repeat_ngram,
        coverage_penalty=body.coverage_penalty,
        split=body.split,
        attention=body.attention,
        priority=body.priority,
        deadline_seconds=body.timeout,
    )


def raise_if_all_failed(outcomes: Sequence[Translation | ServiceError]) -> None:
    """Raise the failure of the first text, if all fail alike: then it is that of the request."""
    failures = [outcome for outcome in outcomes if isinstance(outcome, ServiceError)]
    if failures and len(failures) == len(outcomes) and len({f.code for f in failures}) == 1:
        raise failures[0]
