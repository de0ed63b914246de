"""What a server answers about evaluations, as far as commands need it.

What else it says is passed over, so that a command understands servers of other versions, too.
"""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Accepted(Answer):
    """The job that was made of a request, or that was made of the same one before."""

    job_id: str


class Progress(Answer):
    """Lines that are translated, those of the baseline included."""

    done: int = 0
    total: int = 0


class Failure(Answer):
    """Why a job failed."""

    message: str


class Model(Answer):
    """The bundle that translated."""

    name: str
    version: str | int

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


class Baseline(Answer):
    """What the hypotheses are compared with."""

    kind: str
    model: Model | None = None
    job_id: str | None = None

    def __str__(self) -> str:
        job = f"job {self.job_id}" if self.job_id else "given hypotheses"
        return str(self.model) if self.model else job


class Metric(Answer):
    """One score of the whole test set."""

    name: str
    score: float
    signature: str
    interval: tuple[float, float] | None = None


class Test(Answer):
    """How likely a difference as large comes about by chance."""

    test: str
    p_value: float


class Comparison(Answer):
    """One score beside that of the baseline."""

    metric: str
    name: str
    score: float
    baseline_score: float
    baseline_interval: tuple[float, float] | None = None
    delta: float
    tests: tuple[Test, ...] = ()


class Pair(Answer):
    """A direction."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"


class Decode(Answer):
    """The search, as it was made."""

    beam: int
    length_penalty: float
    no_repeat_ngram: int = 0
    coverage_penalty: float = 0.0


class Counts(Answer):
    """Translations that something is the matter with."""

    truncated: int = 0
    repetition_stopped: int = 0
    placeholder_lost: int = 0
    empty: int = 0


class Performance(Answer):
    """How fast it was."""

    sentences_per_second: float
    seconds: float


class Report(Answer):
    """What came out."""

    pair: Pair
    model: Model | None = None
    baseline: Baseline | None = None
    decode: Decode | None = None
    test_set: str | None = None
    sentences: int
    metrics: tuple[Metric, ...]
    comparison: tuple[Comparison, ...] = ()
    counts: Counts = Field(default_factory=Counts)
    performance: Performance | None = None
    identical: int | None = None
    warnings: tuple[str, ...] = ()


class Job(Answer):
    """An evaluation and how far it is."""

    job_id: str
    status: str
    """queued, running, done, failed or cancelled."""
    progress: Progress = Field(default_factory=Progress)
    pair: str | None = None
    model: str | None = None
    baseline: str | None = None
    test_set: str | None = None
    scores: dict[str, float] | None = None
    created: AwareDatetime | None = None
    error: Failure | None = None

    @property
    def is_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in {"done", "failed", "cancelled"}
