"""What a bundle says of itself: the parts of its manifest, format 2.

Everything is parsed strictly here, so whoever holds a `Manifest` need not check it again.
`README.md` beside this module documents the format field by field.
"""

from datetime import date
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from models.calibration import Calibration
from models.casing import Case
from models.normalisation import Normalisation
from models.parts import CellKind, Count, Direction, Language, Part, Sha256, Size, VariantName
from models.tokenizer import TokenizerKind

FORMAT: Literal[2] = 2
"""The format written here, and the only one read."""

MANIFEST = "manifest.json"
"""The file of a bundle that lists the others."""


class File(Part):
    """A file of the bundle and what it must hold."""

    path: str
    """Relative to the bundle, parts separated by `/`."""
    sha256: Sha256
    size_bytes: Count

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        hidden = any(part[0] in "./" for part in parts)
        if not parts or hidden or "\\" in path or "/".join(parts) != path:
            raise ValueError(f"path {path!r} is not a plain path inside the bundle")
        if path == MANIFEST:
            raise ValueError("the manifest cannot list itself")
        return path


class Tensor(Part):
    """An input or output of a graph."""

    dtype: Literal["int32", "int64", "float16", "float32"]
    shape: list[str | int]
    """Shape letters for what varies, numbers for what does not."""


class Graph(Part):
    """What goes into a graph and what comes out, by tensor name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class CostRow(Part):
    """What a variant scores, and what fp32 scores in the same circumstances."""

    direction: Direction
    metric: str
    signature: str
    beam: Size
    length_penalty: float
    score: float
    reference: float
    """Of fp32."""


class Cost(Part):
    """What a variant loses beside fp32, on the development set that gated it."""

    test_set: str
    sentences: Size
    """Of all directions together."""
    rows: Annotated[list[CostRow], Field(min_length=1)]


class Variant(Part):
    """One rendering of the network; the graphs share the weights file."""

    encoder: File
    step: File
    weights: File
    greedy: File | None = None
    """With `beam` and `join`: what a GPU decodes with instead of the step."""
    beam: File | None = None
    join: File | None = None
    columns: File | None = None
    """With `shortlist_step` and `shortlists`: what it decodes with if sentences choose among the
    tokens that may translate their source."""
    shortlist_step: File | None = None
    shortlists: File | None = None
    cost: Cost | None = None
    """None for fp32, the reference."""
    shortlist_cost: Cost | None = None
    """Of decoding with shortlists, beside the same variant without."""

    @model_validator(mode="after")
    def _shortlists_are_whole(self) -> Self:
        parts = (self.columns, self.shortlist_step, self.shortlists)
        if any(parts) and not all(parts):
            raise ValueError("columns, shortlist_step and shortlists must come together")
        return self

    @property
    def files(self) -> list[File]:
        """The files it consists of."""
        return [part for _, part in self if isinstance(part, File)]


class TokenizerInfo(Part):
    """The SentencePiece model that both halves use."""

    file: File
    kind: TokenizerKind
    size: Size
    byte_fallback: bool
    normalisation: Normalisation
    case: Case = "as-is"
    """`inline` if words are small and tokens before them say how they are written."""


class Architecture(Part):
    """The shape of the network, for people: the graphs alone decide what is computed."""

    cell: CellKind
    delay: Size | None = None
    """Steps that the cell `skip` looks back besides one."""
    attention: Literal["dot", "general", "additive", "none"]
    attention_heads: Size = 1
    attention_size: Size | None = None
    """Of the space in which additive attention compares; None if it is that of the decoder."""
    embedding_size: Size
    encoder_layers: Size
    encoder_size: Size
    """Hidden size of each direction."""
    decoder_layers: Size
    decoder_size: Size
    layer_norm: bool = False
    """Whether what each recurrent layer passes on is normalised."""
    residual: bool = False
    """Whether the outputs of the layer below are added to those of each layer but the first."""
    context: Literal["every", "first"] = "every"
    """Which decoder layers above the first read attention's context."""
    summary: Literal["state", "input", "both"] | None = None
    """Without attention: whether the encoder's last outputs are the decoder's first state, are
    read at each position, or both; None with attention."""
    input_feeding: bool = False
    """Whether the first decoder layer reads what attention read at the position before."""
    vocabulary_size: Size
    parameters: Size


class Decoding(Part):
    """How to search when the caller does not say."""

    beam: Size
    length_penalty: Annotated[float, Field(ge=0)]
    max_source_tokens: Size
    """Longest sentence the model is trusted with, tag and EOS not counted."""
    max_target_factor: Annotated[float, Field(gt=0)]
    """With `max_target_extra`: a target has at most ceil(factor * source tokens) + extra tokens."""
    max_target_extra: Count


class Score(Part):
    """A quality measured through the service's engine."""

    variant: VariantName
    test_set: str
    direction: Direction
    metric: str
    score: float
    signature: str
    beam: Size
    length_penalty: float
    sentences: Size
    interval: Annotated[float, Field(ge=0)] | None = None
    """Half the width of the 95 % interval, by bootstrap."""


class SweepRow(Part):
    """One setting of the search and what it scored."""

    beam: Size
    length_penalty: float
    bleu: float
    """Mean over the directions."""


class Sweep(Part):
    """The search settings tried on a development set with fp32; the best became the default."""

    test_set: str
    sentences: Size
    rows: list[SweepRow]


class Data(Part):
    """A corpus the model was trained on."""

    name: str
    licence: str
    attribution: str
    pairs: Size
    sha256: dict[str, Sha256]
    """By file name."""
    sources_by: str | None = None
    """The bundle that wrote the source side, if the corpus is synthetic; None if people did."""


class Parity(Part):
    """How closely the graphs follow the network they were built from."""

    max_logit_difference: float
    tolerance: float
    sentences: Size
    tokens: Size
    ties: Count
    """Tokens that differ although the two best logits lie within the tolerance."""


class Training(Part):
    """What the training took."""

    minutes: float
    machine: str
    steps: Size
    epochs: float


class Ancestor(Part):
    """A bundle or a run that this bundle was made with."""

    name: str
    """Name and version of a bundle; name of a run."""
    sha256: Sha256
    """Of the bundle's manifest, or of the run's checkpoint."""


class Distillation(Part):
    """Who taught the network, and how."""

    teachers: Annotated[list[Ancestor], Field(min_length=1)]
    """Those of one direction translated together: their probabilities were averaged."""
    beam: Size
    length_penalty: Annotated[float, Field(ge=0)] | None
    """None where each bundle's own was used."""
    best_of: Size
    """Hypotheses of which the one nearest to a reference was learnt from."""
    pairs: Count
    """Learnt from whose target a teacher made, in all directions."""
    share: Annotated[float, Field(ge=0, le=1)]
    """Of these among all that was learnt from."""
    sources: dict[str, Sha256]
    """What was translated, by file name."""


class Provenance(Part):
    """Where the bundle comes from."""

    created: Annotated[date, Field(strict=False)]
    recipe: str
    """The recipe's text, as it was run."""
    recipe_sha256: Sha256
    data: list[Data]
    versions: dict[str, str]
    """By package name."""
    parity: Parity
    training: Training
    sweep: Sweep | None = None
    init_from: str | None = None
    """The bundle whose weights the training started from, if it did; its data are among `data`."""
    distillation: Distillation | None = None
    """If it learnt from the translations of others."""
    ensemble: list[Ancestor] = Field(default_factory=list)
    """Whose networks translate together: their probabilities are averaged. Empty for one."""
    weights_from: str | None = None
    """The bundle that the weights were read from, if this one was made without a checkpoint."""


class Manifest(Part):
    """All that is said of a bundle."""

    format: Literal[2]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    version: Size
    directions: Annotated[list[Direction], Field(min_length=1)]
    target_tags: dict[Language, str]
    """Token that opens the source, by target language; empty where none is needed."""
    architecture: Architecture
    encoder: Graph
    step: Graph
    state: Annotated[list[str], Field(min_length=1)]
    """Names of the decoder's state tensors, in order, without their shape letters."""
    variants: dict[VariantName, Variant]
    tokenizer: TokenizerInfo
    decoding: Decoding
    scores: list[Score]
    calibrations: list[Calibration] = Field(default_factory=list)
    """At most one of each direction."""
    card: File
    provenance: Provenance

    @property
    def identity(self) -> str:
        """Name and version, as logs and replies show them."""
        return f"{self.name}/{self.version}"

    @property
    def files(self) -> dict[str, File]:
        """Every file the bundle consists of, by path; the manifest is not among them."""
        listed = [self.tokenizer.file, self.card]
        for variant in self.variants.values():
            listed += variant.files
        return {file.path: file for file in listed}

    @model_validator(mode="after")
    def _tags_fit_directions(self) -> Self:
        targets = {direction.target for direction in self.directions}
        if self.target_tags and set(self.target_tags) != targets:
            raise ValueError(f"target_tags must name exactly {sorted(targets)}")
        return self

    @model_validator(mode="after")
    def _variants_have_their_reference(self) -> Self:
        reference = self.variants.get("fp32")
        if reference is None or reference.cost is not None:
            raise ValueError("variants must name fp32, the reference, which has no cost")
        absent = {score.variant for score in self.scores} - self.variants.keys()
        if absent:
            raise ValueError(f"scores are of {sorted(absent)}, which variants does not name")
        return self

    @model_validator(mode="after")
    def _graphs_have_their_tensors(self) -> Self:
        state_NH = [f"{name}_NH" for name in self.state]
        state_PH = [f"{name}_PH" for name in self.state]
        next_NKH = [f"next_{name}_NKH" for name in self.state]
        memory = ["keys_NAS", "memory_NSM"]
        rows = ["tokens_NK", "parents_NK", "candidates"]
        expected = {
            "encoder.inputs": ["source_NS", "lengths_N"],
            "encoder.outputs": [*memory, *state_NH],
            "step.inputs": [*rows, *memory, "mask_NS", *state_PH],
            "step.outputs": ["scores_NKC", "tokens_NKC", "attention_NKS", *next_NKH],
        }
        for place, names in expected.items():
            graph, side = place.split(".")
            if set(getattr(getattr(self, graph), side)) != set(names):
                raise ValueError(f"{place} must name exactly {names}")
        return self
