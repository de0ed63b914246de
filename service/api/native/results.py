"""What the answers tell of a translation."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from service.engine import AlignedSpan, Detection, FinishReason, Translation

Span = tuple[int, int]
"""In JSON a list of two numbers, [begin, end), in Unicode characters of the whole text."""

CONFIDENCE = (
    "How likely it is good, 0 to 1, as measured when the model was made; absent if it was not."
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


class SentenceBody(BaseModel):
    """A sentence that was translated: where it stands and how it fared."""

    model_config = ConfigDict(from_attributes=True)

    source_span: Span = Field(
        description="[begin, end) in characters of the text.", examples=[[0, 13]]
    )
    target_span: Span = Field(
        description="[begin, end) in characters of the translation.", examples=[[0, 13]]
    )
    score: float = Field(description="Length-normalised log-probability.")
    confidence: float | None = Field(None, description=CONFIDENCE)
    finish_reason: FinishReason = Field(
        description="`eos`; `length` if it was cut off at its most tokens, `repetition` if it was "
        "stopped because it only repeated itself."
    )


class AlignedBody(BaseModel):
    """Words of the text and of the translation that stand for each other."""

    source_span: Span = Field(description="[begin, end) in characters of the text.")
    target_span: Span = Field(description="[begin, end) in characters of the translation.")


class TermUseBody(BaseModel):
    """A term of the glossary that the text has."""

    model_config = ConfigDict(from_attributes=True)

    source: str
    target: str
    is_used: bool = Field(description="Whether the translation has it.")


class DetectionBody(BaseModel):
    """A language that was found, not given."""

    model_config = ConfigDict(from_attributes=True)

    language: str
    confidence: float = Field(
        description="Probability among the languages that are served, 0 to 1; 0 if nothing tells."
    )


class TranslationBody(BaseModel):
    """A translation and where it came from."""

    model_config = ConfigDict(from_attributes=True)

    text: str
    source: str = Field(description="As asked, or as found.")
    target: str
    detection: DetectionBody | None = Field(
        None, description="How the source was found; absent if it was given."
    )
    pivot: str | None = Field(
        None,
        description="The language it came through; absent if a model translates between the two.",
    )
    model: str = Field(
        description="Bundle and version that translated, such as de-en/3; empty if none did."
    )
    score: float = Field(description="Mean length-normalised log-probability.")
    confidence: float | None = Field(None, description=CONFIDENCE)
    finish_reason: FinishReason = Field(description="That of the sentence that fared worst.")
    sentences: list[SentenceBody] = Field(
        description="Those that were translated, in the order of the text."
    )
    alternatives: list[str] = Field(description="Other translations, best first.")
    lost: list[str] = Field(
        description="Placeholders, tags and symbols of the text that the translation lacks."
    )
    terms: list[TermUseBody] = Field(description="Terms of the glossary that the text has.")
    alignment: list[AlignedBody] | None = Field(
        None,
        description="In the order of the translation; absent if not asked for.",
    )
    attention: list[AttentionBody] | None = Field(
        None,
        description="One for each sentence that was decoded; absent if not asked for, or if no "
        "model translated.",
    )

    @field_validator("alignment", mode="before")
    @classmethod
    def _spans(cls, alignment: tuple[AlignedSpan, ...] | None) -> list[dict[str, Span]] | None:
        if alignment is None:
            return None
        return [
            {
                "source_span": (each.source_begin, each.source_end),
                "target_span": (each.target_begin, each.target_end),
            }
            for each in alignment
        ]

    @classmethod
    def of(cls, translation: Translation, detection: Detection | None) -> Self:
        """Tell what is known of a translation, and of its source if that was found."""
        body = cls.model_validate(translation)
        if detection is not None:
            body.detection = DetectionBody.model_validate(detection)
        return body
