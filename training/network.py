"""The translator: an encoder and a decoder of recurrent layers joined by attention.

    source ids -> embedding -> [ forward + backward ] x layers -> memory --project--> keys
                                                                     |                 |
    target ids -> embedding -> layer 0 -> query -> attention <-------+-----------------+
                                  |                   |
                                  +--> concat <-- context --> layer 1.. -> readout -> logits

The context is not fed back into layer 0, unless a recipe asks for that, so each layer runs over
the whole target in one call and attention serves all positions at once; see `decoder.py`. What a
layer passes on to those above and to the readout is told in `depth.py`; attention's query and the
decoder's first state are made from the outputs of layer 0 and of the encoder's top layer as they
are.

Source: Bahdanau et al. 2015 for the encoder; Wu et al. 2016 (GNMT) as trained without
input feeding, the context going to every upper layer, for the decoder.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.tokenizer import BOS, EOS, PAD
from training.cells import build_layer
from training.decoder import Decoder, Memory, States
from training.depth import pass_on
from training.dropout import build_dropout
from training.loss import smoothed_cross_entropy
from training.r_drop import r_drop_loss
from training.recipe import NetworkRecipe


@dataclass(frozen=True, slots=True)
class Batch:
    """What is learnt from in one step, right padded; of several processes, the share of one."""

    source_BS: Tensor
    lengths_B: Tensor
    target_BT: Tensor
    predicted_N: Tensor
    """Places in the flattened `target_BT[:, 1:]` of the tokens that are predicted, EOS included."""
    tokens: int
    """How many are predicted in the shares of all processes together."""


class BidirectionalLayer(nn.Module):
    """Two layers that read a right-padded batch from both ends; padding never reaches a token."""

    def __init__(self, recipe: NetworkRecipe, input_size: int) -> None:
        super().__init__()
        sizes = input_size, recipe.encoder_size
        self.forwards = build_layer(recipe.cell, *sizes, recipe.cell_options)
        self.backwards = build_layer(recipe.cell, *sizes, recipe.cell_options)

    def forward(self, x_BSD: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return `out_BSM` and the last outputs of both directions, `last_BM`."""
        # Each sentence is turned round within its own length, so that its padding stays
        # behind it for the backward direction too; the same index turns it back.
        position_S = torch.arange(x_BSD.shape[1], device=x_BSD.device)
        turned_BS = lengths_B[:, None] - 1 - position_S
        turned_BS = torch.where(turned_BS >= 0, turned_BS, position_S)
        forward_BSH, _ = self.forwards(x_BSD)
        backward_BSH, _ = self.backwards(_take(x_BSD, turned_BS))
        backward_BSH = _take(backward_BSH, turned_BS)
        last_B1 = (lengths_B - 1)[:, None]
        last_BM = torch.cat([_take(forward_BSH, last_B1)[:, 0], backward_BSH[:, 0]], -1)
        return torch.cat([forward_BSH, backward_BSH], -1), last_BM


class Encoder(nn.Module):
    """Bidirectional layers over the source."""

    def __init__(self, recipe: NetworkRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        sizes = [recipe.embedding_size] + [2 * recipe.encoder_size] * recipe.encoder_layers
        self.layers = nn.ModuleList(BidirectionalLayer(recipe, size) for size in sizes[:-1])
        self.dropout = build_dropout(recipe.dropout_kind, recipe.dropout_layers)

    def forward(self, x_BSE: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return `memory_BSM` and the last outputs of the top layer, `last_BM`."""
        out_BSM, last_BM = self.layers[0](x_BSE, lengths_B)
        sum_BSM, read_BSM = pass_on(self.recipe, out_BSM, None)
        for layer in self.layers[1:]:
            out_BSM, last_BM = layer(self.dropout(read_BSM), lengths_B)
            sum_BSM, read_BSM = pass_on(self.recipe, out_BSM, sum_BSM)
        return self.dropout(read_BSM), last_BM


class Network(nn.Module):
    """A translator with its vocabulary tables."""

    def __init__(self, recipe: NetworkRecipe, vocabulary_size: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.source_embedding = _table(vocabulary_size, recipe.embedding_size)
        self.target_embedding = _table(vocabulary_size, recipe.embedding_size)
        self.output = nn.Linear(recipe.embedding_size, vocabulary_size)
        self.encoder = Encoder(recipe)
        self.decoder = Decoder(recipe)
        self.dropout = build_dropout(recipe.dropout_kind, recipe.dropout_embedding)
        nn.init.zeros_(self.output.bias)
        # Press & Wolf 2017, "Using the Output Embedding": output = target, or all three one
        if recipe.tying != "none":
            self.output.weight = self.target_embedding.weight
        if recipe.tying == "all":
            self.source_embedding.weight = self.target_embedding.weight

    @property
    def num_parameters(self) -> int:
        """Number of trained numbers, a tied table counted once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def encode(self, source_BS: Tensor, lengths_B: Tensor) -> tuple[Memory, States]:
        """Read the sources; return the memory and the decoder's first state.

        Args:
            source_BS: token ids, right padded.
            lengths_B: tokens of each source, at least 1.
        """
        x_BSE = self.dropout(self.source_embedding(self._drop_words(source_BS)))
        memory_BSM, last_BM = self.encoder(x_BSE, lengths_B)
        position_S = torch.arange(source_BS.shape[1], device=source_BS.device)
        mask_BS = position_S < lengths_B[:, None]
        keys_BSA = self.decoder.project(memory_BSM)
        return Memory(keys_BSA, memory_BSM, mask_BS), self.decoder.first_state(last_BM)

    def decode(
        self, target_BT: Tensor, memory: Memory, states: States
    ) -> tuple[Tensor, Tensor, States]:
        """Read target ids and return `readout_BTE`, `weights_BTS` and the states after them."""
        x_BTE = self.dropout(self.target_embedding(self._drop_words(target_BT)))
        return self.decoder(x_BTE, memory, states)  # type: ignore[no-any-return]

    def logits(self, source_BS: Tensor, lengths_B: Tensor, target_BT: Tensor) -> Tensor:
        """Return `logits_BTV` of what follows each target token (BOS first)."""
        readout_BTE, _, _ = self.decode(target_BT, *self.encode(source_BS, lengths_B))
        return self.output(readout_BTE)  # type: ignore[no-any-return]

    def loss(
        self,
        batch: Batch,
        smoothing: float,
        r_drop: float = 0.0,
        scale: Tensor | None = None,
        teacher: float = 1.0,
    ) -> Tensor:
        """Return the summed loss over the targets' tokens, in nats; padding counts nothing.

        Args:
            r_drop: how much the disagreement of two passes weighs; 0 makes one pass only.
            scale: what the loss will be multiplied with before `backward`; see `loss.py`.
            teacher: share of the tokens that the decoder is told; the others it guesses.
        """
        targets_N = batch.target_BT[:, 1:].flatten().index_select(0, batch.predicted_N)
        weights = self.output.weight, self.output.bias
        if r_drop:
            # Both passes as one batch of twice the rows: each row draws its own dropout.
            passes = self._readouts(
                batch.source_BS.repeat(2, 1),
                batch.lengths_B.repeat(2),
                batch.target_BT.repeat(2, 1),
            ).chunk(2)
            readout_2NE = torch.stack([_take_rows(each, batch.predicted_N) for each in passes])
            return r_drop_loss(readout_2NE, *weights, targets_N, smoothing, r_drop, scale=scale)
        readout_BTE = self._readouts(batch.source_BS, batch.lengths_B, batch.target_BT, teacher)
        readout_NE = _take_rows(readout_BTE, batch.predicted_N)
        return smoothed_cross_entropy(readout_NE, *weights, targets_N, smoothing, scale)

    def _readouts(
        self, source_BS: Tensor, lengths_B: Tensor, target_BT: Tensor, teacher: float = 1.0
    ) -> Tensor:
        """Return `readout_BTE` of what precedes each token of the targets but BOS."""
        memory, states = self.encode(source_BS, lengths_B)
        told_BT = target_BT[:, :-1]
        if teacher < 1:
            told_BT = self._guess(told_BT, memory, states, teacher)
        readout_BTE, _, _ = self.decode(told_BT, memory, states)
        return readout_BTE

    @torch.no_grad()
    def _guess(self, told_BT: Tensor, memory: Memory, states: States, teacher: float) -> Tensor:
        """Put the likeliest token where a target's is not told; BOS always is.

        Which tokens is drawn for each. A guess is made by what really came before, all in one
        pass, not by other guesses: so training stays two calls of the fused kernels.

        Source: Bengio et al. 2015, "Scheduled Sampling", section 2.4, by argmax; Mihaylova &
        Martins 2019, "Scheduled Sampling for Transformers", section 3.2, for the two passes.
        """
        readout_BTE, _, _ = self.decode(told_BT, memory, states)
        guess_BT = self.output(readout_BTE[:, :-1]).argmax(-1)
        is_told_BT = torch.rand(guess_BT.shape, device=told_BT.device) < teacher
        return torch.cat([told_BT[:, :1], torch.where(is_told_BT, told_BT[:, 1:], guess_BT)], 1)

    @torch.no_grad()
    def translate(self, source_BS: Tensor, lengths_B: Tensor, max_tokens: int) -> list[list[int]]:
        """Return the greedy translation of each source, without BOS and EOS.

        For validation while training; what is published is measured by the service's engine.
        """
        memory, states = self.encode(source_BS, lengths_B)
        token_B1 = torch.full_like(source_BS[:, :1], BOS)
        is_done_B = torch.zeros_like(lengths_B, dtype=torch.bool)
        steps: list[Tensor] = []
        while len(steps) < max_tokens and not bool(is_done_B.all()):
            readout_B1E, _, states = self.decode(token_B1, memory, states)
            token_B1 = self.output(readout_B1E).argmax(-1)
            is_done_B = is_done_B | (token_B1[:, 0] == EOS)
            steps.append(token_B1)
        return [_until_eos(row) for row in torch.cat(steps, 1).tolist()]

    def _drop_words(self, ids_BT: Tensor) -> Tensor:
        # Sennrich & Zhang 2019, section 3.2: a whole token is hidden from the network, here
        # behind PAD, which is no token of any sentence. The first (a tag or BOS) stays.
        if not self.training or self.recipe.word_dropout == 0:
            return ids_BT
        is_hidden_BT = torch.rand(ids_BT.shape, device=ids_BT.device) < self.recipe.word_dropout
        is_hidden_BT[:, 0] = False
        return ids_BT.masked_fill(is_hidden_BT, PAD)


def _table(vocabulary_size: int, embedding_size: int) -> nn.Embedding:
    table = nn.Embedding(vocabulary_size, embedding_size)
    # small enough for the tied output: logits of unit-size readouts then start near zero
    nn.init.normal_(table.weight, std=embedding_size**-0.5)
    return table


def _take(x_BSD: Tensor, index_BT: Tensor) -> Tensor:
    return x_BSD.gather(1, index_BT[:, :, None].expand(-1, -1, x_BSD.shape[2]))


def _take_rows(x_BTE: Tensor, places_N: Tensor) -> Tensor:
    return x_BTE.flatten(0, 1).index_select(0, places_N)


def _until_eos(ids: list[int]) -> list[int]:
    return ids[: ids.index(EOS)] if EOS in ids else ids
