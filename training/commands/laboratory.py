"""The laboratory: what `lab` does with each of its tasks."""

from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from models.bundle import Bundle
from training.commands.printing import console, output, print_table, tell
from training.commands.stages import export_run, prepare_run, refuse_several, train_run
from training.laboratory.accuracy import ask
from training.laboratory.classic_pictures import draw_classics, draw_cliff, tabulate_classics
from training.laboratory.executing import (
    Execution,
    draw_execution_scores,
    measure_execution,
    open_execution,
    tabulate_execution,
)
from training.laboratory.experiment import TEXTS, Experiment, open_experiment
from training.laboratory.learning import PICTURE, Outcome, draw_outcome, tabulate_lengths
from training.laboratory.memory import Held, Subject, hold
from training.laboratory.programs import Difficulty
from training.laboratory.study import (
    RESULTS,
    SaidRow,
    SubjectRow,
    draw_study,
    read_study,
    row_of,
    tabulate_study,
)
from training.laboratory.tasks import TASKS
from training.laboratory.texts import read_pairs_of
from training.laboratory.wishes import DELAYS, EXECUTE, GRADIENTS, MEMORY_TASKS, Wishes
from training.machine import describe_machine
from training.run import Run


def work(wishes: Wishes, runs: Path, *, save: bool = False) -> None:
    """Do what is asked of the laboratory.

    Raises:
        ValueError: it cannot be done.
    """
    refuse_several()
    wishes.check(save=save)
    if wishes.task == GRADIENTS:
        show_classics(runs / "lab-gradients")
    elif wishes.task in MEMORY_TASKS:
        remember(wishes, runs / f"lab-{wishes.task}", save=save)
    elif wishes.task == EXECUTE:
        execute(wishes, runs)
    else:
        learn(wishes, runs, save=save)


def learn(wishes: Wishes, runs: Path, *, save: bool) -> None:
    """Teach a task, export what learnt it, and ask the bundle what it was never taught."""
    length = wishes.lengths[0] if wishes.lengths else TASKS[wishes.task].length
    keys = wishes.network_keys()
    experiment = Experiment(wishes.task, wishes.cells[0], length, wishes.budget(), keys)
    run = open_experiment(experiment, runs)
    bundle = run_once(run)
    answers = ask(bundle.path, read_pairs_of(run.corpora / TEXTS / "test.tsv"))
    outcome = Outcome(experiment.task, answers)
    if save:
        read_study().with_said(_said(wishes, outcome)).write(RESULTS)
    print_table(tabulate_lengths(outcome), markdown=False)
    for answer in outcome.wrong:
        tell(f"wrong: {answer.source} is {answer.expected}, not {answer.given}")
    _show_picture(draw_outcome(outcome, run))


def execute(wishes: Wishes, runs: Path) -> None:
    """Teach programs by a curriculum, and measure by difficulty what was learnt."""
    target = Difficulty(wishes.lengths[0] if wishes.lengths else 2, wishes.nesting or 1)
    curriculum = wishes.curriculum or "combined"
    keys = wishes.network_keys()
    execution = Execution(wishes.cells[0], target, curriculum, wishes.budget(), keys)
    with console.status("drawing programs"):
        run = open_execution(execution, runs)
    scores = measure_execution(run, run_once(run).path, target)
    print_table(tabulate_execution(scores), markdown=False)
    draw_execution_scores(run.folder / PICTURE, scores, curriculum)
    _show_picture(run.folder / PICTURE)


def run_once(run: Run) -> Bundle:
    """Prepare, train and export a run, unless that was done; return its bundle."""
    path = run.destination / run.recipe.name / str(run.recipe.version)
    if path.exists():
        return Bundle.open(path)
    prepare_run(run)
    train_run(run)
    return export_run(run)


def remember(wishes: Wishes, folder: Path, *, save: bool) -> None:
    """Find out how far back layers remember."""
    delays = wishes.lengths or DELAYS
    rows = [_remember(wishes, subject, delays) for subject in wishes.subjects()]
    folder.mkdir(parents=True, exist_ok=True)
    study = read_study() if save else read_study(folder / RESULTS.name)
    for row in rows:
        study = study.with_row(row)
    study.write(RESULTS if save else folder / RESULTS.name)
    print_table(tabulate_study(rows), markdown=False)
    picture = folder / f"{wishes.task}.png"
    draw_study(picture, rows)
    _show_picture(picture)


def show_classics(folder: Path) -> None:
    """Print and draw the figures that every lecture shows."""
    folder.mkdir(parents=True, exist_ok=True)
    print_table(tabulate_classics(), markdown=False)
    for name, draw in (("classics", draw_classics), ("cliff", draw_cliff)):
        path = folder / f"{name}.png"
        draw(path)
        _show_picture(path)


def _remember(wishes: Wishes, subject: Subject, delays: tuple[int, ...]) -> SubjectRow:
    budget, task = wishes.memory_budget(), wishes.memory_task
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        bar = progress.add_task(subject.label, total=len(delays))

        def on_held(held: Held) -> None:
            progress.advance(bar)
            verdict = "held" if held.is_held else "not held"
            console.print(
                f"{subject.label}: {held.delay} steps {verdict}, {held.score:.3f} after "
                f"{held.steps} steps of training",
                highlight=False,
                soft_wrap=True,
            )

        found = hold(task, subject, delays, budget, on_held)
    return row_of(task, subject.label, subject.clip_norm, budget, describe_machine(), found)


def _said(wishes: Wishes, outcome: Outcome) -> SaidRow:
    budget = wishes.budget()
    right = {length: round(each.share, 4) for length, each in outcome.by_length.items()}
    return SaidRow(label=wishes.label, steps=budget.steps, size=budget.size, right_by_length=right)


def _show_picture(path: Path) -> None:
    output.print(f"picture: {path}", soft_wrap=True, highlight=False)
