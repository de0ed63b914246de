"""Experts: published bundles, or runs that were trained but not published.

BUNDLE folder --+
                +--> Expert --its directions--> who teaches a direction --> a bundle to ask
RECIPE of a run-+
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.bundle import MANIFEST, Ancestor, Bundle, Data, Training
from training.ensemble import Ensemble
from training.graph_reader import files_of_bundle, plan_of_bundle, read_weights
from training.run import Run, open_run, parse_recipe
from training.trained import Trained, load_network, trained_of_run
from training.weights import build_network

Direction = tuple[str, str]
"""Languages of source and target."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where recipes find what they speak of."""

    corpora: Path
    runs: Path
    bundles: Path

    def open(self, recipe: Path) -> Run:
        """Parse a recipe and return its run."""
        return open_run(recipe, self.corpora, self.runs, self.bundles)


@dataclass(frozen=True, slots=True)
class Expert:
    """A translator that is trained: a bundle, or a run that was not published."""

    path: Path
    """The bundle's folder, or the run's recipe."""
    is_bundle: bool
    name: str
    """Name and version of the bundle; name of the run."""
    sha256: str
    """Of the bundle's manifest, which holds the hashes of its files; of the run's checkpoint."""
    directions: frozenset[Direction]

    @property
    def ancestor(self) -> Ancestor:
        """What a manifest says of it."""
        return Ancestor(name=self.name, sha256=self.sha256)


def open_expert(path: Path, place: Place) -> Expert:
    """Find out what a path names: a folder with a bundle, or the recipe of a run.

    Raises:
        DamagedBundle: it is a bundle that cannot be trusted.
        ValueError: it is neither, or nothing was trained by the recipe.
    """
    if (path / MANIFEST).exists():
        bundle = Bundle.open(path)
        pairs = frozenset((each.source, each.target) for each in bundle.manifest.directions)
        return Expert(path, True, bundle.identity, _hash(path / MANIFEST), pairs)
    if not path.is_file():
        raise ValueError(f"{path} is neither the folder of a bundle nor the recipe of a run")
    run = place.open(path)
    best = run.checkpoints / "best.pt"
    if not best.exists():
        raise ValueError(f"{best} does not exist: train {path} first")
    directions = frozenset(run.recipe.corpus.directions)
    return Expert(path, False, run.recipe.name, _hash(best), directions)


def find_experts(experts: Sequence[Expert], direction: Direction) -> tuple[Expert, ...]:
    """Return those that know a direction.

    Raises:
        ValueError: nobody does.
    """
    found = tuple(each for each in experts if direction in each.directions)
    if not found:
        names = ", ".join(each.name for each in experts)
        raise ValueError(f"nobody translates {'-'.join(direction)}; there are {names}")
    return found


def load_expert(expert: Expert, place: Place) -> tuple[Run, Trained]:
    """Return an expert's network, and the run of its own recipe.

    Raises:
        DamagedBundle: it is a bundle that cannot be trusted.
        ValueError: its checkpoint or its graphs are not those of its recipe.
    """
    if not expert.is_bundle:
        run = place.open(expert.path)
        return run, trained_of_run(run, *load_network(run))
    bundle = Bundle.open(expert.path)
    provenance = bundle.manifest.provenance
    recipe = parse_recipe(provenance.recipe, f"recipe of {bundle.identity}")
    run = Run(recipe, provenance.recipe, place.corpora, place.runs / recipe.name, place.bundles)
    weights = read_weights(plan_of_bundle(bundle), files_of_bundle(bundle))
    network = build_network(recipe.network, weights)
    trained = Trained(network, bundle.tokenizer(), provenance.training, provenance.data)
    return run, trained


def join_experts(experts: Sequence[Expert], place: Place) -> tuple[Run, Trained]:
    """Return experts as one that holds all of their networks, and the run of the first.

    Raises:
        ValueError: they differ in their vocabulary or their directions.
    """
    loaded = [load_expert(expert, place) for expert in experts]
    run, first = loaded[0]
    for expert, (other, trained) in zip(experts, loaded, strict=True):
        if _vocabulary(other, trained) != _vocabulary(run, first):
            raise ValueError(
                f"{expert.name} and {experts[0].name} cannot translate together: "
                "their vocabularies differ"
            )
    if len(experts) == 1:
        return run, first
    networks = [network for _, trained in loaded for network in trained.networks]
    joined = replace(
        first,
        network=Ensemble(networks),
        training=_total([trained.training for _, trained in loaded]),
        data=_distinct(each for _, trained in loaded for each in trained.data),
        ensemble=tuple(expert.ancestor for expert in experts),
    )
    return run, joined


def ensemble_of(run: Run, experts: Sequence[Expert], place: Place) -> Trained:
    """Return experts that translate together, to be published by a run's recipe.

    Raises:
        ValueError: they differ in their vocabulary, or from the recipe in what they translate.
    """
    own, trained = join_experts(experts, place)
    if _vocabulary(own, trained) != _vocabulary(run, trained) or set(
        own.recipe.corpus.directions
    ) != set(run.recipe.corpus.directions):
        raise ValueError(
            f"[tokenizer] or corpus.directions of the recipe is not what {experts[0].name} "
            "was trained with"
        )
    return trained


def _vocabulary(run: Run, trained: Trained) -> tuple[object, ...]:
    """Return all that decides which ids a text becomes."""
    tags = sorted({target for _, target in run.recipe.corpus.directions})
    recipe = run.recipe.tokenizer.model_dump(exclude={"dropout_source", "dropout_target"})
    return trained.tokenizer.sha256, tags if run.recipe.has_tags else [], recipe


def _total(trainings: Sequence[Training]) -> Training:
    """Return what the trainings of all members took."""
    return Training(
        minutes=round(sum(each.minutes for each in trainings), 1),
        machine=", ".join(dict.fromkeys(each.machine for each in trainings)),
        steps=sum(each.steps for each in trainings),
        epochs=round(sum(each.epochs for each in trainings), 1),
    )


def _distinct(data: Iterable[Data]) -> list[Data]:
    found: list[Data] = []
    for each in data:
        if each not in found:
            found.append(each)
    return found


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
