"""From text to bundle: what `prepare`, `train`, `evaluate` and `export` do."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models.bundle import Bundle, Distillation
from training.commands.printing import console, output, print_reports, score_table
from training.corpus import load_dev
from training.evaluate import validate
from training.experts import Place, ensemble_of, open_expert
from training.export import check_version, export
from training.prepare import open_tokenizer, prepare
from training.ranks import is_one_of_several, join
from training.run import Run
from training.terminal import last_line, train_and_show
from training.trained import load_network, trained_of_bundle, trained_of_run
from training.trainer import Trainer, load_best


def prepare_run(run: Run) -> None:
    """Clean the text of a run, learn its vocabulary and encode it."""
    refuse_several()

    with console.status("preparing"):
        reports = prepare(run)
    print_reports(reports)


def train_run(run: Run) -> None:
    """Train the network of a run, or go on with it; alone or as one of several processes."""
    with join() as (ranks, device):
        trainer = Trainer(run, device, ranks)
        if ranks.is_first:
            size = f"{trainer.network.num_parameters:,} parameters"
            console.print(f"{size}, {trainer.precision} on {trainer.machine}")
        position = train_and_show(trainer, run.recipe.training, console)
        if ranks.is_first:
            line = last_line(run.recipe.name, position, run.recipe.training.chosen_by)
            output.print(line, soft_wrap=True)


def evaluate_run(run: Run) -> None:
    """Score the best checkpoint of a run on dev."""
    refuse_several()

    network, *_ = load_best(run)
    dev = load_dev(run, run.recipe.training.validation_sentences)
    with console.status("translating"):
        scores = validate(network, open_tokenizer(run), run, dev)
    output.print(score_table(scores))


def export_run(
    run: Run,
    weights_from: Path | None = None,
    members: Sequence[Path] = (),
    distillation: Distillation | None = None,
) -> Bundle:
    """Publish what a run has learnt, or the weights of a bundle or of several networks."""
    refuse_several()
    check_version(run, run.destination)
    if members:
        place = place_of(run)
        trained = ensemble_of(run, [open_expert(path, place) for path in members], place)
    elif weights_from is not None:
        trained = trained_of_bundle(run, weights_from)
    else:
        trained = trained_of_run(run, *load_network(run))
        trained = replace(trained, distillation=distillation)
    bundle = export(run, trained, run.destination, console)
    verb = "published" if run.recipe.export.publish else "kept"
    output.print(f"{verb} {bundle.identity} in {bundle.path}", soft_wrap=True)
    return bundle


def place_of(run: Run) -> Place:
    """Return where a run finds others and bundles."""
    return Place(run.corpora, run.folder.parent, run.bundles)


def refuse_several() -> None:
    """Refuse to be one of several processes: only training knows how."""
    if is_one_of_several():
        raise ValueError("torchrun is for `train` alone; prepare, evaluate and export without it")


def run_stages(run: Run) -> None:
    """Prepare, train and export a run."""
    check_version(run, run.destination)  # before hours of training, not after them
    prepare_run(run)
    train_run(run)
    export_run(run)
