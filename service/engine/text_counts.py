"""What is counted of the texts of one model, outside of the decoder."""

from time import monotonic

from models.tokenizer import UNK
from service import metrics
from service.engine.composition import Rendering
from service.engine.preparation import Work
from service.record import current_record


class TextCounts:
    """The series of a model that speak of texts; any thread may note something."""

    def __init__(self, model: str) -> None:
        self._tokenise_seconds = metrics.TOKENISE_SECONDS.labels(model)
        self._detokenise_seconds = metrics.DETOKENISE_SECONDS.labels(model)
        self._source_characters = metrics.CHARACTERS.labels(model, "source")
        self._target_characters = metrics.CHARACTERS.labels(model, "target")
        self._unknown_tokens = metrics.UNKNOWN_TOKENS.labels(model)
        self._lost = metrics.LOST.labels(model)

    def note_prepared(self, work: Work, began: float) -> None:
        """Note that a text has become work."""
        ended = monotonic()
        self._tokenise_seconds.observe(ended - began)
        if record := current_record():
            record.note_stage("tokenise", began, ended)
        self._unknown_tokens.inc(sum(source.count(UNK) for source in work.sources))

    def note_composed(self, work: Work, rendering: Rendering, began: float) -> None:
        """Note that a text has its translation."""
        self._detokenise_seconds.observe(monotonic() - began)
        self._source_characters.inc(len(work.text))
        self._target_characters.inc(len(rendering.text))
        self._lost.inc(len(rendering.lost))
