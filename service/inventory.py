"""What bundles a folder holds, and whether they are whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from models.bundle import Bundle, DamagedBundle, Manifest, Score, find_bundles
from service.terminal import table


@dataclass(frozen=True)
class Listing:
    """A bundle that was found, in whatever condition."""

    identity: str
    """NAME/VERSION."""
    manifest: Manifest | None
    """None if the bundle is damaged."""
    damage: str | None
    """The file at fault and the reason, or None."""

    def fields(self) -> dict[str, object]:
        """Return what JSON shows; a damaged bundle has its name and the damage only."""
        shown: dict[str, object] = {"bundle": self.identity, "damage": self.damage}
        if self.manifest is None:
            return shown
        manifest = self.manifest.model_dump(mode="json")
        return shown | {
            "directions": manifest["directions"],
            "parameters": self.manifest.architecture.parameters,
            "size_bytes": _size_bytes(self.manifest),
            "scores": manifest["scores"],
        }


def inspect_bundles(root: Path) -> list[Listing]:
    """Open every bundle under `root` and check each file against its hash."""
    return [_inspect(path) for path in find_bundles(root)]


def bundle_table(listings: Iterable[Listing]) -> Table:
    """Make a table with one line for each bundle."""
    made = table("bundles", "name", "directions", "parameters>", "size>", "state")
    for listing in listings:
        manifest = listing.manifest
        if manifest is None:
            reason = escape(listing.damage or "")
            made.add_row(listing.identity, "", "", "", f"[red]damaged: {reason}[/]")
            continue
        made.add_row(
            listing.identity,
            ", ".join(f"{way.source}-{way.target}" for way in manifest.directions),
            f"{manifest.architecture.parameters:,}",
            decimal(_size_bytes(manifest)),
            "[green]verified[/]",
        )
    return made


def score_tables(listings: Iterable[Listing]) -> Iterator[Table]:
    """Make a table of scores for each bundle that has any, one line for each measurement."""
    for listing in listings:
        if listing.manifest and listing.manifest.scores:
            yield _score_table(listing.identity, listing.manifest.scores)


def _inspect(path: Path) -> Listing:
    try:
        bundle = Bundle.open(path)
    except DamagedBundle as damage:
        reason = str(damage).removeprefix(f"{path}: ")
        return Listing(f"{path.parent.name}/{path.name}", None, reason)
    return Listing(bundle.identity, bundle.manifest, None)


def _size_bytes(manifest: Manifest) -> int:
    return sum(file.size_bytes for file in manifest.files.values())


def _score_table(identity: str, scores: list[Score]) -> Table:
    metrics = sorted({score.metric for score in scores})
    made = table(
        f"scores of {identity}",
        *("direction", "test set", "sentences>", "variant", "beam>", "length penalty>"),
        *(f"{metric}>" for metric in metrics),
    )
    for key, measured in groupby(sorted(scores, key=_measurement), key=_measurement):
        by_metric = {score.metric: f"{score.score:.1f}" for score in measured}
        made.add_row(*map(str, key), *(by_metric.get(metric, "") for metric in metrics))
    return made


def _measurement(score: Score) -> tuple[str, str, int, str, int, float]:
    direction = f"{score.direction.source}-{score.direction.target}"
    circumstances = score.sentences, score.variant, score.beam, score.length_penalty
    return direction, score.test_set, *circumstances
