"""The `dragoman-train` command: prepare, train, evaluate, export, or all of them.

Results go to stdout, progress to stderr. Exit status: 0 done, 1 failed, 2 wrong usage,
130 interrupted. Repeating a command after an interruption goes on where it stopped.
"""

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from models.bundle import Bundle, DamagedBundle, Training
from service.errors import ServiceError
from training.recipe import BUNDLES, Run, open_run

if TYPE_CHECKING:
    from service.evaluation import Metric
    from training.corpus import Report
    from training.network import Network

output = Console()
console = Console(stderr=True)

RecipeFile = Annotated[Path, typer.Argument(help="Recipe, a TOML file.")]
Corpora = Annotated[
    Path,
    typer.Option(help="Folder that the recipe's paths are relative to."),
]
Runs = Annotated[Path, typer.Option(help="Folder of runs; this one's is named by its recipe.")]
Bundles = Annotated[
    Path,
    typer.Option(help="Folder of published bundles."),
]
WeightsFrom = Annotated[
    Path | None,
    typer.Option(help="Published bundle to take the weights of, instead of a checkpoint."),
]

HERE = Path()
RUNS = Path("runs")


class Commands(TyperGroup):
    """All commands, and the one place that tells what went wrong in one of them."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  # typer keeps the types private
        """Run a command; a failure becomes a sentence and an exit status."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            console.print("interrupted: the same command goes on from the last checkpoint")
            raise typer.Exit(130) from None
        except (ValueError, ServiceError, DamagedBundle, OSError) as failure:
            _fail(str(failure))


dragoman_train = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train a translator on parallel text and publish it as a bundle.",
)


@dragoman_train.command()
def prepare(
    recipe: RecipeFile, corpora: Corpora = HERE, runs: Runs = RUNS, bundles: Bundles = BUNDLES
) -> None:
    """Clean the text, check it for leaks, learn the vocabulary and encode."""
    _prepare(open_run(recipe, corpora, runs, bundles))


@dragoman_train.command()
def train(
    recipe: RecipeFile, corpora: Corpora = HERE, runs: Runs = RUNS, bundles: Bundles = BUNDLES
) -> None:
    """Train the network on what was prepared, or go on after an interruption."""
    _train(open_run(recipe, corpora, runs, bundles))


@dragoman_train.command()
def evaluate(recipe: RecipeFile, corpora: Corpora = HERE, runs: Runs = RUNS) -> None:
    """Score the best checkpoint on the dev text, greedily, without a bundle."""
    _evaluate(open_run(recipe, corpora, runs))


@dragoman_train.command()
def export(
    recipe: RecipeFile,
    corpora: Corpora = HERE,
    runs: Runs = RUNS,
    bundles: Bundles = BUNDLES,
    weights_from: WeightsFrom = None,
) -> None:
    """Publish the best checkpoint: parity gate, sweep, gate of the variants, scores, card."""
    _export(open_run(recipe, corpora, runs, bundles), weights_from)


@dragoman_train.command("all")
def run_all(
    recipe: RecipeFile, corpora: Corpora = HERE, runs: Runs = RUNS, bundles: Bundles = BUNDLES
) -> None:
    """Prepare, train and export."""
    from training.export import check_version  # noqa: PLC0415

    run = open_run(recipe, corpora, runs, bundles)
    check_version(run, bundles)  # before hours of training, not after them
    _prepare(run)
    _train(run)
    _export(run)


def main() -> None:
    """Run the command line."""
    dragoman_train()


def _prepare(run: Run) -> None:
    _refuse_several()
    # the imports inside these functions spare `--help` the loading of torch: 2 seconds
    from training.prepare import prepare  # noqa: PLC0415

    with console.status("preparing"):
        reports = prepare(run)
    for report in reports:
        output.print(report.name, highlight=False, soft_wrap=True)
        output.print(_report_table(report))


def _train(run: Run) -> None:
    from training.ranks import join  # noqa: PLC0415
    from training.terminal import last_line, train_and_show  # noqa: PLC0415
    from training.trainer import Trainer  # noqa: PLC0415

    with join() as (ranks, device):
        trainer = Trainer(run, device, ranks)
        if ranks.is_first:
            size = f"{trainer.network.num_parameters:,} parameters"
            console.print(f"{size}, {trainer.precision} on {_machine(ranks.count)}")
        position = train_and_show(trainer, run.recipe.training, console)
        if ranks.is_first:
            output.print(last_line(run.recipe.name, position), soft_wrap=True)


def _evaluate(run: Run) -> None:
    _refuse_several()
    from training.corpus import load_dev  # noqa: PLC0415
    from training.evaluate import validate  # noqa: PLC0415
    from training.prepare import open_tokenizer  # noqa: PLC0415

    network, _ = _load_best(run)
    dev = load_dev(run, run.recipe.training.validation_sentences)
    with console.status("translating"):
        scores = validate(network, open_tokenizer(run), run, dev)
    output.print(_score_table(scores))


def _export(run: Run, weights_from: Path | None = None) -> Bundle:
    _refuse_several()
    from training.export import check_version, export  # noqa: PLC0415
    from training.trained import trained_of_bundle, trained_of_run  # noqa: PLC0415

    check_version(run, run.bundles)
    if weights_from is None:
        trained = trained_of_run(run, *_load_best(run))
    else:
        trained = trained_of_bundle(run, weights_from)
    bundle = export(run, trained, run.bundles, console)
    output.print(f"published {bundle.identity} in {bundle.path}", soft_wrap=True)
    return bundle


def _load_best(run: Run) -> tuple["Network", Training]:
    from training.trainer import load_best  # noqa: PLC0415

    network, position, steps_per_epoch = load_best(run)
    took = Training(
        minutes=round(position.seconds / 60, 1),
        machine=_machine(),
        steps=position.step,
        epochs=round(position.epoch + position.batch / steps_per_epoch, 1),
    )
    return network, took


def _refuse_several() -> None:
    from training.ranks import is_one_of_several  # noqa: PLC0415

    if is_one_of_several():
        raise ValueError("torchrun is for `train` alone; prepare, evaluate and export without it")


def _machine(processes: int = 1) -> str:
    """Return the class of this machine, in the words a model card uses."""
    import torch  # noqa: PLC0415

    if torch.cuda.is_available():
        return f"{'one' if processes == 1 else processes} {torch.cuda.get_device_name()}"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{os.cpu_count()} CPU cores ({platform.machine()}, {capability})"


def _report_table(report: "Report") -> Table:
    table = Table("pairs", "count")
    table.columns[1].justify = "right"
    table.add_row("read", f"{report.read:,}")
    for reason, count in sorted(report.dropped.items(), key=lambda item: -item[1]):
        table.add_row(f"dropped: {reason}", f"{count:,}")
    table.add_row("kept", f"{report.kept:,}")
    return table


def _score_table(scores: dict[str, list["Metric"]]) -> Table:
    table = Table("direction", "metric", "score")
    table.add_column("signature", overflow="fold")  # worth nothing in parts
    for direction, metrics in scores.items():
        for metric in metrics:
            table.add_row(direction, metric.name, f"{metric.score:.2f}", metric.signature)
    return table


def _fail(sentence: str) -> NoReturn:
    console.print(f"[red]{escape(sentence)}[/red]", highlight=False, soft_wrap=True)
    raise typer.Exit(1)
