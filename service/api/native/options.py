"""What a request for a translation may say, and the limits of it."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from service.api.dependencies import RequestLimits
from service.api.native.inputs import AUTO, Text
from service.engine import Markup, Priority, SplitMode, Term, TranslationOptions
from service.errors import InvalidRequest, TextTooLong

Penalty = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


Names = Annotated[list[Text], Field(examples=[["code"]])]


class TermBody(BaseModel):
    """What must be translated in a given way, wherever it occurs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    source: Text = Field(examples=["Morgen"])
    target: Text = Field(examples=["morning"])
    case_sensitive: bool = Field(
        False,
        description="Whether the source must be written so; a first letter may be a capital in "
        "any case.",
    )

    @classmethod
    def of(cls, term: Term) -> Self:
        """Return what the engine knows as a term."""
        return cls(source=term.source, target=term.target, case_sensitive=term.is_case_sensitive)

    @property
    def term(self) -> Term:
        """The same for the engine."""
        return Term(self.source, self.target, self.case_sensitive)


def _kind(glossary: object) -> str | None:
    if isinstance(glossary, str):
        return "id"
    return "terms" if isinstance(glossary, list) else None


Glossary = Annotated[
    Annotated[str, Tag("id")] | Annotated[list[TermBody], Tag("terms")],
    Discriminator(
        _kind,
        custom_error_type="glossary_type",
        custom_error_message="Input should be the id of a glossary, or a list of terms",
    ),
]


class Common(BaseModel):
    """What scoring may say too."""

    model_config = ConfigDict(extra="forbid", strict=True)

    source: str = Field(
        AUTO,
        description="Language of the texts; `auto` finds it for each. A text found to be in the "
        "target language comes back as it is.",
        examples=["de"],
    )
    target: str = Field(description="Language to translate into.", examples=["en"])
    length_penalty: Penalty | None = Field(
        None,
        description="Exponent of the length normalisation; the higher, the longer the sentences. "
        "0 turns it off. The model's own if not given.",
        examples=[0.6],
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


class Options(Common):
    """How to translate, whether one text or several."""

    format: Literal["text", "html", "xml"] = Field(
        "text",
        description="With `html` and `xml`, tags, attributes and comments come back as they were, "
        "where they belong, and entities stay escaped.",
    )
    ignore_tags: Names = Field([], description="Elements whose content is not translated.")
    splitting_tags: Names = Field([], description="Elements at whose borders a sentence ends.")
    non_splitting_tags: Names = Field([], description="Elements that stand within a sentence.")
    outline_detection: bool = Field(
        True,
        description="Whether the structure of XML tells which elements end a sentence; else "
        "only `splitting_tags` do.",
    )
    glossary: Glossary | None = Field(
        None,
        description="Terms that must be translated in a given way: the id of a glossary, or the "
        "terms themselves.",
        examples=[[{"source": "Morgen", "target": "morning"}]],
    )
    beam: int | None = Field(
        None,
        ge=1,
        description="Beam width; 1 is greedy search. The model's own if not given.",
        examples=[4],
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
    alignment: bool = Field(
        False, description="Whether to tell which words of text and translation belong together."
    )
    cache: bool = Field(
        True,
        description="Whether a sentence that was translated before in the same way may be "
        "answered from memory; the answer is the same.",
    )


def check(options: Options, texts: Sequence[str], limits: RequestLimits) -> None:
    """Refuse what goes beyond the limits, or makes no sense together.

    Raises:
        InvalidRequest: a number is too high, or tags are named where there are none.
        TextTooLong: all texts together are too long for what is asked.
    """
    most, total = limits.max_attention_characters, sum(map(len, texts))
    if options.attention and total > most:
        message = f"attention: {total} characters in all exceed {most}"
        raise TextTooLong(message, field="attention", limit=most)
    check_common(options, limits)
    _check_number("beam", options.beam, limits.max_beam)
    _check_number("alternatives", options.alternatives, limits.max_alternatives)
    _check_number("max_tokens", options.max_tokens, limits.max_tokens)
    _check_number("no_repeat_ngram", options.no_repeat_ngram, limits.max_ngram)
    _check_number("coverage_penalty", options.coverage_penalty, limits.max_penalty)
    for field in _TAG_OPTIONS:
        if options.format == "text" and field in options.model_fields_set:
            raise InvalidRequest(f"{field}: a text without markup has no tags", field=field)


def check_common(options: Common, limits: RequestLimits) -> None:
    """Refuse what goes beyond the limits.

    Raises:
        InvalidRequest: a number is too high.
    """
    _check_number("length_penalty", options.length_penalty, limits.max_penalty)
    _check_number("timeout", options.timeout, limits.max_timeout_seconds)


def _check_number(field: str, value: float | None, limit: float) -> None:
    if value is not None and value > limit:
        raise InvalidRequest(f"{field}: {value} exceeds {limit}", field=field, limit=limit)


_TAG_OPTIONS = ("ignore_tags", "splitting_tags", "non_splitting_tags", "outline_detection")


def engine_options(options: Options) -> TranslationOptions:
    """Return what of these options is the engine's, but for the terms."""
    return TranslationOptions(
        beam=options.beam,
        length_penalty=options.length_penalty,
        alternatives=options.alternatives,
        max_tokens=options.max_tokens,
        no_repeat_ngram=options.no_repeat_ngram,
        coverage_penalty=options.coverage_penalty,
        split=options.split,
        attention=options.attention,
        alignment=options.alignment,
        markup=_markup(options),
        use_cache=options.cache,
        priority=options.priority,
        deadline_seconds=options.timeout,
    )


def _markup(options: Options) -> Markup | None:
    if options.format == "text":
        return None
    return Markup(
        options.format,
        ignore_tags=tuple(options.ignore_tags),
        splitting_tags=tuple(options.splitting_tags),
        non_splitting_tags=tuple(options.non_splitting_tags),
        outline_detection=options.outline_detection,
    )
