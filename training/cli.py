"""The `dragoman-train` command: prepare, train, evaluate, export, or all of them; and tables.

Results go to stdout, progress to stderr. Exit status: 0 done, 1 failed, 2 wrong usage,
130 interrupted. Repeating a command after an interruption goes on where it stopped.

What the commands do is in `commands/`, imported where it is used: that loads torch, two seconds
which `--help` and a wrong flag need not wait for.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from models.bundle import DamagedBundle
from service.errors import ServiceError
from training.commands import flags
from training.commands.printing import console, fail, output, print_examinations, print_table
from training.run import BUNDLES, open_run, read_run

if TYPE_CHECKING:
    from training.own_text import OwnText

HERE = Path()
RUNS = Path("runs")
MINUTES = 60.0
"""Of training on a text of one's own, at most, unless told otherwise."""


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
            fail(str(failure))


dragoman_train = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train a translator on parallel text and publish it as a bundle.",
)


@dragoman_train.command()
def prepare(
    recipe: flags.RecipeFile,
    corpora: flags.Corpora = HERE,
    runs: flags.Runs = RUNS,
    bundles: flags.Bundles = BUNDLES,
    seed: flags.Seed = None,
) -> None:
    """Clean the text, check it for leaks, learn the vocabulary and encode."""
    from training.commands.stages import prepare_run  # noqa: PLC0415

    prepare_run(open_run(recipe, corpora, runs, bundles, seed))


@dragoman_train.command()
def train(
    recipe: flags.RecipeFile,
    corpora: flags.Corpora = HERE,
    runs: flags.Runs = RUNS,
    bundles: flags.Bundles = BUNDLES,
    seed: flags.Seed = None,
) -> None:
    """Train the network on what was prepared, or go on after an interruption."""
    from training.commands.stages import train_run  # noqa: PLC0415

    train_run(open_run(recipe, corpora, runs, bundles, seed))


@dragoman_train.command()
def evaluate(
    recipe: flags.RecipeFile,
    corpora: flags.Corpora = HERE,
    runs: flags.Runs = RUNS,
    seed: flags.Seed = None,
) -> None:
    """Score the best checkpoint on the dev text, greedily, without a bundle."""
    from training.commands.stages import evaluate_run  # noqa: PLC0415

    evaluate_run(open_run(recipe, corpora, runs, seed=seed))


@dragoman_train.command()
def export(  # noqa: PLR0913, PLR0917  # one parameter for each flag
    recipe: flags.RecipeFile,
    corpora: flags.Corpora = HERE,
    runs: flags.Runs = RUNS,
    bundles: flags.Bundles = BUNDLES,
    weights_from: flags.WeightsFrom = None,
    ensemble: flags.Members = None,
    seed: flags.Seed = None,
) -> None:
    """Publish the best checkpoint: parity gate, sweep, gate of the variants, scores, card."""
    from training.commands.stages import export_run  # noqa: PLC0415

    export_run(open_run(recipe, corpora, runs, bundles, seed), weights_from, ensemble or [])


@dragoman_train.command()
def doctor(
    recipe: flags.AnyRecipe = None,
    corpora: flags.Corpora = HERE,
    corpus: flags.Corpus = None,
    source: flags.From = None,
    target: flags.To = None,
    as_json: flags.AsJson = False,
) -> None:
    """Examine text before it is trained on: a recipe's, or that of --corpus.

    Reports duplicates, length ratios, wrong languages, shifted lines, leaks and odd characters,
    with a verdict for each: ok, look or stop. Exit status 1 if one says stop.
    """
    from training.commands.doctor import examine, examine_recipe  # noqa: PLC0415

    if _is_own(recipe, corpus):
        own = _own_text(corpus, source, target)
        examinations, is_tmx = [examine(own)], own.is_tmx
    else:
        assert recipe is not None, "checked above"
        examinations, is_tmx = examine_recipe(read_run(recipe, corpora)), False
    if as_json:
        output.print_json(data=[examination.fields() for examination in examinations])
    else:
        print_examinations(output, examinations, is_tmx=is_tmx)
    if any(examination.stops for examination in examinations):
        raise typer.Exit(1)


@dragoman_train.command("all")
def run_all(  # noqa: PLR0913, PLR0917  # one parameter for each flag
    recipe: flags.AnyRecipe = None,
    corpora: flags.Corpora = HERE,
    runs: flags.Runs = RUNS,
    bundles: flags.Bundles = BUNDLES,
    corpus: flags.Corpus = None,
    source: flags.From = None,
    target: flags.To = None,
    both: flags.Both = False,
    name: flags.Name = None,
    version: flags.Version = None,
    minutes: flags.Minutes = None,
    seed: flags.Seed = None,
) -> None:
    """Prepare, train and export: by a recipe, or a text of your own with --corpus.

    For a text of your own a recipe is written, and the bundle's variants are compared in the end.
    """
    from training.commands.own_text import train_own  # noqa: PLC0415
    from training.commands.stages import run_stages  # noqa: PLC0415

    only_own = {"--both": both or None, "--name": name, "--version": version, "--minutes": minutes}
    if _is_own(recipe, corpus):
        _refuse({"--seed": seed}, "repeats a recipe: give that of the run of --corpus")
        own = _own_text(corpus, source, target)
        own = replace(own, both=both, name=name, version=version or own.version)
        train_own(own, runs, bundles, minutes or MINUTES)
        return
    _refuse({"--from": source, "--to": target, **only_own}, "is for --corpus: a recipe says it")
    assert recipe is not None, "checked above"
    run_stages(open_run(recipe, corpora, runs, bundles, seed))


@dragoman_train.command()
def distill(
    recipe: flags.RecipeFile,
    teacher: flags.Teachers,
    corpora: flags.Corpora = HERE,
    runs: flags.Runs = RUNS,
    bundles: flags.Bundles = BUNDLES,
    seed: flags.Seed = None,
) -> None:
    """Train a student on its teachers' translations of the training text, and publish it."""
    from training.commands.synthetic import distil  # noqa: PLC0415

    distil(open_run(recipe, corpora, runs, bundles, seed), teacher)


@dragoman_train.command("back-translate")
def back_translate(  # noqa: PLR0913, PLR0917  # one parameter for each flag
    recipe: flags.RecipeFile,
    bundle: flags.Translating,
    text: flags.Text,
    source: flags.Source,
    target: flags.Target,
    output_file: flags.PairsFile = None,
    beam: flags.Beam = None,
    corpora: flags.Corpora = HERE,
    runs: flags.Runs = RUNS,
) -> None:
    """Make training pairs of text in the target language, its sources translated by a bundle.

    The recipe tells how text is cleaned and which held-out text it must not hold.
    """
    from training.back_translation import BackTranslation  # noqa: PLC0415
    from training.commands.synthetic import translate_back  # noqa: PLC0415

    written = output_file or text.with_suffix(f".{source}-{target}.tsv")
    task = BackTranslation(text, source, target, bundle, written, beam)
    translate_back(task, open_run(recipe, corpora, runs))


@dragoman_train.command()
def scores(
    recipes: flags.RecipeFiles,
    runs: flags.Runs = RUNS,
    bundles: flags.Bundles = BUNDLES,
    *,
    markdown: flags.Markdown = False,
    save: flags.Save = False,
) -> None:
    """Show what the bundles of recipes scored on their tests, with all seeds there are."""
    from training import results, tables  # noqa: PLC0415

    rows = []
    for path in recipes:
        recipe = results.read_recipe(path)
        kept = results.load_result(path)
        found = results.collect_result(recipe, runs, bundles)
        if found is not None:
            kept = results.add_kept(found, kept, recipe)
            if save:
                kept.write(results.result_file(path))
        rows.append((path.stem, recipe, kept))
    print_table(tables.tabulate_results(rows), markdown=markdown)


@dragoman_train.command()
def ablate(  # noqa: PLR0913  # one parameter for each flag
    file: flags.AblationFile,
    corpora: flags.Corpora = HERE,
    runs: flags.Runs = RUNS,
    bundles: flags.Bundles = BUNDLES,
    only: flags.Only = None,
    jobs: flags.Jobs = 1,
    *,
    markdown: flags.Markdown = False,
    save: flags.Save = False,
) -> None:
    """Train every row of an ablation on one budget and compare them on dev, never on tests."""
    from training import results, tables  # noqa: PLC0415
    from training.ablation import collect, open_ablation  # noqa: PLC0415
    from training.commands.ablating import train_rows  # noqa: PLC0415

    ablation = open_ablation(file, corpora, runs, bundles)
    train_rows(ablation, only or [], jobs)
    found = collect(ablation)
    tables.write_ablation(found, runs / ablation.name)
    if save:
        found.write(results.result_file(file))
        tables.draw_ablation(found, results.result_file(file).with_suffix(".png"))
    print_table(tables.tabulate_ablation(found), markdown=markdown)


@dragoman_train.command()
def report(
    recipe: flags.RunOrRecipe,
    corpora: flags.Corpora = HERE,
    runs: flags.Runs = RUNS,
    seed: flags.Seed = None,
    to: flags.Page = None,
) -> None:
    """Write how a run has learnt as one HTML page, which opens offline.

    Curves, what flows back through time, gates, attention, samples, scores by length and the worst
    sentences: from the run's files and from its best checkpoint on dev.
    """
    from training.commands.reporting import report_run  # noqa: PLC0415

    if recipe.is_dir():
        run = read_run(recipe / "recipe.toml", recipe, recipe.parent, seed=seed)
        run = replace(run, folder=recipe)
    else:
        run = read_run(recipe, corpora, runs, seed=seed)
    report_run(run, to)


@dragoman_train.command()
def lab(  # noqa: PLR0913, PLR0917  # one parameter for each flag
    task: flags.Laboratory,
    cell: flags.Cells = None,
    length: flags.Length = None,
    size: flags.Units = None,
    steps: flags.Steps = None,
    pairs: flags.Drawn = None,
    nesting: flags.Nesting = None,
    curriculum: flags.CurriculumName = None,
    network: flags.NetworkKeys = None,
    clip: flags.Clip = 1.0,
    seed: flags.LabSeed = 1,
    runs: flags.Runs = RUNS,
    *,
    save: flags.SaveRows = False,
) -> None:
    """Teach a network a task whose answers are known, and measure what it has learnt.

    Text is generated, and goes the way of any other: prepared, trained on, exported, and asked of
    the service's engine. A table and a picture tell what came of it.
    """
    from training.commands.laboratory import work  # noqa: PLC0415
    from training.laboratory.wishes import wishes_of  # noqa: PLC0415

    lengths, keys = tuple(length or ()), tuple(network or ())
    given = {"lengths": lengths, "network": keys, "size": size, "steps": steps, "pairs": pairs}
    programs = {"nesting": nesting, "curriculum": curriculum}
    work(wishes_of(task, cell, clip, seed=seed, **given, **programs), runs, save=save)


def main() -> None:
    """Run the command line."""
    dragoman_train()


def _is_own(recipe: Path | None, corpus: list[Path] | None) -> bool:
    if (recipe is None) == (not corpus):
        raise typer.BadParameter("give a recipe, or --corpus with --from and --to")
    return bool(corpus)


def _own_text(corpus: list[Path] | None, source: str | None, target: str | None) -> "OwnText":
    from training.own_text import OwnText  # noqa: PLC0415

    if not corpus or source is None or target is None:
        raise typer.BadParameter("--corpus needs --from and --to")
    return OwnText(tuple(corpus), source, target)


def _refuse(given: Mapping[str, object], reason: str) -> None:
    for flag, value in given.items():
        if value is not None:
            raise typer.BadParameter(f"{flag} {reason}")
