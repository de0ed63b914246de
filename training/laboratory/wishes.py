"""What is asked of the laboratory on the command line, checked and completed."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from training.kinds import CellKind
from training.laboratory.curricula import Curriculum
from training.laboratory.experiment import Budget
from training.laboratory.memory import MemoryBudget, MemoryTask, Subject
from training.laboratory.tasks import TASKS
from training.recipe import NetworkRecipe

EXECUTE, GRADIENTS, SAVED = "execute", "gradients", "reverse"
MEMORY_TASKS: tuple[str, ...] = get_args(MemoryTask)
LAB_TASKS = (*TASKS, EXECUTE, *MEMORY_TASKS, GRADIENTS)
DELAYS = (10, 20, 40, 80, 160, 320)
BUDGETS = {
    "copy": Budget(pairs=20_000, steps=1_200, size=64),
    "reverse": Budget(pairs=20_000, steps=1_200, size=64),
    "sort": Budget(pairs=20_000, steps=1_200, size=64),
    "parity": Budget(pairs=5_000, steps=1_200, size=64),
    "execute": Budget(pairs=8_000, steps=1, size=128),
    "addition": Budget(pairs=80_000, steps=4_000, size=128),
}
"""With which a GRU reaches what the slow tests ask for."""
ONE_LAYER = {
    "attention": "general",
    "embedding_size": 1,
    "encoder_layers": 1,
    "encoder_size": 1,
    "decoder_layers": 1,
    "decoder_size": 1,
    "tying": "none",
}
"""What a network needs to be told that is a layer only."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """The flags of `lab` as they were given; what is None was not."""

    task: str
    cells: tuple[CellKind, ...] = ("gru",)
    lengths: tuple[int, ...] = ()
    nesting: int | None = None
    curriculum: Curriculum | None = None
    size: int | None = None
    steps: int | None = None
    pairs: int | None = None
    seed: int = 1
    network: tuple[str, ...] = ()
    clip_norm: float | None = 1.0

    def check(self, *, save: bool = False) -> None:
        """Refuse what does not go together.

        Raises:
            ValueError: it says what, and what there is.
        """
        if self.task not in LAB_TASKS:
            raise ValueError(f"task {self.task} is none of {', '.join(LAB_TASKS)}")
        for cell in self.cells:
            if cell not in get_args(CellKind):
                raise ValueError(f"cell {cell} is none of {', '.join(get_args(CellKind))}")
        if self.curriculum not in {None, *get_args(Curriculum)}:
            known = ", ".join(get_args(Curriculum))
            raise ValueError(f"curriculum {self.curriculum} is none of {known}")
        self._check_flags(save=save)

    def _check_flags(self, *, save: bool) -> None:
        if self.task != EXECUTE and (self.nesting or self.curriculum):
            raise ValueError("--nesting and --curriculum are for execute")
        if save and self.task not in (*MEMORY_TASKS, SAVED):
            raise ValueError(f"--save is for {', '.join(MEMORY_TASKS)} and {SAVED}")
        if self.task not in MEMORY_TASKS and len(self.cells) > 1:
            raise ValueError(
                f"{self.task} learns with one cell at a time: {self.cells} are several"
            )
        if self.task not in MEMORY_TASKS and len(self.lengths) > 1:
            raise ValueError(f"{self.task} has one length: {self.lengths} are several")

    @property
    def memory_task(self) -> MemoryTask:
        """The task, of those that ask how far back a layer remembers."""
        return "delay" if self.task == "delay" else "adding"

    @property
    def label(self) -> str:
        """What is tried, in words: the cell and what else of the network was named."""
        return ", ".join([self.cells[0], *(f"{k} {v}" for k, v in self.network_keys().items())])

    def network_keys(self) -> dict[str, Any]:
        """Return the keys of `[network]` that were given.

        Raises:
            ValueError: one is not written as TOML.
        """
        try:
            return tomllib.loads("\n".join(self.network))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"--network {' '.join(self.network)}: {error}") from None

    def budget(self) -> Budget:
        """Return what a task is learnt with."""
        usual = BUDGETS[self.task]
        return Budget(
            pairs=self.pairs or usual.pairs,
            steps=self.steps or usual.steps,
            size=self.size or usual.size,
            rate=usual.rate,
            seed=self.seed,
        )

    def memory_budget(self) -> MemoryBudget:
        """Return what every layer is trained with to remember."""
        usual = MemoryBudget()
        size, steps = self.size or usual.size, self.steps or usual.steps
        return MemoryBudget(size=size, steps=steps, seed=self.seed)

    def subjects(self) -> list[Subject]:
        """Return the layers that are to remember, one for each cell.

        Raises:
            ValueError: a key of the network is wrong.
        """
        return [self._subject(cell) for cell in self.cells]

    def _subject(self, cell: CellKind) -> Subject:
        keys = self.network_keys()
        try:
            network = NetworkRecipe.model_validate({**ONE_LAYER, **keys, "cell": cell})
        except ValidationError as error:
            wrong = [f"network.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise ValueError("; ".join(wrong)) from None
        said = [cell, *(f"{key} {value}" for key, value in keys.items())]
        if self.clip_norm is None:
            said.append("not clipped")
        elif self.clip_norm != 1:
            said.append(f"clipped at {self.clip_norm:g}")
        return Subject(", ".join(said), network, self.clip_norm)


def wishes_of(
    task: str,
    cells: Sequence[str] | None,
    clip_norm: float,
    **given: Any,  # noqa: ANN401
) -> Wishes:
    """Return what the command line says, unchecked."""
    return Wishes(task, tuple(cells or ["gru"]), clip_norm=clip_norm or None, **given)  # type: ignore[arg-type]
