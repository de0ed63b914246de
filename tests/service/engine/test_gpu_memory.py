import ctypes

import pytest
from prometheus_client import REGISTRY

from service import metrics
from service.engine.gpu_memory import watch_memory


class FakeNvml:
    """The driver's library, as its header describes it."""

    def __init__(self, status: int = 0) -> None:
        self.status = status

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return self.status

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, device) -> int:  # noqa: N802
        return 0

    def nvmlDeviceGetMemoryInfo(self, device, memory) -> int:  # noqa: N802
        numbers = ctypes.cast(memory, ctypes.POINTER(ctypes.c_ulonglong * 3)).contents
        numbers[:] = [100, 70, 30]
        return 0


@pytest.fixture(autouse=True)
def cleared():
    yield
    metrics.GPU_MEMORY.clear()


def told(kind: str) -> float | None:
    return REGISTRY.get_sample_value("dragoman_gpu_memory_bytes", {"kind": kind})


def test_used_and_total_memory_are_told_whenever_asked():
    assert watch_memory(lambda name: FakeNvml())

    assert (told("used"), told("total")) == (30, 100)


def test_nothing_is_told_without_the_library():
    def load(name: str):
        raise OSError(name)

    assert not watch_memory(load)
    assert told("used") is None


def test_nothing_is_told_if_the_library_fails():
    assert not watch_memory(lambda name: FakeNvml(status=9))
    assert told("used") is None
