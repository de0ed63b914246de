"""What the parts of a manifest are made of."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1)]
VariantName = Literal["fp32", "fp16", "int8"]
CellKind = Literal[
    "gru",
    "lstm",
    "elman",
    "elman-relu",
    "lstm-coupled",
    "lstm-peephole",
    "gru-z-new",
    "gru-reset-before",
    "gru-reset-before-z-new",
    "mgu",
    "leaky",
    "skip",
]


class Part(BaseModel):
    """Any part of the manifest: read strictly, and frozen from then on."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Direction(Part):
    """One way to translate, as two BCP-47 tags."""

    source: Language
    target: Language
