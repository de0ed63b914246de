"""The networks whose training is measured, the sentences they learn from, and what that takes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from texts import FIRST_WORD, source_lengths
from torch import Tensor, nn

import training
from models.tokenizer import BOS, EOS
from training.batches import Epoch, plan_epoch
from training.cells import build_layer
from training.learner import Learner
from training.network import Batch, BidirectionalLayer, Network
from training.precision import Precision
from training.prepare import Examples, Ragged
from training.ranks import ALONE
from training.recipe import NetworkRecipe, Recipe
from training.run import parse_recipe

PUBLISHED = Path(training.__file__).parent / "recipes" / "tatoeba-de-en-es-fr.toml"
GNMT_ROWS, GNMT_TOKENS = 128, 27
GNMT_SHORTEST, GNMT_LONGEST = 3, 50
TARGET_FACTOR = 1.05
NUM_SENTENCES = 8000

Lengths = Callable[[int, np.random.Generator], NDArray[np.int64]]


@dataclass(frozen=True)
class Subject:
    """What learns, and the lengths of the sources it learns from."""

    recipe: Recipe
    vocabulary: int
    lengths: Lengths
    build: Callable[[NetworkRecipe, int], Network] = Network


@dataclass(frozen=True)
class Work:
    """Multiply-adds of the matrix products, forwards; elementwise operations are not counted."""

    source_token: int
    target_token: int
    pair: int
    """Of one target token that attends to one source token."""


class GNMTEncoder(nn.Module):
    """One bidirectional layer and three that read forwards, the upper two with residuals.

    Source: NVIDIA's GNMT v2 (DeepLearningExamples, PyTorch/Translation/GNMT), after Wu et al. 2016.
    """

    def __init__(self, recipe: NetworkRecipe) -> None:
        super().__init__()
        size = recipe.decoder_size
        wide = recipe.model_copy(update={"encoder_size": size})
        self.first = BidirectionalLayer(wide, recipe.embedding_size)
        self.rest = nn.ModuleList(build_layer(recipe.cell, n, size) for n in (2 * size, size, size))
        self.dropout = nn.Dropout(recipe.dropout_layers)

    def forward(self, x_BSE: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return `memory_BSM` and the last outputs of the top layer, `last_BM`."""
        x_BSD, _ = self.first(x_BSE, lengths_B)
        for layer in self.rest:
            out_BSM, _ = layer(self.dropout(x_BSD))
            x_BSD = out_BSM + x_BSD if out_BSM.shape == x_BSD.shape else out_BSM
        row_B = torch.arange(len(lengths_B), device=lengths_B.device)
        return x_BSD, x_BSD[row_B, lengths_B - 1]


def published() -> Subject:
    """Return the published bundle's recipe, its network and batches."""
    recipe = parse_recipe(PUBLISHED.read_text(encoding="utf-8"), PUBLISHED.name)
    return Subject(recipe, recipe.tokenizer.size, source_lengths)


def gnmt(size: int = 1024, vocabulary: int = 32_000) -> Subject:
    """Return GNMT v2's sizes, with as many tokens to a batch as 128 sentences have."""
    network = NetworkRecipe(
        cell="lstm",
        attention="additive",
        embedding_size=size,
        encoder_layers=4,
        encoder_size=size // 2,  # GNMTEncoder puts out half of a bidirectional layer
        decoder_layers=4,
        decoder_size=size,
        tying="all",
        dropout_layers=0.2,
        residual=True,
    )
    recipe = published().recipe
    loop = recipe.training.model_copy(update={"batch_tokens": GNMT_ROWS * GNMT_TOKENS})
    recipe = recipe.model_copy(update={"network": network, "training": loop})
    return Subject(recipe, vocabulary, _gnmt_lengths, _build_gnmt)


def examples_of(subject: Subject, count: int = NUM_SENTENCES) -> Examples:
    """Draw sentences without meaning, always the same ones."""
    draw = np.random.default_rng(0)
    first = min(FIRST_WORD, subject.vocabulary // 2)
    sources, targets = [], []
    for length in subject.lengths(count, draw):
        words = draw.integers(first, subject.vocabulary, length - 1)
        sources.append([*words.tolist(), EOS])
        words = draw.integers(first, subject.vocabulary, max(1, round(TARGET_FACTOR * length) - 1))
        targets.append([BOS, *words.tolist(), EOS])
    return Examples(Ragged.join(sources), Ragged.join(targets))


def work_of(network: Network) -> Work:
    """Count what a source token and a target token cost."""
    decoder, attention = network.decoder, network.decoder.attention
    key = _matrices(getattr(attention, "key", nn.Identity()))
    query = _matrices(getattr(attention, "query", nn.Identity()))
    memory_size = decoder.start[0].in_features
    key_size = decoder.start[0].out_features if key else memory_size
    return Work(
        _matrices(network.encoder) + key,
        _matrices(decoder.layers) + query + _matrices(decoder.readout) + _matrices(network.output),
        key_size + memory_size,
    )


@dataclass(frozen=True)
class Sample:
    """One measurement."""

    seconds: float
    steps: int
    source_tokens: int
    target_tokens: int
    operations: float
    """Multiplications and additions of the products, of real tokens only."""


class Learning:
    """A network that learns from the same batches over and over, on a device."""

    def __init__(self, subject: Subject, device: torch.device) -> None:
        torch.manual_seed(0)
        self._subject, self._device = subject, device
        network, average = (
            subject.build(subject.recipe.network, subject.vocabulary).to(device) for _ in range(2)
        )
        self._learner = Learner(subject.recipe.training, network, average, device, ALONE)
        examples = examples_of(subject)
        self._plan = plan_epoch(examples, subject.recipe.training.batch_tokens, seed=0)
        self._epoch = Epoch(examples, self._plan, device)
        self._examples = examples
        self._work = work_of(self._learner.network)
        self._next = 0

    @property
    def num_parameters(self) -> int:
        """Of the network; a tied table counts once."""
        return self._learner.network.num_parameters

    def sample(self, precision: Precision, seconds: float, clock: Callable[[], float]) -> Sample:
        """Take steps for a while, one at least, with all that a step of training does."""
        if self._learner.precision != precision:
            self._learner.learn_in(precision)
        self._wait()
        began, taken = clock(), []
        while not taken or clock() - began < seconds:
            taken.append(self._next)
            self._learner.step(self._batch(), self._subject.recipe.training.learning_rate)
        self._wait()
        return self._describe(clock() - began, taken)

    def _batch(self) -> Batch:
        batch = self._epoch.batch(self._next)
        self._next = (self._next + 1) % len(self._epoch)
        return batch

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def _describe(self, seconds: float, taken: list[int]) -> Sample:
        rows = np.concatenate([self._plan[index] for index in taken])
        sources = self._examples.source.lengths[rows]
        targets = self._examples.target.lengths[rows] - 1
        forwards = (
            self._work.source_token * int(sources.sum())
            + self._work.target_token * int(targets.sum())
            + self._work.pair * int((sources * targets).sum())
        )
        # two operations to a multiply-add, and twice as many backwards as forwards
        operations = 6.0 * forwards
        return Sample(seconds, len(taken), int(sources.sum()), int(targets.sum()), operations)


def _matrices(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.dim() > 1)


def _gnmt_lengths(count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw lengths as in WMT's news and debates in BPE, cut at 50 as NVIDIA's recipe does."""
    drawn = random.gamma(3, GNMT_TOKENS / 3, 2 * count)
    kept = drawn[(drawn >= GNMT_SHORTEST) & (drawn <= GNMT_LONGEST)][:count]
    return np.rint(kept).astype(np.int64)


def _build_gnmt(recipe: NetworkRecipe, vocabulary: int) -> Network:
    network = Network(recipe, vocabulary)
    network.encoder = GNMTEncoder(recipe)  # type: ignore[assignment]
    return network
