"""What an evaluation found: `report.json`, the page and the command line show nothing else."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.evaluation import Bucket, Comparison, Example, MetricResult

BaselineKind = Literal["model", "job", "hypotheses"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class PairInfo(_Part):
    """The languages."""

    source: str
    target: str


class ModelInfo(_Part):
    """The bundle that translated, and how it was run."""

    name: str
    version: str
    sha256: str = Field(description="Of the manifest of the bundle, which names all its files.")
    precision: str = Field(description="Rendering of the network that ran.", examples=["int8"])
    provider: str = Field(
        description="What of ONNX Runtime ran it.", examples=["CPUExecutionProvider"]
    )


class BaselineInfo(_Part):
    """What the hypotheses are compared with."""

    kind: BaselineKind
    model: ModelInfo | None = Field(None, description="If a model of this job translated it.")
    job_id: str | None = Field(None, description="If they are those of another job.")


class DecodeInfo(_Part):
    """How the models searched, in numbers: what was not asked for is the model's own."""

    beam: int
    length_penalty: float
    no_repeat_ngram: int
    coverage_penalty: float
    max_tokens: int | None = Field(
        description="Target tokens of a sentence; by its length, as the model has it, if null."
    )


class Counts(_Part):
    """What went wrong on the way, in lines."""

    truncated: int = Field(description="Cut at the limit of tokens.")
    repetition_stopped: int = Field(description="Stopped because they only repeated themselves.")
    placeholder_lost: int = Field(description="Which lost a tag, a placeholder or a symbol.")
    empty: int = Field(description="Without any text.")


class Performance(_Part):
    """How fast a model was, beside whatever else the service did meanwhile."""

    sentences_per_second: float = Field(description="Lines, however many sentences each held.")
    target_tokens_per_second: float
    characters_per_second: float = Field(description="Of the source.")
    seconds: float = Field(description="Of translating: without waiting, loading and scoring.")


class Report(_Part):
    """The outcome of an evaluation."""

    job_id: str
    pair: PairInfo
    model: ModelInfo | None = Field(description="Null if the hypotheses were given.")
    baseline: BaselineInfo | None
    decode: DecodeInfo | None = Field(description="Null if no model translated.")
    test_set: str | None = Field(description="Its name, if it is one of the service.")
    sentences: int = Field(description="Lines.")
    created: AwareDatetime
    started: AwareDatetime
    finished: AwareDatetime
    metrics: list[MetricResult]
    comparison: list[Comparison]
    buckets: list[Bucket]
    worst: list[Example]
    changed: list[Example] = Field(description="Those that differ most from the baseline's.")
    identical: int | None = Field(description="Lines equal to the baseline's.")
    counts: Counts
    performance: Performance | None = Field(description="Null if the hypotheses were given.")
    baseline_performance: Performance | None
    warnings: list[str]
