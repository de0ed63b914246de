"""What a recipe may choose among, by name: apart from what does it, which loads much to do it."""

from typing import Literal

from models.bundle import CellKind

__all__ = ["AttentionKind", "CellKind", "DropoutKind", "ProtocolName", "RecurrentInit"]

AttentionKind = Literal["dot", "general", "additive"]
DropoutKind = Literal["locked", "independent"]
RecurrentInit = Literal["orthogonal", "identity", "glorot"]
ProtocolName = Literal["detok", "lc-tok"]
