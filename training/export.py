"""From trained weights to a published bundle.

    weights -> fp32 graphs -> parity gate -> other variants -> draft -> sweep on dev
            -> gate of the variants on dev -> calibration on dev -> scores on tests -> card
            -> publish

The draft is opened and measured by the service's engine as any bundle is; only its last form
is published. If anything fails, nothing is.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from models.bundle import (
    Bundle,
    Calibration,
    Manifest,
    Parity,
    Score,
    Sweep,
    Variant,
    VariantName,
    publish,
)
from models.shortlist import Shortlists
from models.tokenizer import EOS
from service.engine import ShortlistChoice
from training.calibration import calibrate
from training.corpus import HeldOut, load_dev, load_tests
from training.draft import TOKENIZER, describe, write_draft
from training.gate import check_cost, check_shortlist_cost, describe_cost, weigh, without
from training.graphs import GraphFiles
from training.measurements import (
    REFERENCE,
    Search,
    choose,
    list_searches,
    measure,
    sweep,
)
from training.parity import check_parity
from training.prepare import encode_pairs, encode_train, source_prefix
from training.progress_bar import show_progress
from training.run import Run
from training.shortlist import build
from training.trained import Trained
from training.weights import write_network


def export(run: Run, trained: Trained, bundles: Path, console: Console) -> Bundle:
    """Make the bundle of a run's recipe and publish it under `bundles`.

    Args:
        trained: What to publish; its network is moved to the CPU.

    Raises:
        ValueError: the version exists, the graphs do not follow the network, a variant loses
            more than it may, or held-out text cannot be read. Nothing is published then.
    """
    check_version(run, bundles)
    draft, manifest = draft_bundle(run, trained, console)
    write_draft(draft, _measure(run, draft, manifest, console))
    bundle = publish(draft, bundles)
    shutil.rmtree(draft)
    return bundle


def draft_bundle(run: Run, trained: Trained, console: Console) -> tuple[Path, Manifest]:
    """Write a bundle as far as it can be without measuring it; return its folder and manifest.

    Raises:
        ValueError: the graphs do not follow the network.
    """
    draft = run.folder / "bundle.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    trained.tokenizer.save(draft / TOKENIZER)
    graphs, parity = _write_variants(run, trained, draft)
    console.print(
        f"parity: log-probabilities differ by {parity.max_logit_difference:.1g} at most, "
        f"{parity.ties} ties in {parity.sentences} sentences"
    )
    manifest = describe(run, trained, draft, graphs, parity)
    write_draft(draft, manifest)
    return draft, manifest


def check_version(run: Run, bundles: Path) -> None:
    """Refuse a recipe whose bundle exists; a published version never changes.

    Raises:
        ValueError: the version is published.
    """
    recipe = run.recipe
    if (bundles / recipe.name / str(recipe.version)).exists():
        raise ValueError(f"version {recipe.version} of {recipe.name} is published already")


def _write_variants(
    run: Run, trained: Trained, draft: Path
) -> tuple[dict[VariantName, GraphFiles], Parity]:
    """Write the graphs of every variant; those of fp32 must follow the network."""
    recipe, network = run.recipe.export, trained.network
    for name in recipe.variants:
        (draft / name).mkdir()

    def write(name: VariantName) -> GraphFiles:
        if name == "int8":  # it is for CPUs
            shortlists = _shortlists(run, trained)
            return write_network(network, draft / name, name, shortlists=shortlists)
        return write_network(network, draft / name, name, positions=recipe.positions)

    graphs = {REFERENCE: write(REFERENCE)}
    dev = load_dev(run, recipe.parity_sentences)
    pairs = encode_pairs(run.recipe, trained.tokenizer, dev)
    parity = check_parity(network, graphs[REFERENCE], pairs, recipe.tolerance)
    for name in recipe.variants:
        if name != REFERENCE:
            graphs[name] = write(name)
    return graphs, parity


def _shortlists(run: Run, trained: Trained) -> Shortlists | None:
    """Count the shortlists of int8 from the training text, if the recipe wants some."""
    recipe, tokenizer = run.recipe.export.shortlist, trained.tokenizer
    if recipe is None:
        return None
    if trained.ensemble:
        raise ValueError("export.shortlist: an ensemble has no shortlists; leave it out")
    prefixes = {target for _, target in run.recipe.corpus.directions}
    markers = [id for each in prefixes for id in source_prefix(run.recipe, tokenizer, each)]
    examples = encode_train(run, tokenizer)
    return build(
        examples,
        tokenizer.size,
        markers or [EOS],
        recipe.likeliest,
        recipe.frequent,
        always=tokenizer.case_ids,
    )


def _measure(run: Run, draft: Path, manifest: Manifest, console: Console) -> Manifest:
    swept = _sweep(run, draft, console)
    winner = choose(swept.rows)
    console.print(f"sweep: beam {winner.beam}, length penalty {winner.length_penalty:g}")
    decoding = {"beam": winner.beam, "length_penalty": winner.length_penalty}
    searches = list(dict.fromkeys([Search(1, winner.length_penalty), winner]))
    return manifest.model_copy(
        update={
            "decoding": manifest.decoding.model_copy(update=decoding),
            "variants": _weigh(run, draft, manifest, searches, console),
            "calibrations": _calibrate(run, draft, winner, console),
            "scores": _score(run, draft, searches, console),
            "provenance": manifest.provenance.model_copy(update={"sweep": swept}),
        }
    )


def _sweep(run: Run, draft: Path, console: Console) -> Sweep:
    recipe = run.recipe.export
    dev = load_dev(run, recipe.sweep_sentences)
    searches = list_searches(recipe.beams, recipe.length_penalties)
    with show_progress(console, "sweep", _count(dev) * len(searches)) as advance:
        return sweep(draft, dev, searches, advance)


def _weigh(
    run: Run, draft: Path, manifest: Manifest, searches: Sequence[Search], console: Console
) -> dict[VariantName, Variant]:
    """Return the variants with what they cost; one that costs too much is refused."""
    max_loss = run.recipe.export.max_bleu_loss
    variants = dict(manifest.variants)
    reference = _score_dev(run, draft, REFERENCE, "off", searches, console)
    for name, variant in manifest.variants.items():
        if name == REFERENCE:
            continue
        scores = _score_dev(run, draft, name, "off", searches, console)
        cost = weigh(scores, reference)
        console.print(f"{name}: {describe_cost(cost)}", soft_wrap=True)
        check_cost(name, cost, max_loss)
        update = {"cost": cost}
        if variant.shortlists is not None:
            listed = _score_dev(run, draft, name, "on", searches, console)
            cost = weigh(listed, scores)
            said = describe_cost(cost, without(name))
            console.print(f"{name} with shortlists: {said}", soft_wrap=True)
            check_shortlist_cost(name, cost, max_loss)
            update["shortlist_cost"] = cost
        variants[name] = variant.model_copy(update=update)
    return variants


def _calibrate(run: Run, draft: Path, search: Search, console: Console) -> list[Calibration]:
    """Return how far the translations of each direction can be trusted, as far as dev tells."""
    dev = load_dev(run, run.recipe.export.calibration_sentences)
    with show_progress(console, "calibration on dev", _count(dev)) as advance:
        found = calibrate(draft, _served(run), dev, search, advance)
    for each in found:
        console.print(
            f"confidence {each.direction.source}-{each.direction.target}: Brier score "
            f"{each.brier:.3f} (of the share {each.brier_of_share:.3f}), calibration error "
            f"{each.calibration_error:.3f} on {each.held_out_sentences} sentences",
            soft_wrap=True,
        )
    return found


def _served(run: Run) -> VariantName:
    """Return the variant that a CPU runs unless told otherwise."""
    return "int8" if "int8" in run.recipe.export.variants else REFERENCE


def _score_dev(
    run: Run,
    draft: Path,
    name: VariantName,
    shortlist: ShortlistChoice,
    searches: Sequence[Search],
    console: Console,
) -> list[Score]:
    dev = load_dev(run, run.recipe.export.sweep_sentences)
    shown = f"{name} with shortlists" if shortlist == "on" else name
    with show_progress(console, f"{shown} on dev", _count(dev) * len(searches)) as advance:
        return measure(draft, name, dev, searches, advance, shortlist)


def _score(run: Run, draft: Path, searches: Sequence[Search], console: Console) -> list[Score]:
    """Return the scores on the tests, of the variant that is served."""
    tests = load_tests(run)
    served = _served(run)
    with show_progress(console, f"{served} on tests", _count(tests) * len(searches)) as advance:
        return measure(draft, served, tests, searches, advance)


def _count(texts: Sequence[HeldOut]) -> int:
    return sum(len(text.sources) for text in texts)
