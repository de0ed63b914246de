"""Which live batch decodes on which device."""

from collections.abc import Callable
from functools import partial

from service.engine.cuda_batch import CudaBatch
from service.engine.cuda_graphs import CudaGraphs
from service.engine.onnx_batch import OnnxBatch
from service.engine.sessions import Sessions
from service.engine.worker import LiveBatch


def batch_maker(sessions: Sessions) -> Callable[[int], LiveBatch]:
    """Return what makes the batches of a worker, each for one width of the beam.

    Raises:
        CannotRun: the bundle has no graphs for this device.
    """
    if sessions.device == "cuda":
        return partial(CudaBatch, CudaGraphs(sessions))
    return partial(OnnxBatch, sessions)
