"""The part of a recipe that says what is learnt from and what is measured on."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.kinds import ProtocolName

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")]

TO_THE_END = -1
"""As the last epoch of a text: that of the training."""


class Section(BaseModel):
    """One table of a recipe; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TextRecipe(Section):
    """Parallel text: two line-aligned files, one TSV or one TMX."""

    name: str
    languages: tuple[Language, Language]
    files: tuple[Path, Path] | None = None
    """One file for each language, line N of both being one pair."""
    tsv: Path | None = None
    """First column the first language, second column the second; more are ignored."""
    tmx: Path | None = None
    pairs: int | None = Field(default=None, ge=1)
    """How many are read, from the beginning; all if left out."""
    licence: str = ""
    attribution: str = ""
    weight: float = Field(default=1.0, gt=0, le=100)
    """How much of a training text one epoch reads: 0.5 is half of it, drawn anew each epoch, and
    2 is all of it twice."""
    kind: Literal["parallel", "back-translated", "distilled"] = "parallel"
    """What a training text is: people's translations; the second language as people wrote it and
    the first as a machine did; or the second as a teacher translated the first. Of the last two
    only the direction to the second is learnt."""
    tagged: bool = False
    """Whether sources of back-translated text begin with a token of their own."""
    epochs: tuple[int, int] | None = None
    """First and last epoch, from 0, that read a training text; all of them if left out. Texts that
    follow one another make a curriculum. A last epoch of -1 is the end of training."""

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        if sum(form is not None for form in (self.files, self.tsv, self.tmx)) != 1:
            raise ValueError(f"{self.name}: give exactly one of files, tsv and tmx")
        if self.languages[0] == self.languages[1]:
            raise ValueError(f"{self.name}: both languages are {self.languages[0]}")
        return self

    @model_validator(mode="after")
    def _tells_synthetic_text(self) -> Self:
        if self.kind == "back-translated" and self.tsv is None:
            raise ValueError(f"{self.name}: back-translated text is a tsv")
        if self.tagged and self.kind != "back-translated":
            raise ValueError(f"{self.name}: only back-translated text is tagged")
        return self

    @model_validator(mode="after")
    def _is_read_in_some_epoch(self) -> Self:
        if self.epochs is not None:
            first, last = self.epochs
            if first < 0 or (last != TO_THE_END and last < first):
                raise ValueError(f"{self.name}: epochs {first} to {last} are none")
        return self

    def is_read_in(self, epoch: int) -> bool:
        """Return whether an epoch, counted from 0, reads it."""
        if self.epochs is None:
            return True
        first, last = self.epochs
        return first <= epoch and (last == TO_THE_END or epoch <= last)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files it is read from, as the recipe names them."""
        single = self.tsv or self.tmx
        files = (single,) if single else self.files or ()
        return files if self.origin is None else (*files, self.origin)

    @property
    def origin(self) -> Path | None:
        """The file that says who made it, if a machine did."""
        if self.tsv is None or self.kind != "back-translated":
            return None
        return self.tsv.with_name(f"{self.tsv.name}.json")

    def teaches(self, source: str, target: str) -> bool:
        """Return whether a direction is learnt from it."""
        if self.kind == "parallel":
            return {source, target} == set(self.languages)
        return (source, target) == self.languages


class HeldOutRecipe(TextRecipe):
    """Parallel text that is measured on."""

    # left out of dumps, by which runs and bundles are recognised: it decides nothing of what is
    # learnt, so a run that was trained without it can be measured with it
    protocols: tuple[ProtocolName, ...] = Field(default=("detok",), exclude=True)
    """How BLEU is taken: `detok`, by which everything is chosen, and `lc-tok` beside it. `exact`
    counts the lines that are the reference's."""
    joined: int = Field(default=1, ge=1, le=16, exclude=True)
    """Consecutive lines that make one, which is translated as one sentence."""

    @model_validator(mode="after")
    def _is_read_as_it_is(self) -> Self:
        if self.kind != "parallel":
            raise ValueError(f"{self.name}: what is measured on is parallel text")
        if self.weight != 1:
            raise ValueError(f"{self.name}: weight {self.weight:g} is for training texts")
        if self.epochs is not None:
            raise ValueError(f"{self.name}: epochs {self.epochs} are for training texts")
        return self

    @model_validator(mode="after")
    def _has_what_is_chosen_by(self) -> Self:
        if "detok" not in self.protocols:
            raise ValueError(f"{self.name}: protocols must name detok")
        return self

    @property
    def title(self) -> str:
        """Its name in scores, with what is done to its lines."""
        return self.name if self.joined == 1 else f"{self.name}, {self.joined} lines joined"


class CleaningRecipe(Section):
    """What makes a training pair unusable. Words are what white space separates."""

    max_words: int = Field(ge=1)
    """Longest side kept."""
    max_ratio: float = Field(ge=1)
    """Longest side over shortest, in characters, above which a pair is misaligned."""
    min_ratio_characters: int = Field(ge=0)
    """Shorter pairs may have any ratio: "Oui." and "Yes, I do." are both right."""
    min_letters: float = Field(default=0.3, ge=0, le=1)
    """Share of letters below which a side is numbers or markup: 3 characters in 10 are enough for
    names. 0 keeps everything."""


class CorpusRecipe(Section):
    """What is learnt from and what is measured on."""

    directions: tuple[tuple[Language, Language], ...] = Field(min_length=1)
    train: tuple[TextRecipe, ...] = Field(min_length=1)
    dev: tuple[HeldOutRecipe, ...] = Field(min_length=1)
    tests: tuple[HeldOutRecipe, ...] = ()
    cleaning: CleaningRecipe
    leaks: Literal["side", "pair"] = "side"
    """What may not be shared with dev and tests: either side of a pair, or whole pairs."""
    on_leak: Literal["refuse", "drop"] = "refuse"
    """Whether a training pair that leaks stops the preparation, or is left out and counted."""
    direction_weights: dict[str, Annotated[float, Field(gt=0, le=100)]] = {}
    """By direction, as `en-de`: what the weights of texts are multiplied by; 1 if left out. A hard
    direction may read more of the same text than the easy one."""
    joined: float = Field(default=0.0, ge=0, le=1)
    """Share of the training pairs that an epoch reads joined, two or three to an example."""

    @model_validator(mode="after")
    def _weighs_its_directions(self) -> Self:
        known = {"-".join(direction) for direction in self.directions}
        if unknown := sorted(self.direction_weights.keys() - known):
            raise ValueError(
                f"corpus.direction_weights names {unknown[0]}, which is none of {sorted(known)}"
            )
        return self

    def weight(self, text: TextRecipe, source: str, target: str) -> float:
        """Return how often an epoch reads a training text in a direction."""
        return text.weight * self.direction_weights.get(f"{source}-{target}", 1.0)

    @model_validator(mode="after")
    def _covers_directions(self) -> Self:
        for name in ("train", "dev"):
            for direction in self.directions:
                if not any(text.teaches(*direction) for text in getattr(self, name)):
                    raise ValueError(f"corpus.{name} has no text for {'-'.join(direction)}")
        return self

    @model_validator(mode="after")
    def _reads_something_in_every_epoch(self) -> Self:
        ends = [text.epochs[1] for text in self.train if text.epochs is not None]
        for epoch in range(max([0, *(end + 2 for end in ends)])):
            for direction in self.directions:
                if not any(t.is_read_in(epoch) and t.teaches(*direction) for t in self.train):
                    raise ValueError(
                        f"corpus.train has no text for {'-'.join(direction)} in epoch {epoch}"
                    )
        return self

    @model_validator(mode="after")
    def _learns_from_synthetic_text_only_what_it_teaches(self) -> Self:
        for text in self.train:
            if text.kind != "parallel" and text.languages not in self.directions:
                taught = "-".join(text.languages)
                raise ValueError(f"{text.name}: {taught}, which it teaches, is no direction")
        return self
