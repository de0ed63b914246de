"""Our side of a comparison: the engine's batch and beams, driven as a worker drives them.

No queue, no threads of the service and no HTTP; `load` measures what those cost.
"""

from collections.abc import Sequence

import numpy as np

from service.engine.hypothesis import Hypothesis, SearchOptions
from service.engine.onnx_batch import OnnxBatch
from service.engine.search import Beams
from service.engine.sessions import Sessions


def decode(
    sessions: Sessions, sources: Sequence[Sequence[int]], options: SearchOptions
) -> list[Hypothesis]:
    """Decode sentences together from beginning to end; return the best hypothesis of each."""
    batch, beams = OnnxBatch(sessions, options.width), Beams(options.width)
    beams.join([options] * len(sources), batch.admit(sources), sources)
    found: list[Hypothesis | None] = [None] * len(sources)
    live = np.arange(len(sources))
    while len(live):
        for result in batch.step(*beams.moves, beams.count_candidates()):
            beams.advance(result)
        is_done_N = beams.is_done
        if is_done_N.any():
            for i in np.flatnonzero(is_done_N).tolist():
                found[live[i]] = beams.hypotheses(i)[0]
            live = live[beams.keep(~is_done_N)]
    return [each for each in found if each]
