"""Recipes: the TOML file that says how to train one model, parsed strictly.

A recipe is complete: what it does not name it does not use. Paths in it are relative to a folder
of corpora, so a recipe says nothing of a machine.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.bundle import VariantName
from models.casing import Case
from models.normalisation import Normalisation
from models.tokenizer import TokenizerKind
from training.forms import CELLS
from training.kinds import Criterion, TeacherForcing
from training.network_recipe import NetworkRecipe, Probability
from training.text_recipe import CorpusRecipe, Section

__all__ = [
    "DistillationRecipe",
    "ExportRecipe",
    "NetworkRecipe",
    "Recipe",
    "ShortlistRecipe",
    "TokenizerRecipe",
    "TrainingRecipe",
]


class TokenizerRecipe(Section):
    """The vocabulary, shared by all languages of the model."""

    kind: TokenizerKind
    size: int = Field(ge=300)
    """Tokens at most; 256 of them are bytes."""
    normalisation: Normalisation
    case: Case = "as-is"
    """`inline` turns the case of words into tokens before them, so that Hello and hello share
    their pieces."""
    dropout_source: Probability = 0.0
    """BPE-dropout on the source, drawn anew each epoch."""
    dropout_target: Probability = 0.0
    vocabulary: Literal["new", "init_from"] = "new"
    """Learnt from the training text, or that of the bundle the training starts from."""

    @model_validator(mode="after")
    def _can_drop(self) -> Self:
        if (self.dropout_source or self.dropout_target) and self.kind in {"char", "word"}:
            raise ValueError(
                f"tokenizer.kind {self.kind} has no dropout: there is one segmentation"
            )
        if self.case == "inline" and self.kind == "word":
            raise ValueError("tokenizer.case inline needs a kind that has pieces of words")
        return self


class TrainingRecipe(Section):
    """The loop."""

    seed: int = 1
    init_from: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*/[0-9]+$")] | None = None
    """Bundle whose weights training starts from, as NAME/VERSION; at random if left out."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """`auto` times a step in each and takes the faster."""
    batch_tokens: int = Field(ge=1)
    """Padded tokens of the longer side in one batch."""
    optimiser: Literal["adam", "adamw", "sgd", "adagrad", "rmsprop"] = "adam"
    momentum: Probability = 0.0
    """Of `sgd`."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Of matrices and embeddings; decoupled for `adamw`, L2 otherwise."""
    learning_rate: float = Field(gt=0)
    schedule: Literal["trapezoid", "inverse_sqrt", "cosine", "plateau"]
    """What the rate does after its warm-up; see `schedules.py`."""
    warmup_steps: int = Field(ge=1)
    decay_steps: int = Field(default=0, ge=0)
    """Of `trapezoid`."""
    plateau_factor: float | None = Field(default=None, gt=0, lt=1)
    """What `plateau` multiplies the rate with."""
    plateau_patience: int | None = Field(default=None, ge=1)
    """Validations without a better dev BLEU after which it does."""
    max_steps: int = Field(ge=1)
    clip_norm: float | None = Field(default=None, gt=0)
    """Of the whole gradient, after `clip_value`."""
    clip_value: float | None = Field(default=None, gt=0)
    """Of each number of the gradient."""
    teacher: TeacherForcing = "always"
    """How the share of target tokens falls that the decoder is told in training; the others it
    guesses itself; see `schedules.py`."""
    teacher_steps: int | None = Field(default=None, ge=1)
    """Over which it falls."""
    teacher_least: Probability = 0.0
    """The share below which it does not fall."""
    label_smoothing: Probability = 0.0
    r_drop: float = Field(default=0.0, ge=0)
    """How much it weighs that two passes under different dropout disagree; 0 makes one pass."""
    ema_decay: Probability = 0.0
    """Of the averaged weights that are validated and exported; 0 turns averaging off."""
    validate_steps: int = Field(ge=1)
    validation_sentences: int = Field(default=1000, ge=1)
    """Of each direction, from the beginning of its dev text."""
    patience: int = Field(default=10, ge=1)
    """Validations without a better dev BLEU after which training stops."""
    chosen_by: Criterion = "bleu"
    """What dev chooses by: BLEU, or the share of lines that are exactly the reference's."""
    average_best: int = Field(default=0, ge=0)
    """Checkpoints of the best dev BLEU whose mean dev may choose at the end; 0 keeps one only."""
    deterministic: bool = False
    """Equal bits from equal runs, for some speed."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.warmup_steps + self.decay_steps > self.max_steps:
            raise ValueError(
                f"training.warmup_steps {self.warmup_steps} and decay_steps "
                f"{self.decay_steps} exceed max_steps {self.max_steps}"
            )
        if self.decay_steps and self.schedule != "trapezoid":
            raise ValueError(
                f"training.decay_steps belongs to schedule trapezoid, not {self.schedule}"
            )
        return self

    @model_validator(mode="after")
    def _has_what_its_optimiser_needs(self) -> Self:
        if self.momentum and self.optimiser != "sgd":
            raise ValueError(f"training.momentum belongs to optimiser sgd, not {self.optimiser}")
        if self.optimiser == "adamw" and not self.weight_decay:
            raise ValueError("training.optimiser adamw without weight_decay is adam")
        return self

    @model_validator(mode="after")
    def _has_what_a_plateau_needs(self) -> Self:
        given = [
            name
            for name in ("plateau_factor", "plateau_patience")
            if getattr(self, name) is not None
        ]
        if given and self.schedule != "plateau":
            raise ValueError(
                f"training.{given[0]} belongs to schedule plateau, not {self.schedule}"
            )
        if self.schedule != "plateau":
            return self
        if self.plateau_factor is None or self.plateau_patience is None:
            raise ValueError(
                "training.schedule plateau needs training.plateau_factor and plateau_patience"
            )
        if self.plateau_patience >= self.patience:
            raise ValueError(
                f"training.plateau_patience {self.plateau_patience} must be below patience "
                f"{self.patience}, or training ends before the rate falls"
            )
        return self

    @model_validator(mode="after")
    def _has_what_its_teacher_needs(self) -> Self:
        if (self.teacher == "always") != (self.teacher_steps is None):
            raise ValueError(
                "training.teacher_steps belongs to a training.teacher whose share falls: "
                f"{self.teacher} and {self.teacher_steps}"
            )
        if self.teacher != "always" and self.r_drop:
            raise ValueError(
                "training.r_drop compares passes that are told the same: teacher always"
            )
        if self.teacher == "always" and self.teacher_least:
            raise ValueError(
                "training.teacher_least belongs to a training.teacher whose share falls"
            )
        return self

    @model_validator(mode="after")
    def _can_do_as_it_says(self) -> Self:
        if self.average_best == 1:
            raise ValueError("training.average_best 1 averages nothing: 0, or 2 and more")
        if self.deterministic and self.precision == "auto":
            raise ValueError(
                "training.deterministic needs training.precision fp32, bf16 or fp16: "
                "auto asks the clock"
            )
        return self


class DistillationRecipe(Section):
    """What a student is taught by `dragoman-train distill`."""

    beam: int = Field(default=5, ge=1, le=16)
    """With which its teachers translate the training text."""
    length_penalty: float | None = Field(default=None, ge=0, le=3)
    """Of that search; the teachers' own if left out."""
    best_of: int = Field(default=1, ge=1, le=16)
    """Hypotheses of which the one nearest to a reference is learnt from; 1 takes the best."""
    similarity: Literal["bleu", "chrf"] = "bleu"
    """What tells how near it is: sentence BLEU or chrF."""
    keep_originals: float = Field(default=0.0, ge=0, le=1)
    """Share of the original pairs that is learnt from too; 1 keeps both."""

    @model_validator(mode="after")
    def _has_enough_hypotheses(self) -> Self:
        if self.best_of > self.beam:
            raise ValueError(f"best_of {self.best_of} exceeds beam {self.beam}")
        return self


class ShortlistRecipe(Section):
    """Which tokens a sentence may choose from when int8 decodes with shortlists."""

    likeliest: int = Field(ge=1)
    """Target tokens for each source token, by their probability."""
    frequent: int = Field(ge=1)
    """Target tokens for every sentence, by their frequency in the target language."""


class ExportRecipe(Section):
    """What is tried and promised when the bundle is made."""

    publish: bool = True
    """Whether others may have the bundle; it stays in the run's folder else."""
    beams: tuple[Annotated[int, Field(ge=1, le=16)], ...] = (1, 2, 4, 6)
    length_penalties: tuple[Annotated[float, Field(ge=0, le=3)], ...] = (0.6, 1.0, 1.4)
    sweep_sentences: int = Field(default=1000, ge=1)
    """Dev sentences of each direction that choose beam and length penalty and weigh variants."""
    calibration_sentences: int = Field(default=2000, ge=0)
    """Dev sentences of each direction that tell how far a translation can be trusted, one half to
    learn it from and one to measure it; 0 tells nothing."""
    parity_sentences: int = Field(default=200, ge=1)
    """Dev sentences of each direction that compare PyTorch with ONNX Runtime."""
    tolerance: float = Field(default=1e-3, gt=0)
    """Largest difference of a logit between the two."""
    variants: tuple[VariantName, ...] = ("fp32", "int8", "fp16")
    """Renderings to publish: fp32, the reference, and what is weighed against it."""
    positions: int = Field(default=4, ge=1, le=16)
    """Target positions that one greedy run computes on a GPU; up to one less is in vain for each
    sentence, and the host is asked that many times less."""
    max_bleu_loss: float = Field(default=0.2, ge=0)
    """Most dev BLEU a variant may lose beside fp32, greedy or with the chosen beam."""
    shortlist: ShortlistRecipe | None = None
    """What shortlists of int8 hold; no shortlists if left out. They may lose `max_bleu_loss`
    beside int8 without them."""
    max_source_tokens: int = Field(ge=1)
    """Sentences above it are split further by the service."""

    @model_validator(mode="after")
    def _has_a_reference(self) -> Self:
        if "fp32" not in self.variants:
            raise ValueError("export.variants must name fp32, which the others are weighed against")
        return self

    @model_validator(mode="after")
    def _shortlists_have_their_variant(self) -> Self:
        if self.shortlist is not None and "int8" not in self.variants:
            raise ValueError("export.shortlist needs int8 in export.variants: its sums are exact")
        return self


class Recipe(Section):
    """How to train one model, from text to bundle."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    version: int = Field(ge=1)
    corpus: CorpusRecipe
    tokenizer: TokenizerRecipe
    network: NetworkRecipe
    training: TrainingRecipe
    distillation: DistillationRecipe = DistillationRecipe()
    export: ExportRecipe

    @model_validator(mode="after")
    def _has_its_vocabulary(self) -> Self:
        if self.tokenizer.vocabulary == "init_from" and self.training.init_from is None:
            raise ValueError('tokenizer.vocabulary "init_from" needs training.init_from')
        return self

    @model_validator(mode="after")
    def _cell_has_its_variants(self) -> Self:
        form, variants = CELLS[self.network.cell].form, self.export.variants
        if "int8" in variants and not form.is_bounded:
            raise ValueError(
                f"export.variants int8: outputs of network.cell {self.network.cell} have no bound, "
                "which integers of 8 bits need; leave it out"
            )
        if "fp16" in variants and not form.runs_on_gpu:
            raise ValueError(
                f"export.variants fp16: ONNX Runtime has no operator for network.cell "
                f"{self.network.cell} on a GPU; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _measures_what_it_is_chosen_by(self) -> Self:
        for text in self.corpus.dev:
            if self.training.chosen_by == "exact" and "exact" not in text.protocols:
                raise ValueError(
                    f'training.chosen_by "exact" needs exact in the protocols of {text.name}'
                )
        return self

    @property
    def has_tags(self) -> bool:
        """Whether a source begins with its target tag: when there are several targets."""
        return len({target for _, target in self.corpus.directions}) > 1
