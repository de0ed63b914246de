"""Several networks as one: at every position the mean of their probabilities decides.

They must share a vocabulary; their shapes may differ. What they remember of a sentence lies side
by side, and so do their states, as in the graphs that `ensemble_graphs.py` writes.

Source: Sutskever et al. 2014, "Sequence to Sequence Learning with Neural Networks", section 3.6.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from training.decoder import Memory, States
from training.network import Network


@dataclass(frozen=True, slots=True)
class Memories(Memory):
    """What the encoders of all members say of a batch of sources."""

    parts: tuple[Memory, ...]
    """By member; the tensors of the whole are theirs side by side."""


class Ensemble(nn.Module):
    """Networks that translate together; it decodes as one `Network` does, but does not train.

    Raises:
        ValueError: they are of different vocabularies.
    """

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        sizes = {len(member.output.weight) for member in members}
        if len(sizes) != 1:
            raise ValueError(f"an ensemble shares a vocabulary; here are sizes {sorted(sizes)}")
        self.members = nn.ModuleList(members)
        states = [
            member.recipe.decoder_layers + member.recipe.carries_context for member in members
        ]
        layers = [0, *accumulate(states)]
        self._layers = [slice(*bounds) for bounds in pairwise(layers)]
        self._widths = [member.recipe.embedding_size for member in members]

    @property
    def num_parameters(self) -> int:
        """Number of trained numbers of all members."""
        return sum(member.num_parameters for member in self.networks)

    @property
    def networks(self) -> list[Network]:
        """The members."""
        return [member for member in self.members if isinstance(member, Network)]

    def encode(self, source_BS: Tensor, lengths_B: Tensor) -> tuple[Memories, States]:
        """Read the sources; return the memories and the decoders' first states."""
        encoded = [member.encode(source_BS, lengths_B) for member in self.networks]
        parts = tuple(memory for memory, _ in encoded)
        keys_BSA = torch.cat([memory.keys_BSA for memory in parts], -1)
        memory_BSM = torch.cat([memory.memory_BSM for memory in parts], -1)
        states = tuple(state for _, states in encoded for state in states)
        return Memories(keys_BSA, memory_BSM, parts[0].mask_BS, parts), states

    def decode(
        self, target_BT: Tensor, memory: Memory, states: States
    ) -> tuple[Tensor, Tensor, States]:
        """Read target ids; return the readouts side by side, mean weights and all states after."""
        assert isinstance(memory, Memories), "the memory of one network"
        decoded = [
            member.decode(target_BT, part, states[layers])
            for member, part, layers in zip(self.networks, memory.parts, self._layers, strict=True)
        ]
        readout_BTE = torch.cat([readout for readout, _, _ in decoded], -1)
        weights_BTS = torch.stack([weights for _, weights, _ in decoded]).mean(0)
        return readout_BTE, weights_BTS, tuple(state for _, _, after in decoded for state in after)

    def output(self, readout_BTE: Tensor) -> Tensor:
        """Return the logarithm of the mean probability of each token, `log_probabilities_BTV`."""
        readouts = torch.split(readout_BTE, self._widths, -1)
        log_probabilities = [
            member.output(readout).log_softmax(-1)
            for member, readout in zip(self.networks, readouts, strict=True)
        ]
        return torch.logsumexp(torch.stack(log_probabilities), 0) - math.log(len(self.members))

    def logits(self, source_BS: Tensor, lengths_B: Tensor, target_BT: Tensor) -> Tensor:
        """Return what `output` says of what follows each target token (BOS first)."""
        readout_BTE, _, _ = self.decode(target_BT, *self.encode(source_BS, lengths_B))
        return self.output(readout_BTE)
