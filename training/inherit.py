"""Starting from a published bundle instead of from chance: its weights and its vocabulary.

The vocabulary may be another one, of more languages say. A token that both have keeps its
row of each table; a token that is new starts as the mean of the tokens that its text was
before; a token of characters that the bundle never saw starts by chance.

Source: Kocmi & Bojar 2018, "Trivial Transfer Learning for Low-Resource Neural Machine
Translation", section 3, for starting from another pair; Gheini & May 2019, "A Universal
Parent Model for Low-Resource Neural Machine Translation Transfer", section 3, for the tables.
"""

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.tokenizer import Tokenizer
from training.graph_reader import files_of_bundle, plan_of_bundle, read_weights
from training.network import Network
from training.run import Run
from training.weights import build_network, collect_weights, plan_of

TABLES = ("source_embedding", "target_embedding", "output_embedding", "output_bias")
"""Weights with a row for each token."""
_SPACE_SIGN = "\u2581"


def inherit_tokenizer(run: Run) -> Tokenizer:
    """Return the vocabulary of the bundle that a run starts from.

    Raises:
        DamagedBundle: the bundle cannot be trusted.
        ValueError: the recipe names another kind, size, normalisation or case.
    """
    bundle = _open(run)
    wanted, there = run.recipe.tokenizer, bundle.manifest.tokenizer
    for key in ("kind", "size", "normalisation", "case"):
        if (mine := getattr(wanted, key)) != (theirs := getattr(there, key)):
            raise ValueError(f"tokenizer.{key} is {mine}, that of {bundle.identity} is {theirs}")
    return bundle.tokenizer()


def inherit_network(run: Run, tokenizer: Tokenizer) -> Network:
    """Return a network of the recipe with the weights of the bundle that the run starts from.

    Args:
        tokenizer: The run's own vocabulary.

    Raises:
        DamagedBundle: the bundle cannot be trusted.
        ValueError: its network has another shape than the recipe's.
    """
    bundle = _open(run)
    recipe = run.recipe.network
    if plan_of_bundle(bundle) != plan_of(recipe):
        raise ValueError(f"[network] is not that of {bundle.identity}, which training starts from")
    weights = read_weights(plan_of_bundle(bundle), files_of_bundle(bundle))
    fresh = collect_weights(Network(recipe, tokenizer.size))
    ancestors = _ancestors(
        tokenizer, bundle.tokenizer(), list(bundle.manifest.target_tags.values())
    )
    for name in TABLES:
        weights[name] = _inherit_rows(weights[name], fresh[name], ancestors)
    return build_network(recipe, weights)


def _open(run: Run) -> Bundle:
    if run.ancestor is None:
        raise ValueError("training.init_from names no bundle")
    return Bundle.open(run.ancestor)


def _ancestors(tokenizer: Tokenizer, before: Tokenizer, tags: list[str]) -> list[list[int]]:
    """Return for each token the tokens it was before: itself, or what its text fell into.

    Args:
        tags: Target tags of before; a new tag was all of them.
    """
    known = {piece: id for id, piece in enumerate(before.pieces(range(before.size)))}
    ancestors: list[list[int]] = []
    for id, piece in enumerate(tokenizer.pieces(range(tokenizer.size))):
        if piece in known:
            ancestors.append([known[piece]])
        elif tokenizer.is_control(id):
            ancestors.append([before.tag_id(tag) for tag in tags])
        elif id in tokenizer.case_ids:
            ancestors.append([])  # case was in the words themselves
        else:
            ancestors.append(_segment(piece, before))
    return ancestors


def _segment(piece: str, before: Tokenizer) -> list[int]:
    """Return the old tokens of a piece's text; none if it was never seen but as bytes."""
    text = piece.replace(_SPACE_SIGN, " ")
    ids = [id for id in before.encode(text) if id not in before.case_ids]
    if not text.startswith(" ") and ids and before.pieces(ids[:1]) == [_SPACE_SIGN]:
        ids = ids[1:]
    return [] if any(name.startswith("<0x") for name in before.pieces(ids)) else ids


def _inherit_rows(
    old: NDArray[np.float32], fresh: NDArray[np.float32], ancestors: list[list[int]]
) -> NDArray[np.float32]:
    rows = fresh.copy()
    for row, ids in enumerate(ancestors):
        if ids:
            rows[row] = old[ids].mean(0)
    return rows
