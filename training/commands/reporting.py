"""The report of a run: what `report` does."""

from pathlib import Path

from training.ablation import AblationResult
from training.commands.printing import console, output
from training.commands.stages import refuse_several
from training.history import read_metrics
from training.markdown import Table
from training.report.measured import measure_run
from training.report.page import render_page
from training.run import Run
from training.tables import ABLATIONS, tabulate_ablation

PAGE = "report.html"


def report_run(run: Run, to: Path | None = None) -> None:
    """Measure the best network of a run and write its page."""
    refuse_several()
    metrics = read_metrics(run)
    with console.status("translating dev and looking into the layers"):
        measured = measure_run(run)
    path = to or run.folder / PAGE
    page = render_page(run, metrics, measured, _find_ablation(run))
    path.write_text(page, encoding="utf-8")
    output.print(f"report: {path}", soft_wrap=True, highlight=False)


def _find_ablation(run: Run) -> Table | None:
    """Return the table of the recipe's ablation, if it was made beside the run."""
    name = f"{ABLATIONS}{run.recipe.name}"
    path = run.folder.parent / name / f"{name}.json"
    return tabulate_ablation(AblationResult.read(path)) if path.exists() else None
