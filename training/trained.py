"""What is exported: a trained network with its vocabulary, and what is known of its making.

the run's best checkpoint --+
                            +--> Trained --> export
a published bundle ---------+
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.bundle import Ancestor, Bundle, Data, Distillation, Training
from models.tokenizer import Tokenizer
from training.corpus import load_dev
from training.ensemble import Ensemble
from training.graph_reader import files_of_bundle, plan_of_bundle, read_weights
from training.network import Network
from training.parity import check_parity
from training.prepare import Prepared, describe_files, encode_pairs
from training.recipe import Recipe
from training.run import Run, parse_recipe
from training.synthetic import read_origin
from training.trainer import load_best
from training.weights import build_network


@dataclass(frozen=True, slots=True)
class Trained:
    """A network to publish and its provenance."""

    network: Network | Ensemble
    tokenizer: Tokenizer
    training: Training
    """What the training took."""
    data: list[Data]
    init_from: str | None = None
    """Name and version of the bundle that training started from, if it did."""
    weights_from: str | None = None
    """Name and version of the bundle that it was read from, if it was."""
    distillation: Distillation | None = None
    """Who taught it, if it learnt from the translations of others."""
    ensemble: tuple[Ancestor, ...] = ()
    """Whose networks translate together, if there are several."""

    @property
    def networks(self) -> list[Network]:
        """The network, or those of the ensemble."""
        return self.network.networks if isinstance(self.network, Ensemble) else [self.network]


def load_network(run: Run) -> tuple[Network, Training]:
    """Return the best network of a run, and what its training took.

    Raises:
        ValueError: nothing was trained, or the checkpoint is damaged.
    """
    network, position, steps_per_epoch, machine = load_best(run)
    took = Training(
        minutes=round(position.seconds / 60, 1),
        machine=machine,
        steps=position.step,
        epochs=round(position.epoch + position.batch / steps_per_epoch, 1),
    )
    return network, took


def trained_of_run(run: Run, network: Network, training: Training) -> Trained:
    """Join a network with what its run prepared.

    Raises:
        ValueError: nothing was prepared by this recipe.
    """
    tokenizer, data = Prepared(run).tokenizer, _data(run)
    if run.ancestor is None:
        return Trained(network, tokenizer, training, data)
    ancestor = Bundle.open(run.ancestor)
    # what the ancestor learnt from is in these weights too
    data += [each for each in ancestor.manifest.provenance.data if not _is_listed(each, data)]
    return Trained(network, tokenizer, training, data, ancestor.identity)


def trained_of_bundle(run: Run, path: Path) -> Trained:
    """Read a published bundle's network; no checkpoint is needed.

    The network must compute what the bundle's fp32 graphs do, on dev text.

    Raises:
        DamagedBundle: the bundle cannot be trusted.
        ValueError: the run's recipe would train something else, or the network does not
            follow the graphs.
    """
    bundle = Bundle.open(path)
    _check_recipe(run.recipe, bundle)
    files, tokenizer = files_of_bundle(bundle), bundle.tokenizer()
    weights = read_weights(plan_of_bundle(bundle), files)
    network = build_network(run.recipe.network, weights)
    dev = load_dev(run, run.recipe.export.parity_sentences)
    pairs = encode_pairs(run.recipe, tokenizer, dev)
    check_parity(network, files, pairs, run.recipe.export.tolerance)
    provenance = bundle.manifest.provenance
    origin = provenance.weights_from or bundle.identity
    return Trained(
        network,
        tokenizer,
        provenance.training,
        provenance.data,
        init_from=provenance.init_from,
        weights_from=origin,
        distillation=provenance.distillation,
    )


def _check_recipe(recipe: Recipe, bundle: Bundle) -> None:
    stored = parse_recipe(bundle.manifest.provenance.recipe, f"recipe of {bundle.identity}")
    mine, theirs = _what_is_trained(recipe), _what_is_trained(stored)
    other = [section for section in mine if mine[section] != theirs[section]]
    if other:
        raise ValueError(
            f"[{'], ['.join(other)}] of the recipe is not what {bundle.identity} was trained with"
        )


def _what_is_trained(recipe: Recipe) -> dict[str, Any]:
    sections = recipe.model_dump(
        include={"corpus", "tokenizer", "network", "training", "distillation"}
    )
    del sections["corpus"]["tests"]  # weights that are there can be tested on anything
    return sections


def _data(run: Run) -> list[Data]:
    hashes = describe_files(run)
    return [
        Data(
            name=text.name,
            licence=text.licence,
            attribution=text.attribution,
            pairs=_count_lines(run.prepared / f"{i}.tsv"),
            sha256={_name(run, path): hashes[str(path)] for path in text.paths},
            sources_by=read_origin(run.resolve(text.origin)).bundle if text.origin else None,
        )
        for i, text in enumerate(run.recipe.corpus.train)
    ]


def _is_listed(one: Data, data: list[Data]) -> bool:
    return any(one.sha256 == other.sha256 for other in data)


def _name(run: Run, path: Path) -> str:
    """Return a file's name as the recipe says it; that of one that the run made, within the run."""
    folder = run.folder.absolute()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _count_lines(path: Path) -> int:
    with path.open(encoding="utf-8", newline="\n") as lines:
        return sum(1 for _ in lines)
