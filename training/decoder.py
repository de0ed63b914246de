"""The decoder: layers over the target, and what they get to know of the source.

    one call      layer 0 over all positions -> attention for all -> upper layers -> readout
    input feeding layer 0 and attention position by position, for each needs the context before;
                  the rest in one call as ever
    no attention  the summary of the source, the same at all positions: one call

A context that is handed on from position to position is the last of the states; which those are
and who reads what is told in `context.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.attention import attend, build_attention
from training.cells import Layer, State, build_layer
from training.depth import pass_on
from training.dropout import build_dropout
from training.forms import num_states
from training.recipe import NetworkRecipe

States = tuple[State, ...]
"""The state of each decoder layer; then the context, if one is handed on."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the encoder says of a batch of sources."""

    keys_BSA: Tensor
    memory_BSM: Tensor
    mask_BS: Tensor
    """True where there is a token."""


class Decoder(nn.Module):
    """Layers over the target, with attention after the first.

    The second layer and the readout always read the context, if there is one, the layers between
    them if so told.
    """

    def __init__(self, recipe: NetworkRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        memory_size, size = 2 * recipe.encoder_size, recipe.decoder_size
        self.memory_size = memory_size
        below = [recipe.embedding_size] + [size] * (recipe.decoder_layers - 1)
        inputs = [each + memory_size * recipe.reads_context(i) for i, each in enumerate(below)]
        self.layers = nn.ModuleList(
            build_layer(recipe.cell, each, size, recipe.cell_options) for each in inputs
        )
        self.attention = build_attention(
            recipe.attention,
            size,
            memory_size,
            heads=recipe.attention_heads,
            size=recipe.attention_size,
        )
        starts = inputs if recipe.starts_from_source else []
        self.start = nn.ModuleList(nn.Linear(memory_size, size) for _ in starts)
        read = size + memory_size * recipe.has_context + recipe.embedding_size
        self.readout = nn.Linear(read, recipe.embedding_size)
        self.dropout = build_dropout(recipe.dropout_kind, recipe.dropout_layers)
        self.context_dropout = build_dropout(recipe.dropout_kind, recipe.dropout_context)
        self.readout_dropout = build_dropout(recipe.dropout_kind, recipe.dropout_readout)
        self.state_size = num_states(recipe.cell, recipe.cell_options.delay)

    def project(self, memory_BSM: Tensor) -> Tensor:
        """Return `keys_BSA`; once per sentence."""
        if self.attention is None:
            return memory_BSM[..., :1]
        return self.attention.project(memory_BSM)

    def first_state(self, last_BM: Tensor) -> States:
        """Return the state before BOS.

        It is h from the encoder's last outputs, unless told otherwise, and all else zero; a context
        that is handed on is those outputs, or nothing yet where attention will read it.
        """
        nothing_BH = last_BM.new_zeros(len(last_BM), self.recipe.decoder_size)
        hidden = [torch.tanh(start(last_BM)) for start in self.start] or [
            nothing_BH for _ in self.layers
        ]
        states: States = tuple(
            (h_BH, *(torch.zeros_like(h_BH) for _ in range(self.state_size - 1))) for h_BH in hidden
        )
        if not self.recipe.carries_context:
            return states
        context_BM = torch.zeros_like(last_BM) if self.recipe.attends else last_BM
        return (*states, (context_BM,))

    def forward(
        self, x_BTE: Tensor, memory: Memory, states: States
    ) -> tuple[Tensor, Tensor, States]:
        """Return `readout_BTE`, the attention's `weights_BTS` and the states after the last."""
        handed_on = [states[-1]] if self.recipe.carries_context else []
        if self.recipe.input_feeding:
            out_BTH, context_BTM, weights_BTS, first = self._feed(x_BTE, memory, states)
            handed_on = [(context_BTM[:, -1],)]
        else:
            fixed = [
                context_BM[:, None].expand(-1, x_BTE.shape[1], -1) for (context_BM,) in handed_on
            ]
            out_BTH, first = self.layers[0](torch.cat([x_BTE, *fixed], -1), states[0])
            context_BTM, weights_BTS = self._attend(out_BTH, memory, fixed)
        context = [self.context_dropout(context_BTM)] if self.recipe.has_context else []
        after: list[State] = [first]
        sum_BTH, read_BTH = pass_on(self.recipe, out_BTH, None)
        for i, layer in enumerate(self.layers[1:], 1):
            read = [read_BTH, *(context if self.recipe.reads_context(i) else [])]
            out_BTH, state = layer(self.dropout(torch.cat(read, -1)), states[i])
            after.append(state)
            sum_BTH, read_BTH = pass_on(self.recipe, out_BTH, sum_BTH)
        joined = self.readout_dropout(torch.cat([read_BTH, *context, x_BTE], -1))
        readout_BTE = torch.tanh(self.readout(joined))
        return self.readout_dropout(readout_BTE), weights_BTS, (*after, *handed_on)

    def _attend(
        self, query_BTH: Tensor, memory: Memory, fixed: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor]:
        """Return `context_BTM` and `weights_BTS`; without attention what is fixed, and equal."""
        if self.attention is not None:
            scores_BJTS = self.attention.scores(query_BTH, memory.keys_BSA)
            return attend(scores_BJTS, memory.memory_BSM, memory.mask_BS)
        weights_BS = memory.mask_BS / memory.mask_BS.sum(1, keepdim=True)
        weights_BTS = weights_BS[:, None].expand(-1, query_BTH.shape[1], -1)
        return fixed[0] if fixed else query_BTH[..., :0], weights_BTS

    def _feed(
        self, x_BTE: Tensor, memory: Memory, states: States
    ) -> tuple[Tensor, Tensor, Tensor, State]:
        """Run layer 0 and attention position by position.

        What is fed has no dropout of its own. Where gradients are cut along time, they are cut
        along this way too.
        """
        state, (context_BM,) = states[0], states[-1]
        layer, cut = self.layers[0], self.recipe.gradient_steps
        assert isinstance(layer, Layer)
        run = layer.begin()
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for t, x_BE in enumerate(x_BTE.unbind(1)):
            if self.training and cut is not None and t and t % cut == 0:
                state = tuple(each_BH.detach() for each_BH in state)
                context_BM = context_BM.detach()
            out_B1H, state = run(torch.cat([x_BE, context_BM], -1)[:, None], state)
            context_B1M, weights_B1S = self._attend(out_B1H, memory)
            context_BM = context_B1M[:, 0]
            found.append((out_B1H, context_B1M, weights_B1S))
        out_BTH, context_BTM, weights_BTS = (
            torch.cat(each, 1) for each in zip(*found, strict=True)
        )
        return out_BTH, context_BTM, weights_BTS, state
