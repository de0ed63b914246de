"""A text of one's own, from files to a bundle: what `all` does with --corpus."""

from pathlib import Path

from models.bundle import Bundle
from training.commands.doctor import examine
from training.commands.printing import console, output, print_examinations, tell
from training.commands.stages import export_run, prepare_run, refuse_several, train_run
from training.corpus import load_tests
from training.machine import describe_machine
from training.own_text import Measuring, OwnText, check_version_is_free, find_bundle, reopen
from training.ranks import join
from training.run import Run
from training.variants import compare, render_comparison


def train_own(own: OwnText, runs: Path, bundles: Path, minutes: float) -> None:
    """Examine a text, prepare, train and export it, and compare the variants of the bundle."""
    refuse_several()
    run = reopen(own, runs, bundles)
    if run is None:
        check_version_is_free(own, bundles)
        examination = examine(own)
        print_examinations(console, [examination], is_tmx=own.is_tmx)
        for finding in examination.stops:
            raise ValueError(finding.refusal())
        with join() as (_, device), console.status("splitting and timing"):
            run = Measuring(own, runs, bundles, minutes, device, tell).start()
    tell(f"recipe: {run.folder / 'recipe.toml'}")
    bundle = find_bundle(run)
    if bundle is None:
        prepare_run(run)
        train_run(run)
        bundle = export_run(run)
    _compare_variants(run, bundle)
    source, target = run.recipe.corpus.directions[0]
    output.print(f"dragoman serve --bundles {bundles}", soft_wrap=True, highlight=False)
    output.print(
        f"dragoman translate --bundles {bundles} --from {source} --to {target} < TEXT",
        soft_wrap=True,
        highlight=False,
    )


def _compare_variants(run: Run, bundle: Bundle) -> None:
    tests = load_tests(run)
    with console.status("comparing the variants"):
        rows = list(compare(bundle, tests))
    sentences = f"{len(tests[0].sources):,} held-out sentences"
    title = f"{bundle.identity} on {sentences}, {describe_machine()}"
    output.print(render_comparison(rows, title))
