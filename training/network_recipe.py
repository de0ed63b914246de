"""The network's section of a recipe: its cell, its sizes, what it reads and what it drops."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from training.context import ContextUse
from training.forms import CELLS, CellOptions
from training.kinds import (
    AttentionKind,
    CellKind,
    ContextReaders,
    DropoutKind,
    RecurrentInit,
    Summary,
)
from training.text_recipe import Section

Probability = Annotated[float, Field(ge=0, lt=1)]


class NetworkRecipe(ContextUse, Section):
    """Sizes and regularisation of the network."""

    cell: CellKind
    attention: AttentionKind
    attention_heads: int = Field(default=1, ge=1)
    """How many attend at once, each with weights of its own, to a share of the memory's units."""
    attention_size: int | None = Field(default=None, ge=1)
    """Of the space in which additive attention compares; left out, that of the decoder."""
    embedding_size: int = Field(ge=1)
    encoder_layers: int = Field(ge=1)
    encoder_size: int = Field(ge=1)
    """Units of each direction."""
    decoder_layers: int = Field(ge=1)
    decoder_size: int = Field(ge=1)
    tying: Literal["all", "decoder", "none"]
    """One table for source, target and output; for target and output; or none shared."""
    dropout_embedding: Probability = 0.0
    dropout_layers: Probability = 0.0
    """Along depth only, never along time (Zaremba et al. 2014)."""
    dropout_context: Probability = 0.0
    """Of what attention has read, for all who read it, besides their own dropout."""
    dropout_readout: Probability = 0.0
    dropout_kind: DropoutKind = "locked"
    """Whether units are dropped at all positions of a sentence or at each for itself."""
    word_dropout: Probability = 0.0
    """Share of tokens, of both sides, that the network is not shown."""
    weight_drop: Probability = 0.0
    """Share of the recurrent weights that a batch is computed without."""
    forget_bias: float | None = None
    """Of an LSTM's forget gate at first; left out, 1."""
    recurrent_init: RecurrentInit = "orthogonal"
    """What the recurrent weights of each gate start as."""
    recurrent_gain: float = Field(default=1.0, gt=0)
    """What they are multiplied with at first."""
    time_scale: float | None = Field(default=None, ge=2)
    """Steps that the slowest leaky unit remembers at first, the fastest 2; left out, 32."""
    leak: Literal["learned", "fixed"] | None = None
    """Whether leaky units learn how much they keep; left out, they do."""
    delay: int | None = Field(default=None, ge=2)
    """Steps that `skip` looks back besides one."""
    gradient_steps: int | None = Field(default=None, ge=1)
    """Steps along time after which the gradient is cut off; left out, it goes all the way."""
    layer_norm: bool = False
    """Normalise what each recurrent layer passes on, the memory included; never in the cell."""
    residual: bool = False
    """Add to the outputs of each layer, from the second up, those of the layer below."""
    context: ContextReaders = "every"
    """Which decoder layers above the first read the context; the readout always does."""
    summary: Summary = "both"
    """Without attention: where the encoder's last outputs go; see `context.py`."""
    input_feeding: bool = False
    """Whether the first decoder layer reads what attention read at the position before."""

    @property
    def cell_options(self) -> CellOptions:
        """How layers of its cell are made."""
        return CellOptions(
            weight_drop=self.weight_drop,
            forget_bias=1.0 if self.forget_bias is None else self.forget_bias,
            recurrent_init=self.recurrent_init,
            recurrent_gain=self.recurrent_gain,
            time_scale=self.time_scale or 32.0,
            leak=self.leak or "learned",
            delay=self.delay or 1,
            gradient_steps=self.gradient_steps,
        )

    @model_validator(mode="after")
    def _cell_has_what_is_its_own(self) -> Self:
        cell = CELLS[self.cell]
        owners = {
            "forget_bias": cell.forget is not None,
            "time_scale": "leak" in cell.gates,
            "leak": "leak" in cell.gates,
            "delay": cell.form.is_delayed,
        }
        for name, is_its_own in owners.items():
            if getattr(self, name) is not None and not is_its_own:
                raise ValueError(f"network.{name} means nothing to cell {self.cell}")
        if cell.form.is_delayed and self.delay is None:
            raise ValueError(f"network.cell {self.cell} needs network.delay, 2 or more")
        return self

    @model_validator(mode="after")
    def _attention_size_has_a_use(self) -> Self:
        if self.attention_size is not None and self.attention != "additive":
            raise ValueError(
                f"network.attention_size is for additive attention: {self.attention} compares "
                "the decoder's output as it is"
            )
        return self

    @model_validator(mode="after")
    def _knows_the_source(self) -> Self:
        if self.attends and "summary" in self.model_fields_set:
            raise ValueError("network.summary is for attention none, which has nothing else")
        if not self.attends and self.input_feeding:
            raise ValueError("network.input_feeding feeds what attention read: there is none")
        return self

    @model_validator(mode="after")
    def _heads_have_equal_shares(self) -> Self:
        compared = "decoder_size" if self.attention_size is None else "attention_size"
        for name in ("encoder_size", compared):
            size = getattr(self, name)
            if size % self.attention_heads:
                raise ValueError(
                    f"network.attention_heads {self.attention_heads} cannot share {name} {size} "
                    "evenly"
                )
        return self
