"""Text that machines wrote: what `distill` and `back-translate` do."""

from collections.abc import Sequence
from pathlib import Path

from models.bundle import Bundle
from training.back_translation import BackTranslation, back_translate, load_targets
from training.commands.printing import (
    comparison_table,
    console,
    output,
    print_report,
    print_reports,
)
from training.commands.stages import export_run, place_of, prepare_run, train_run
from training.comparison import compare, count_translations
from training.corpus import load_dev
from training.distillation import Distiller
from training.experts import open_expert
from training.export import check_version
from training.progress_bar import show_progress
from training.run import Run
from training.teachers import TeacherBundles


def distil(run: Run, teachers: Sequence[Path]) -> None:
    """Train a student on what its teachers make of the training text; compare them on dev."""
    check_version(run, run.destination)  # before hours of training, not after them
    place = place_of(run)
    with console.status("reading"):
        distiller = Distiller(run, [open_expert(path, place) for path in teachers])
    bundles = TeacherBundles(run, place)
    with show_progress(console, "teachers translate", distiller.num_sentences) as advance:
        distilled = distiller.distil(bundles.bundle_of, advance)
    print_reports(distilled.reports)
    prepare_run(distilled.run)
    train_run(distilled.run)
    student = export_run(distilled.run, distillation=distilled.distillation)
    _compare(run, distiller, bundles, student)


def _compare(run: Run, distiller: Distiller, teachers: TeacherBundles, student: Bundle) -> None:
    systems = distiller.systems(teachers.bundle_of, student)
    dev = load_dev(run, run.recipe.export.sweep_sentences)
    with show_progress(console, "comparison", count_translations(systems, dev)) as advance:
        rows = compare(systems, dev, advance)
    output.print(comparison_table(rows))
    signatures = dict.fromkeys(each for row in rows for each in row.signatures)
    output.print(", ".join(signatures), markup=False, highlight=False, soft_wrap=True)


def translate_back(task: BackTranslation, run: Run) -> None:
    """Translate text of the target language back, and say how a recipe uses it."""
    with console.status("cleaning"):
        targets, report = load_targets(task, run)
    print_report(report)
    with show_progress(console, "translating back", len(targets)) as advance:
        print_report(back_translate(task, run, targets, advance))
    output.print(f"wrote {task.output}; in the recipe:\n", soft_wrap=True)
    output.print(task.in_recipe(run), markup=False, highlight=False, soft_wrap=True)
