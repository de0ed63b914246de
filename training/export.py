"""From a trained network to a published bundle.

    weights -> graphs -> parity gate -> draft -> sweep on dev -> scores on tests -> card -> publish

The draft is opened and measured by the service's engine as any bundle is; only its last form
is published. If anything fails, nothing is.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from models.bundle import Bundle, Manifest, Training, publish
from models.tokenizer import BOS, EOS
from training.corpus import HeldOut, load_dev, load_tests
from training.draft import TOKENIZER, VARIANT, describe, write_draft
from training.measurements import (
    OnProgress,
    Search,
    choose,
    list_searches,
    measure,
    sweep,
)
from training.network import Network
from training.parity import IdPair, check_parity
from training.prepare import Prepared, source_prefix
from training.recipe import Run
from training.weights import write_variant


def export(
    run: Run, network: Network, training: Training, bundles: Path, console: Console
) -> Bundle:
    """Make the bundle of a run's network and publish it under `bundles`.

    Args:
        network: The weights to publish; it is moved to the CPU.
        training: What it took to train them.

    Raises:
        ValueError: the version exists, the graphs do not follow the network, or held-out text
            cannot be read. Nothing is published then.
    """
    recipe = run.recipe
    check_version(run, bundles)
    draft = run.folder / "bundle.draft"
    shutil.rmtree(draft, ignore_errors=True)
    prepared = Prepared(run)
    files = write_variant(network, draft / VARIANT)
    parity = check_parity(network, files, _id_pairs(run, prepared), recipe.export.tolerance)
    console.print(
        f"parity: log-probabilities differ by {parity.max_logit_difference:.1g} at most, "
        f"{parity.ties} ties in {parity.sentences} sentences"
    )
    prepared.tokenizer.save(draft / TOKENIZER)
    manifest = describe(run, draft, network.num_parameters, parity, training)
    write_draft(draft, manifest)
    write_draft(draft, _measure(run, draft, manifest, console))
    bundle = publish(draft, bundles)
    shutil.rmtree(draft)
    return bundle


def check_version(run: Run, bundles: Path) -> None:
    """Refuse a recipe whose bundle exists; a published version never changes.

    Raises:
        ValueError: the version is published.
    """
    recipe = run.recipe
    if (bundles / recipe.name / str(recipe.version)).exists():
        raise ValueError(f"version {recipe.version} of {recipe.name} is published already")


def _id_pairs(run: Run, prepared: Prepared) -> list[IdPair]:
    pairs: list[IdPair] = []
    for text in load_dev(run, run.recipe.export.parity_sentences):
        encode = prepared.tokenizer.encode
        prefix = source_prefix(run.recipe, prepared.tokenizer, text.target)
        for source, target in zip(text.sources, text.references, strict=True):
            pairs.append(([*prefix, *encode(source), EOS], [BOS, *encode(target), EOS]))
    return pairs


def _measure(run: Run, draft: Path, manifest: Manifest, console: Console) -> Manifest:
    recipe, tests = run.recipe.export, load_tests(run)
    dev = load_dev(run, recipe.sweep_sentences)
    searches = list_searches(recipe.beams, recipe.length_penalties)
    with _progress(console, "sweep", _count(dev) * len(searches)) as advance:
        swept = sweep(draft, dev, searches, advance)
    winner = choose(swept.rows)
    console.print(f"sweep: beam {winner.beam}, length penalty {winner.length_penalty:g}")
    searches = list(dict.fromkeys([Search(1, winner.length_penalty), winner]))
    with _progress(console, "scores", _count(tests) * len(searches)) as advance:
        scores = measure(draft, tests, searches, advance)
    decoding = {"beam": winner.beam, "length_penalty": winner.length_penalty}
    return manifest.model_copy(
        update={
            "decoding": manifest.decoding.model_copy(update=decoding),
            "scores": scores,
            "provenance": manifest.provenance.model_copy(update={"sweep": swept}),
        }
    )


def _count(texts: Sequence[HeldOut]) -> int:
    return sum(len(text.sources) for text in texts)


@contextmanager
def _progress(console: Console, name: str, total: int) -> Iterator[OnProgress]:
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(name, total=total)
        yield lambda done: progress.advance(task, done)
