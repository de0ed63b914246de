"""Greedy validation of the network itself, while it learns.

What is said of a bundle is measured through the service's engine instead (`export.py`).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from models.tokenizer import EOS, Tokenizer
from service.evaluation import Metric
from training.batches import pad
from training.corpus import HeldOut
from training.network import Network
from training.prepare import source_prefix
from training.protocol import score_by
from training.run import Run

# validation needs no gradients, so its batches may be larger than those of training
ROWS = 256

OnTranslated = Callable[[HeldOut, list[str]], None]
"""Is told the translations of a text."""


def validate(
    network: Network,
    tokenizer: Tokenizer,
    run: Run,
    dev: Sequence[HeldOut],
    on_translated: OnTranslated = lambda text, translations: None,
) -> dict[str, list[Metric]]:
    """Return the scores of each direction, as `source-target`, decoded greedily; BLEU is first."""
    network.eval()
    scores: dict[str, list[Metric]] = {}
    for text in dev:
        prefix = source_prefix(run.recipe, tokenizer, text.target)
        translations = greedy(network, tokenizer, text.sources, prefix)
        on_translated(text, translations)
        scored = score_by(text.protocols, translations, text.references, text.target)
        scores[f"{text.source}-{text.target}"] = scored
    return scores


def greedy(
    network: Network, tokenizer: Tokenizer, sources: Sequence[str], prefix: Sequence[int]
) -> list[str]:
    """Translate sentences with the network as it stands, likeliest token by token."""
    device = next(network.parameters()).device
    ids = [[*prefix, *tokenizer.encode(source), EOS] for source in sources]
    order = np.argsort([len(one) for one in ids], kind="stable")
    translations = [""] * len(ids)
    for start in range(0, len(order), ROWS):
        rows = order[start : start + ROWS]
        source_BS, lengths_B = pad([ids[row] for row in rows], device)
        with torch.inference_mode():
            decoded = network.translate(source_BS, lengths_B, 2 * source_BS.shape[1] + 10)
        for row, tokens in zip(rows, decoded, strict=True):
            translations[row] = tokenizer.decode(tokens)
    return translations
