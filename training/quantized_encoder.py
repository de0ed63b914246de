"""The encoder in integers: loops around integer products.

There is no integer GRU among the operators. A loop around integer products takes 0.64 ms for
one sentence of 16 tokens and 8.7 ms for 64 of them, the operator in single precision 0.74 and
23.7 (two layers of 256, one core).
"""

from training.loop_encoder import LoopEncoder


class QuantizedEncoder(LoopEncoder):
    """The layers as loops that carry their outputs as integers."""

    rounds = True
