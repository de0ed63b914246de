import os

import pytest

from service.engine.device import CannotRun, check_runtime, choose_device, default_workers

BOTH = {"onnxruntime", "onnxruntime-gpu"}


class Driver:
    """Answers as the NVIDIA driver does."""

    def __init__(self, devices: int = 1, init: int = 0, count: int = 0) -> None:
        self._devices, self._init, self._count = devices, init, count

    def cuInit(self, flags):  # noqa: N802
        assert flags == 0
        return self._init

    def cuDeviceGetCount(self, pointer):  # noqa: N802
        pointer._obj.value = self._devices
        return self._count


def gpu_build(driver: Driver | None):
    """Arguments for a machine with the build for GPUs, and this driver or none."""

    def load(name: str) -> Driver:
        assert name == "libcuda.so.1"
        if driver is None:
            raise OSError(f"{name}: cannot open shared object file")
        return driver

    return {"is_installed": {"onnxruntime-gpu"}.__contains__, "load": load}


def cpu_build(name: str) -> bool:
    return name == "onnxruntime"


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_device_of_the_driver_is_used(wanted):
    assert choose_device(wanted, **gpu_build(Driver())) == "cuda"


def test_cpu_is_used_when_it_is_wanted_whatever_the_machine_has():
    assert choose_device("cpu", **gpu_build(Driver())) == "cpu"


OBSTACLES = {
    "no driver": (gpu_build(None), "libcuda.so.1 is missing"),
    "no device": (gpu_build(Driver(devices=0)), "sees no device"),
    "hidden device": (gpu_build(Driver(init=100)), "sees no device"),
    "driver too old": (gpu_build(Driver(init=803)), "CUDA error 803"),
    "failing count": (gpu_build(Driver(count=999)), "CUDA error 999"),
    "build for CPUs": (
        {"is_installed": cpu_build, "load": lambda name: Driver()},
        r"build for CPUs; install 'dragoman\[gpu-cudnn\]'",
    ),
}


@pytest.mark.parametrize(("machine", "reason"), OBSTACLES.values(), ids=OBSTACLES)
def test_cuda_that_cannot_be_had_is_refused_with_the_reason(machine, reason):
    with pytest.raises(CannotRun, match=f"^device cuda cannot be had: .*{reason}"):
        choose_device("cuda", **machine)


@pytest.mark.parametrize(("machine", "reason"), OBSTACLES.values(), ids=OBSTACLES)
def test_auto_takes_the_cpu_when_cuda_cannot_be_had(machine, reason):
    assert choose_device("auto", **machine) == "cpu"


@pytest.mark.parametrize("name", sorted(BOTH))
def test_one_build_of_onnx_runtime_is_accepted(name):
    check_runtime({name}.__contains__)


def test_two_builds_of_onnx_runtime_are_refused_with_the_repair():
    with pytest.raises(CannotRun, match="pip uninstall --yes onnxruntime onnxruntime-gpu, then"):
        check_runtime(BOTH.__contains__)


def test_missing_onnx_runtime_is_refused_with_what_to_install():
    with pytest.raises(CannotRun, match=r"is not installed: pip install 'dragoman\[cpu\]'"):
        check_runtime(frozenset().__contains__)


def test_what_is_installed_is_what_its_metadata_says():
    # The tests themselves run in an environment with exactly one.
    check_runtime()


def test_cores_are_shared_among_workers_or_all_given_to_one():
    cores = len(os.sched_getaffinity(0))

    workers = [
        default_workers("cpu", "throughput"),
        default_workers("cpu", "latency"),
        default_workers("cuda", "throughput"),
    ]

    assert workers == [cores, 1, 1]
