"""What was found of memory, kept as JSON, and the table and the picture of it.

    python -m training.laboratory.study

writes those of `training/laboratory.md` from `results/memory.json`, which `dragoman-train lab
delay`, `adding` and `reverse` fill with `--save`.
"""

from collections.abc import Sequence
from pathlib import Path

from training.laboratory.memory import HELD_ACCURACY, HELD_ERROR, Held, MemoryBudget, MemoryTask
from training.markdown import Table, fill
from training.plots import Reach, draw_reaches
from training.record import Record

HERE = Path(__file__).parent
PAGE = HERE.parent / "laboratory.md"
PICTURES = HERE.parent / "pictures"
RESULTS = HERE / "results" / "memory.json"
MEMORY_PICTURE = "memory.png"


class HeldRow(Record):
    """What came of one delay."""

    delay: int
    score: float
    is_held: bool
    steps: int
    seconds: float


class SubjectRow(Record):
    """How far back a subject remembered, on one task."""

    task: MemoryTask
    label: str
    size: int
    budget_steps: int
    rows: int
    rate: float
    clip_norm: float | None
    seed: int
    machine: str
    held: tuple[HeldRow, ...]

    @property
    def longest(self) -> int:
        """Of the delays that were held; 0 if none was."""
        return max((each.delay for each in self.held if each.is_held), default=0)

    @property
    def is_open(self) -> bool:
        """Whether the longest delay that was tried was held: it may remember more."""
        return all(each.is_held for each in self.held)

    @property
    def is_of(self) -> tuple[str, str]:
        """What tells it from other rows."""
        return self.task, self.label


class SaidRow(Record):
    """How long a word a whole network said again, from its end."""

    label: str
    steps: int
    size: int
    right_by_length: dict[int, float]
    """Share of held-out words that are exactly right."""

    @property
    def longest(self) -> int:
        """Up to which length at least 95 % are; 0 if none is."""
        longest = 0
        for length in sorted(self.right_by_length):
            if self.right_by_length[length] < HELD_ACCURACY:
                break
            longest = length
        return longest


class Study(Record):
    """Everything that was measured."""

    rows: tuple[SubjectRow, ...] = ()
    said: tuple[SaidRow, ...] = ()

    def with_said(self, row: SaidRow) -> "Study":
        """Return the study with a row in place of an older one of the same label."""
        kept = [each for each in self.said if each.label != row.label]
        return self.model_copy(update={"said": (*kept, row)})

    def with_row(self, row: SubjectRow) -> "Study":
        """Return the study with a row in place of an older one of the same task and label."""
        kept = [each for each in self.rows if each.is_of != row.is_of]
        return self.model_copy(update={"rows": (*kept, row)})


def row_of(
    task: MemoryTask,
    label: str,
    clip_norm: float | None,
    budget: MemoryBudget,
    machine: str,
    held: Sequence[Held],
) -> SubjectRow:
    """Write down what a subject came to."""
    return SubjectRow(
        task=task,
        label=label,
        size=budget.size,
        budget_steps=budget.steps,
        rows=budget.rows,
        rate=budget.rate,
        clip_norm=clip_norm,
        seed=budget.seed,
        machine=machine,
        held=tuple(
            HeldRow(
                delay=each.delay,
                score=round(each.score, 4),
                is_held=each.is_held,
                steps=each.steps,
                seconds=round(each.seconds, 1),
            )
            for each in held
        ),
    )


def tabulate_study(rows: Sequence[SubjectRow]) -> Table:
    """Return one row for each subject: the longest delay held on each task, and what came next."""
    labels = list(dict.fromkeys(row.label for row in rows))
    found = {row.is_of: row for row in rows}
    lines = []
    for label in labels:
        cells = [_cells(found.get((task, label))) for task in ("delay", "adding")]
        lines.append((label, *(text for pair in cells for text in pair)))
    header = ("layer", "delay held", "at the next, right", "adding held", "at the next, error")
    return Table(header, lines, len(header))


def _cells(row: SubjectRow | None) -> tuple[str, str]:
    if row is None or row.is_open:
        return (told_reach(row) if row else "not measured"), ""
    failed = next(each for each in row.held if not each.is_held)
    score = f"{failed.score:.0%}" if row.task == "delay" else f"{failed.score:.3f}"
    return told_reach(row), f"{score} at {failed.delay}"


def told_reach(row: SubjectRow) -> str:
    """Return the longest delay that was held, and whether it may hold more."""
    return f"{row.longest}, the longest tried" if row.is_open else f"{row.longest}"


def draw_study(file: Path, rows: Sequence[SubjectRow]) -> None:
    """Write the picture: the longest delay that each layer held."""
    labels = list(dict.fromkeys(row.label for row in rows))
    found = {row.is_of: row for row in rows}
    titles = {
        "delay": "delay: one of four symbols, then noise",
        "adding": "adding: the sum of two marked numbers",
    }
    panels = [
        (title, [_reach(label, found.get((task, label))) for label in labels])
        for task, title in titles.items()
        if any(row.task == task for row in rows)
    ]
    draw_reaches(file, panels, "steps that were held")


def _reach(label: str, row: SubjectRow | None) -> Reach:
    return Reach(label, row.longest, row.is_open) if row else Reach(label, None)


def describe_study(rows: Sequence[SubjectRow]) -> str:
    """Return under which circumstances the rows were measured, in a paragraph."""
    budgets = sorted(
        {
            f"{row.size} units, at most {row.budget_steps} steps of {row.rows} sequences, Adam at "
            f"{row.rate:g}, seed {row.seed}"
            for row in rows
        }
    )
    machines = sorted({row.machine for row in rows})
    minutes = sum(each.seconds for row in rows for each in row.held) / 60
    return (
        f"{'; '.join(budgets)}; gradient norm cut at 1 unless the row says otherwise; "
        f"{minutes:.0f} minutes in all on {'; '.join(machines)}. Held is an accuracy of "
        f"{HELD_ACCURACY:.0%} (chance 25 %) or a squared error of {HELD_ERROR:g} (the mean has "
        f"0.167) on 500 new sequences, with one seed."
    )


def read_study(path: Path = RESULTS) -> Study:
    """Read what was kept; an empty study if nothing was."""
    return Study.read(path) if path.exists() else Study()


def tabulate_said(rows: Sequence[SaidRow]) -> Table:
    """Return one row for each way in which a decoder knows of the source."""
    lines = [
        (
            row.label,
            f"{row.longest}",
            ", ".join(f"{n}: {share:.1%}" for n, share in sorted(row.right_by_length.items())),
            f"{row.steps:,} steps, {row.size} units",
        )
        for row in rows
    ]
    header = ("network", "letters held", "right, by letters", "budget")
    return Table(header, lines, len(header))


def fill_page(text: str, study: Study) -> str:
    """Return the page with the tables of what was measured."""
    memory, said = "Not measured.", "Not measured."
    if study.rows:
        parts = [
            tabulate_study(study.rows).markdown(),
            describe_study(study.rows),
            f"![The longest delay that each layer held](pictures/{MEMORY_PICTURE})",
        ]
        memory = "\n\n".join(parts)
    if study.said:
        said = tabulate_said(study.said).markdown()
    return fill(text, {"memory": memory, "said": said})


if __name__ == "__main__":
    found = read_study()
    PAGE.write_text(fill_page(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    if found.rows:
        draw_study(PICTURES / MEMORY_PICTURE, found.rows)
