"""The `dragoman-train` command: prepare, train, evaluate, export, or all of them; and tables.

Results go to stdout, progress to stderr. Exit status: 0 done, 1 failed, 2 wrong usage,
130 interrupted. Repeating a command after an interruption goes on where it stopped.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from models.bundle import Bundle, DamagedBundle, Distillation
from service.errors import ServiceError
from training.recipe import BUNDLES, Run, open_run, read_run

if TYPE_CHECKING:
    from service.evaluation import Metric
    from training.ablation import Ablation
    from training.back_translation import BackTranslation
    from training.comparison import Row
    from training.corpus import Report
    from training.distillation import Distilled, Distiller
    from training.experts import Place
    from training.findings import Examination
    from training.own_text import OwnText
    from training.tables import Table as Tabulated
    from training.teachers import TeacherBundles

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
Teachers = Annotated[
    list[Path],
    typer.Option(
        help="Folder of a bundle, or recipe of a trained run; several that know a direction "
        "translate together."
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="Repeat the recipe with another seed, in a run of its own."),
]
WeightsFrom = Annotated[
    Path | None,
    typer.Option(help="Published bundle to take the weights of, instead of a checkpoint."),
]

Members = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder of a bundle, or recipe of a trained run, whose network translates together "
        "with those of the others named so; instead of a checkpoint."
    ),
]
AnyRecipe = Annotated[Path | None, typer.Argument(help="Recipe, a TOML file.", show_default=False)]
Corpus = Annotated[
    list[Path] | None,
    typer.Option(
        help="A text of your own instead of a recipe: one TMX or TSV; or two files of one "
        "language each, named one after the other.",
        show_default=False,
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="LANGUAGE", help="Language of the first file, or the first column."
    ),
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="LANGUAGE", help="Language of the second, to translate into."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RecipeFiles = Annotated[list[Path], typer.Argument(help="Recipes, TOML files.")]
AblationFile = Annotated[Path, typer.Argument(help="Ablation, a TOML file that names a recipe.")]
Only = Annotated[
    list[str] | None, typer.Option(help="Train this row only; may be given several times.")
]
Jobs = Annotated[int, typer.Option(min=1, help="Trainings at a time, each a process.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")]
Save = Annotated[bool, typer.Option("--save", help="Keep the figures in results/ beside the file.")]

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


Text = Annotated[
    Path,
    typer.Option(help="Sentences in the target language, one on each line."),
]
Source = Annotated[
    str,
    typer.Option("--from", metavar="LANGUAGE", help="Language to translate the text into."),
]
Target = Annotated[str, typer.Option("--to", metavar="LANGUAGE", help="Language of the text.")]
Translating = Annotated[
    Path, typer.Option(help="Folder of the bundle that translates the text, from --to to --from.")
]
PairsFile = Annotated[
    Path | None,
    typer.Option("--output", help="TSV to write; by default beside the text.", show_default=False),
]
Beam = Annotated[
    int | None,
    typer.Option(
        min=1, max=16, help="Beam; 1 is greedy. By default the bundle's.", show_default=False
    ),
]

dragoman_train = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train a translator on parallel text and publish it as a bundle.",
)


@dragoman_train.command()
def prepare(
    recipe: RecipeFile,
    corpora: Corpora = HERE,
    runs: Runs = RUNS,
    bundles: Bundles = BUNDLES,
    seed: Seed = None,
) -> None:
    """Clean the text, check it for leaks, learn the vocabulary and encode."""
    _prepare(open_run(recipe, corpora, runs, bundles, seed))


@dragoman_train.command()
def train(
    recipe: RecipeFile,
    corpora: Corpora = HERE,
    runs: Runs = RUNS,
    bundles: Bundles = BUNDLES,
    seed: Seed = None,
) -> None:
    """Train the network on what was prepared, or go on after an interruption."""
    _train(open_run(recipe, corpora, runs, bundles, seed))


@dragoman_train.command()
def evaluate(
    recipe: RecipeFile, corpora: Corpora = HERE, runs: Runs = RUNS, seed: Seed = None
) -> None:
    """Score the best checkpoint on the dev text, greedily, without a bundle."""
    _evaluate(open_run(recipe, corpora, runs, seed=seed))


@dragoman_train.command()
def export(  # noqa: PLR0913, PLR0917  # one parameter for each flag
    recipe: RecipeFile,
    corpora: Corpora = HERE,
    runs: Runs = RUNS,
    bundles: Bundles = BUNDLES,
    weights_from: WeightsFrom = None,
    ensemble: Members = None,
    seed: Seed = None,
) -> None:
    """Publish the best checkpoint: parity gate, sweep, gate of the variants, scores, card."""
    _export(open_run(recipe, corpora, runs, bundles, seed), weights_from, ensemble or [])


@dragoman_train.command()
def doctor(
    recipe: AnyRecipe = None,
    corpora: Corpora = HERE,
    corpus: Corpus = None,
    source: From = None,
    target: To = None,
    as_json: AsJson = False,
) -> None:
    """Examine text before it is trained on: a recipe's, or that of --corpus.

    Reports duplicates, length ratios, wrong languages, shifted lines, leaks and odd characters,
    with a verdict for each: ok, look or stop. Exit status 1 if one says stop.
    """
    if _is_own(recipe, corpus):
        own = _own_text(corpus, source, target)
        examinations, is_tmx = [_examine_own(own)], own.is_tmx
    else:
        assert recipe is not None, "checked above"
        examinations, is_tmx = _examine_run(read_run(recipe, corpora)), False
    if as_json:
        output.print_json(data=[examination.fields() for examination in examinations])
    else:
        _show_examinations(output, examinations, is_tmx=is_tmx)
    if any(examination.stops for examination in examinations):
        raise typer.Exit(1)


@dragoman_train.command("all")
def run_all(  # noqa: PLR0913, PLR0917  # one parameter for each flag
    recipe: AnyRecipe = None,
    corpora: Corpora = HERE,
    runs: Runs = RUNS,
    bundles: Bundles = BUNDLES,
    corpus: Corpus = None,
    source: From = None,
    target: To = None,
    both: Annotated[
        bool, typer.Option("--both", help="With --corpus: train both directions in one model.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(help="With --corpus: name of run and bundle; by default that of the file."),
    ] = None,
    version: Annotated[int, typer.Option(min=1, help="With --corpus: version of the bundle.")] = 1,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="With --corpus: most minutes of training.")
    ] = 60.0,
    seed: Seed = None,
) -> None:
    """Prepare, train and export: by a recipe, or a text of your own with --corpus.

    For a text of your own a recipe is written, and the bundle's variants are compared in the end.
    """
    from training.export import check_version  # noqa: PLC0415

    if _is_own(recipe, corpus):
        if seed is not None:
            raise typer.BadParameter("--seed repeats a recipe: give that of the run of --corpus")
        own = _own_text(corpus, source, target)
        _train_own(replace(own, both=both, name=name, version=version), runs, bundles, minutes)
        return
    assert recipe is not None, "checked above"
    run = open_run(recipe, corpora, runs, bundles, seed)
    check_version(run, run.destination)  # before hours of training, not after them
    _prepare(run)
    _train(run)
    _export(run)


@dragoman_train.command()
def distill(
    recipe: RecipeFile,
    teacher: Teachers,
    corpora: Corpora = HERE,
    runs: Runs = RUNS,
    bundles: Bundles = BUNDLES,
) -> None:
    """Train a student on its teachers' translations of the training text, and publish it."""
    from training.distillation import Distiller  # noqa: PLC0415
    from training.experts import open_expert  # noqa: PLC0415
    from training.export import check_version  # noqa: PLC0415
    from training.teachers import TeacherBundles  # noqa: PLC0415

    run = open_run(recipe, corpora, runs, bundles)
    check_version(run, run.destination)  # before hours of training, not after them
    place = _place(run)
    with console.status("reading"):
        distiller = Distiller(run, [open_expert(path, place) for path in teacher])
    teachers = TeacherBundles(run, place)
    distilled = _distil(distiller, teachers)
    _print_reports(distilled.reports)
    _prepare(distilled.run)
    _train(distilled.run)
    bundle = _export(distilled.run, distillation=distilled.distillation)
    _compare(run, distiller, teachers, bundle)


@dragoman_train.command("back-translate")
def back_translate(  # noqa: PLR0913, PLR0917  # one parameter for each flag
    recipe: RecipeFile,
    bundle: Translating,
    text: Text,
    source: Source,
    target: Target,
    output_file: PairsFile = None,
    beam: Beam = None,
    corpora: Corpora = HERE,
    runs: Runs = RUNS,
) -> None:
    """Make training pairs of text in the target language, its sources translated by a bundle.

    The recipe tells how text is cleaned and which held-out text it must not hold.
    """
    from training.back_translation import BackTranslation  # noqa: PLC0415

    written = output_file or text.with_suffix(f".{source}-{target}.tsv")
    task = BackTranslation(text, source, target, bundle, written, beam)
    _back_translate(task, open_run(recipe, corpora, runs))


@dragoman_train.command()
def scores(
    recipes: RecipeFiles,
    runs: Runs = RUNS,
    bundles: Bundles = BUNDLES,
    *,
    markdown: Markdown = False,
    save: Save = False,
) -> None:
    """Show what the bundles of recipes scored on their tests, with all seeds there are."""
    from training import results, tables  # noqa: PLC0415

    rows = []
    for path in recipes:
        recipe = results.read_recipe(path)
        found = results.collect_result(recipe, runs, bundles)
        if save and found is not None:
            found.write(results.result_file(path))
        rows.append((path.stem, recipe, found or results.load_result(path)))
    _show(tables.tabulate_results(rows), markdown=markdown)


@dragoman_train.command()
def ablate(  # noqa: PLR0913  # one parameter for each flag
    file: AblationFile,
    corpora: Corpora = HERE,
    runs: Runs = RUNS,
    bundles: Bundles = BUNDLES,
    only: Only = None,
    jobs: Jobs = 1,
    *,
    markdown: Markdown = False,
    save: Save = False,
) -> None:
    """Train every row of an ablation on one budget and compare them on dev, never on tests."""
    from training import results, tables  # noqa: PLC0415
    from training.ablation import collect, open_ablation  # noqa: PLC0415

    ablation = open_ablation(file, corpora, runs, bundles)
    _train_rows(ablation, only or [], jobs)
    found = collect(ablation)
    tables.write_ablation(found, runs / ablation.name)
    if save:
        found.write(results.result_file(file))
        tables.draw_ablation(found, results.result_file(file).with_suffix(".png"))
    _show(tables.tabulate_ablation(found), markdown=markdown)


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


def _train_own(own: "OwnText", runs: Path, bundles: Path, minutes: float) -> None:
    from training.own_text import Measuring, check_version_is_free, find_bundle, reopen  # noqa: PLC0415
    from training.ranks import join  # noqa: PLC0415

    _refuse_several()
    run = reopen(own, runs, bundles)
    if run is None:
        check_version_is_free(own, bundles)
        examination = _examine_own(own)
        _show_examinations(console, [examination], is_tmx=own.is_tmx)
        for finding in examination.stops:
            raise ValueError(finding.refusal())
        with join() as (_, device), console.status("splitting and timing"):
            run = Measuring(own, runs, bundles, minutes, device, _tell).start()
    _tell(f"recipe: {run.folder / 'recipe.toml'}")
    bundle = find_bundle(run)
    if bundle is None:
        _prepare(run)
        _train(run)
        bundle = _export(run)
    _compare_variants(run, bundle)
    source, target = run.recipe.corpus.directions[0]
    output.print(f"dragoman serve --bundles {bundles}", soft_wrap=True, highlight=False)
    output.print(
        f"dragoman translate --bundles {bundles} --from {source} --to {target} < TEXT",
        soft_wrap=True,
        highlight=False,
    )


def _compare_variants(run: Run, bundle: Bundle) -> None:
    from training.corpus import load_tests  # noqa: PLC0415
    from training.machine import describe_machine  # noqa: PLC0415
    from training.variants import compare, render_comparison  # noqa: PLC0415

    tests = load_tests(run)
    with console.status("comparing the variants"):
        rows = list(compare(bundle, tests))
    sentences = f"{len(tests[0].sources):,} held-out sentences"
    title = f"{bundle.identity} on {sentences}, {describe_machine()}"
    output.print(render_comparison(rows, title))


def _examine_own(own: "OwnText") -> "Examination":
    from training.own_text import examine_own  # noqa: PLC0415

    with console.status("examining the text"):
        return examine_own(own)


def _examine_run(run: Run) -> list["Examination"]:
    from training.doctor import examine_run  # noqa: PLC0415

    with console.status("examining the texts"):
        return list(examine_run(run))


def _show_examinations(
    where: Console, examinations: Sequence["Examination"], *, is_tmx: bool
) -> None:
    from training.findings_table import describe_verdict, render_examination  # noqa: PLC0415

    for examination in examinations:
        where.print(render_examination(examination, is_tmx=is_tmx))
    where.print(describe_verdict(examinations), highlight=False)


def _tell(line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True, markup=False)


def _prepare(run: Run) -> None:
    _refuse_several()
    # the imports inside these functions spare `--help` the loading of torch: 2 seconds
    from training.prepare import prepare  # noqa: PLC0415

    with console.status("preparing"):
        reports = prepare(run)
    _print_reports(reports)


def _print_reports(reports: "Sequence[Report]") -> None:
    for report in reports:
        _print_report(report)


def _back_translate(task: "BackTranslation", run: Run) -> None:
    from training.back_translation import back_translate, load_targets  # noqa: PLC0415
    from training.progress_bar import show_progress  # noqa: PLC0415

    with console.status("cleaning"):
        targets, report = load_targets(task, run)
    _print_report(report)
    with show_progress(console, "translating back", len(targets)) as advance:
        _print_report(back_translate(task, run, targets, advance))
    output.print(f"wrote {task.output}; in the recipe:\n", soft_wrap=True)
    output.print(task.in_recipe(run), markup=False, highlight=False, soft_wrap=True)


def _distil(distiller: "Distiller", teachers: "TeacherBundles") -> "Distilled":
    from training.progress_bar import show_progress  # noqa: PLC0415

    with show_progress(console, "teachers translate", distiller.num_sentences) as advance:
        return distiller.distil(teachers.bundle_of, advance)


def _compare(run: Run, distiller: "Distiller", teachers: "TeacherBundles", student: Bundle) -> None:
    from training.comparison import compare, count_translations  # noqa: PLC0415
    from training.corpus import load_dev  # noqa: PLC0415
    from training.progress_bar import show_progress  # noqa: PLC0415

    systems = distiller.systems(teachers.bundle_of, student)
    dev = load_dev(run, run.recipe.export.sweep_sentences)
    with show_progress(console, "comparison", count_translations(systems, dev)) as advance:
        rows = compare(systems, dev, advance)
    output.print(_comparison_table(rows))
    signatures = dict.fromkeys(each for row in rows for each in row.signatures)
    output.print(", ".join(signatures), markup=False, highlight=False, soft_wrap=True)


def _train(run: Run) -> None:
    from training.ranks import join  # noqa: PLC0415
    from training.terminal import last_line, train_and_show  # noqa: PLC0415
    from training.trainer import Trainer  # noqa: PLC0415

    with join() as (ranks, device):
        trainer = Trainer(run, device, ranks)
        if ranks.is_first:
            size = f"{trainer.network.num_parameters:,} parameters"
            console.print(f"{size}, {trainer.precision} on {trainer.machine}")
        position = train_and_show(trainer, run.recipe.training, console)
        if ranks.is_first:
            output.print(last_line(run.recipe.name, position), soft_wrap=True)


def _evaluate(run: Run) -> None:
    _refuse_several()
    from training.corpus import load_dev  # noqa: PLC0415
    from training.evaluate import validate  # noqa: PLC0415
    from training.prepare import open_tokenizer  # noqa: PLC0415
    from training.trainer import load_best  # noqa: PLC0415

    network, *_ = load_best(run)
    dev = load_dev(run, run.recipe.training.validation_sentences)
    with console.status("translating"):
        scores = validate(network, open_tokenizer(run), run, dev)
    output.print(_score_table(scores))


def _export(
    run: Run,
    weights_from: Path | None = None,
    members: Sequence[Path] = (),
    distillation: Distillation | None = None,
) -> Bundle:
    from training.experts import ensemble_of, open_expert  # noqa: PLC0415
    from training.export import check_version, export  # noqa: PLC0415
    from training.trained import load_network, trained_of_bundle, trained_of_run  # noqa: PLC0415

    _refuse_several()
    check_version(run, run.destination)
    if members:
        place = _place(run)
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


def _train_rows(ablation: "Ablation", only: Sequence[str], jobs: int) -> None:
    from training.ablation import choose_trials  # noqa: PLC0415
    from training.machine import describe_machine  # noqa: PLC0415
    from training.trials import prepare_trials, train_trials  # noqa: PLC0415

    trials = choose_trials(ablation, only)
    with console.status("preparing"):
        prepare_trials(trials)
    results = train_trials(trials, ablation.recipe.budget, jobs, describe_machine())
    with console.status(f"training {len(trials)} rows"):
        for count, result in enumerate(results, 1):
            came = result.failure or f"dev BLEU {result.dev_bleu:.2f}"
            console.print(
                f"{count} of {len(trials)}  {result.row}, seed {result.seed}: {came}, "
                f"{result.steps:,} steps, {result.minutes:.1f} minutes",
                highlight=False,
                soft_wrap=True,
            )


def _place(run: Run) -> "Place":
    from training.experts import Place  # noqa: PLC0415

    return Place(run.corpora, run.folder.parent, run.bundles)


def _refuse_several() -> None:
    from training.ranks import is_one_of_several  # noqa: PLC0415

    if is_one_of_several():
        raise ValueError("torchrun is for `train` alone; prepare, evaluate and export without it")


def _print_report(report: "Report") -> None:
    output.print(report.name, highlight=False, soft_wrap=True)
    output.print(_report_table(report))


def _show(table: "Tabulated", *, markdown: bool) -> None:
    if markdown:
        output.print(table.markdown(), markup=False, highlight=False, soft_wrap=True)
        return
    shown = Table(caption=f"--markdown adds {', '.join(table.header[table.num_short :])}")
    for column in table.header[: table.num_short]:
        shown.add_column(column, overflow="fold")
    for row in table.rows:
        shown.add_row(*map(escape, row[: table.num_short]))
    output.print(shown)


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


def _comparison_table(rows: "Sequence[Row]") -> Table:
    metrics = list(dict.fromkeys(name for row in rows for name in row.scores))
    table = Table("variant", "search", *metrics, "MB", "sentences/s", title="on dev")
    for column in table.columns[2:]:
        column.justify = "right"
    system = ""
    for row in rows:
        if row.system != system:
            system = row.system
            table.add_section()
            table.add_row(f"{system}: {row.directions}")
        search = row.search
        is_greedy = search.beam == 1
        table.add_row(
            row.variant,
            "greedy" if is_greedy else f"beam {search.beam}, {search.length_penalty:g}",
            *(f"{row.scores[name]:.2f}" for name in metrics),
            f"{row.size_bytes / 1e6:.1f}",
            f"{row.sentences_per_second:,.0f}",
        )
    return table


def _fail(sentence: str) -> NoReturn:
    console.print(f"[red]{escape(sentence)}[/red]", highlight=False, soft_wrap=True)
    raise typer.Exit(1)
