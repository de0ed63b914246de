"""The gate between network and graphs: what is published computes what was trained.

Real sentence pairs go through both, in ragged batches as they come. Teacher-forced, every
log-probability of every token of the vocabulary must agree within a tolerance; decoding
greedily, each on its own words, both must choose the same tokens, except where the network
itself holds two for equal within that tolerance.

The engine is not used here: it decodes, but does not show what all tokens scored.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from models.bundle import Parity
from models.tokenizer import BOS, EOS
from training.batches import pad
from training.ensemble import Ensemble
from training.graphs import MASKED, GraphFiles
from training.network import Network

BATCH_SENTENCES = 16

IdPair = tuple[list[int], list[int]]
"""Source (tag, tokens, EOS) and target (BOS, tokens, EOS)."""


@dataclass(frozen=True, slots=True)
class _Tally:
    difference: float = 0.0
    tokens: int = 0
    ties: int = 0


def check_parity(
    network: Network | Ensemble, files: GraphFiles, pairs: Sequence[IdPair], tolerance: float
) -> Parity:
    """Compare the network with the graphs written from it, on the CPU in single precision.

    Returns:
        The figures for the manifest. Logits are compared after normalisation, as
        log-probabilities, for these are what the step graph answers.

    Raises:
        ValueError: they differ by more than the tolerance, or choose other tokens.
    """
    network = network.cpu().float().eval()
    graphs = _Graphs(files)
    batches = [pairs[i : i + BATCH_SENTENCES] for i in range(0, len(pairs), BATCH_SENTENCES)]
    with torch.inference_mode(), _one_thread():
        tallies = [_compare(network, graphs, batch, tolerance) for batch in batches]
    return Parity(
        max_logit_difference=max(tally.difference for tally in tallies),
        tolerance=tolerance,
        sentences=len(pairs),
        tokens=sum(tally.tokens for tally in tallies),
        ties=sum(tally.ties for tally in tallies),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    # Steps of so few rows gain nothing from threads, and on a busy machine they wait for them:
    # 400 sentences took 115 s with two threads beside four other programs, 22 s with one.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _compare(
    network: Network | Ensemble, graphs: "_Graphs", pairs: Sequence[IdPair], tolerance: float
) -> _Tally:
    sources = [source for source, _ in pairs]
    difference, tokens = _teacher_forced(network, graphs, pairs)
    if not difference <= tolerance:  # also when it is not a number
        raise ValueError(
            f"parity: logits of network and graphs differ by {difference:.2g}, "
            f"export.tolerance is {tolerance:g}; nothing is published"
        )
    return _Tally(difference, tokens, _greedy(network, graphs, sources, tolerance))


def _teacher_forced(
    network: Network | Ensemble, graphs: "_Graphs", pairs: Sequence[IdPair]
) -> tuple[float, int]:
    cpu = torch.device("cpu")
    source_BS, lengths_B = pad([source for source, _ in pairs], cpu)
    target_BT, target_lengths_B = pad([target[:-1] for _, target in pairs], cpu)
    logits_BTV = network.logits(source_BS, lengths_B, target_BT)
    expected_BTV = logits_BTV.log_softmax(-1).numpy()
    decoder = graphs.start(source_BS.numpy(), lengths_B.numpy())
    vocabulary_size = expected_BTV.shape[-1]
    ends_B, differences = target_lengths_B.numpy(), []
    for t, tokens_B in enumerate(target_BT.numpy().T):
        scores_BV = decoder.log_probabilities(tokens_B, vocabulary_size)
        distance_BV = np.abs(scores_BV - expected_BTV[:, t])
        differences.append(distance_BV[t < ends_B].max())
    return float(np.max(differences)), int(ends_B.sum())


def _greedy(
    network: Network | Ensemble, graphs: "_Graphs", sources: Sequence[list[int]], tolerance: float
) -> int:
    """Let both decode; return at how many tokens they parted over a tie."""
    ties = 0
    together_B = np.ones(len(sources), bool)
    for theirs_B, mine_B, logits_BV in _choices(network, graphs, sources):
        parting = np.flatnonzero(together_B & (theirs_B != mine_B))
        for row in parting:
            gap = float(logits_BV[row, theirs_B[row]] - logits_BV[row, mine_B[row]])
            if not gap <= tolerance:
                raise ValueError(
                    f"parity: network and graphs choose different tokens whose logits are "
                    f"{gap:.2g} apart, export.tolerance is {tolerance:g}; nothing is published"
                )
        ties += len(parting)
        together_B &= (theirs_B == mine_B) & (theirs_B != EOS)
        if not together_B.any():
            break
    return ties


def _choices(
    network: Network | Ensemble, graphs: "_Graphs", sources: Sequence[list[int]]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """Yield the tokens both choose, step by step, and the network's logits."""
    source_BS, lengths_B = pad(list(sources), torch.device("cpu"))
    memory, states = network.encode(source_BS, lengths_B)
    decoder = graphs.start(source_BS.numpy(), lengths_B.numpy())
    theirs_B1 = torch.full_like(source_BS[:, :1], BOS)
    mine_B = theirs_B1[:, 0].numpy()
    for _ in range(2 * source_BS.shape[1] + 10):
        readout_B1E, _, states = network.decode(theirs_B1, memory, states)
        logits_B1V = network.output(readout_B1E)
        theirs_B1 = logits_B1V.argmax(-1)
        mine_B = decoder.choose(mine_B)
        yield theirs_B1[:, 0].numpy(), mine_B, logits_B1V[:, 0].numpy()


class _Graphs:
    """Both graphs on ONNX Runtime."""

    def __init__(self, files: GraphFiles) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._encoder, self._step = (
            onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            for path in (files.encoder, files.step)
        )

    def start(self, source_NS: NDArray[np.int64], lengths_N: NDArray[np.int64]) -> "_Decoder":
        """Encode; return a decoder with one row for each sentence."""
        feed = {"source_NS": source_NS, "lengths_N": lengths_N.astype(np.int32)}
        keys_NAS, memory_NSM, *states = self._encoder.run(None, feed)
        is_padding_NS = np.arange(source_NS.shape[1]) >= lengths_N[:, None]
        mask_NS = np.where(is_padding_NS, np.float32(MASKED), np.float32(0))
        memory = {"keys_NAS": keys_NAS, "memory_NSM": memory_NSM, "mask_NS": mask_NS}
        return _Decoder(self._step, memory, states)


class _Decoder:
    """Rows that stay where they are, one for each sentence."""

    def __init__(
        self,
        step: onnxruntime.InferenceSession,
        memory: dict[str, NDArray[Any]],
        states: list[NDArray[np.float32]],
    ) -> None:
        self._step = step
        names = [tensor.name for tensor in step.get_inputs()]
        self._state_names = [name for name in names if name.startswith("state_")]
        self._states = states
        parents_N1 = np.arange(len(memory["mask_NS"]))[:, None]
        self._memory = {**memory, "parents_NK": parents_N1}
        self._outputs = ["scores_NKC", "tokens_NKC"]
        self._outputs += [f"next_{name.removesuffix('_PH')}_NKH" for name in self._state_names]

    def log_probabilities(
        self, tokens_B: NDArray[np.int64], vocabulary_size: int
    ) -> NDArray[np.float32]:
        """Return `log_probabilities_BV` of what follows."""
        scores_BV, order_BV = self._run(tokens_B, vocabulary_size)
        by_token_BV = np.empty_like(scores_BV)
        np.put_along_axis(by_token_BV, order_BV, scores_BV, axis=1)
        return by_token_BV

    def choose(self, tokens_B: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the likeliest next token of each row."""
        _, best_B1 = self._run(tokens_B, 1)
        return best_B1[:, 0]

    def _run(
        self, tokens_B: NDArray[np.int64], candidates: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        feed = {"candidates": np.array([candidates]), **self._memory}
        feed["tokens_NK"] = tokens_B[:, None]
        feed |= dict(zip(self._state_names, self._states, strict=True))
        scores_N1C, tokens_N1C, *states = self._step.run(self._outputs, feed)
        self._states = [state_N1H[:, 0] for state_N1H in states]
        return scores_N1C[:, 0], tokens_N1C[:, 0]
