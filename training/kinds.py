"""What a recipe may choose among, by name: apart from what does it, which loads much to do it."""

from typing import Literal

CellKind = Literal["gru", "lstm"]
AttentionKind = Literal["dot", "general", "additive"]
DropoutKind = Literal["locked", "independent"]
ProtocolName = Literal["detok", "lc-tok"]
