"""What the decoder gets to know of the source, and where: shared by recipes and graphs.

    attention          the first state is made of the encoder's last outputs, and at each position
                       attention reads a context for the upper layers and the readout
    + input feeding    layer 0 reads the context of the position before, too
    no attention       all that is known is one vector, the encoder's last outputs, the summary;
                       it is the first state, or read at each position by all who would read the
                       context, layer 0 too, or both

Source: Bahdanau et al. 2015, section 3, for attention; Luong et al. 2015, "Effective Approaches
to Attention", section 3.3, for input feeding; Sutskever et al. 2014, section 2, for the summary
as first state; Cho et al. 2014, "Learning Phrase Representations", section 2.2 and appendix A,
for it at each position and both.
"""

from training.kinds import AttentionKind, ContextReaders, Summary


class ContextUse:
    """Who reads what of the source; the fields are those of recipe and plan."""

    __slots__ = ()

    attention: AttentionKind
    summary: Summary
    context: ContextReaders
    input_feeding: bool
    decoder_layers: int

    @property
    def attends(self) -> bool:
        """Whether there is attention."""
        return self.attention != "none"

    @property
    def has_context(self) -> bool:
        """Whether there is anything to read at each position."""
        return self.attends or self.summary != "state"

    @property
    def carries_context(self) -> bool:
        """Whether a context is handed on from position to position, after all other states."""
        return self.input_feeding or (self.has_context and not self.attends)

    @property
    def starts_from_source(self) -> bool:
        """Whether the first state is made of the encoder's last outputs; else it is zero."""
        return self.attends or self.summary != "input"

    def reads_context(self, layer: int) -> bool:
        """Whether a decoder layer reads a context; layer 0 only one that is handed on."""
        if layer == 0:
            return self.carries_context
        return self.has_context and (layer == 1 or self.context == "every")
