"""What a recipe may choose among, by name: apart from what does it, which loads much to do it."""

from typing import Literal

from models.bundle import CellKind

__all__ = [
    "AttentionKind",
    "CellKind",
    "ContextReaders",
    "Criterion",
    "DropoutKind",
    "ProtocolName",
    "RecurrentInit",
    "Summary",
    "TeacherForcing",
]

AttentionKind = Literal["dot", "general", "additive", "none"]
Summary = Literal["state", "input", "both"]
TeacherForcing = Literal["always", "linear", "exponential", "inverse_sigmoid"]
ContextReaders = Literal["every", "first"]
DropoutKind = Literal["locked", "independent"]
RecurrentInit = Literal["orthogonal", "identity", "glorot"]
ProtocolName = Literal["detok", "lc-tok", "exact"]
Criterion = Literal["bleu", "exact"]
