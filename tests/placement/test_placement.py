"""Where ONNX Runtime puts the graphs on a GPU, found out without one.

The build for GPUs runs over CUDA libraries that do nothing (`stub_cuda.py`), in an environment
of its own, `.venv-gpu`, for it cannot share one with the build for CPUs. `make placement` makes
the environment and runs these tests; without it they are skipped.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tests.conftest import DEEP, PLAN, random_weights
from tests.placement.stub_cuda import build
from training.graphs import Plan, write_graphs

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-gpu/bin/python"
VOCABULARY = 330
PLANS = [
    PLAN,
    Plan("lstm", "general", 1, 2),
    Plan("gru", "general", 1, 2, attention_heads=4),
    DEEP,
]
DECODING = ("greedy", "beam", "step", "join")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="there is no .venv-gpu: make placement"),
    pytest.mark.skipif(
        None in {shutil.which("gcc"), shutil.which("nm")}, reason="gcc and nm are needed"
    ),
]


def ask(*arguments: object, libraries: Path | None = None, log: Path | None = None):
    """Run `on_stubs.py` with these libraries on the loader's path, and return its answer."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment |= {"LD_LIBRARY_PATH": str(libraries)} if libraries else {}
    environment |= {"STUB_CUDA_LOG": str(log)} if log else {}
    command = [PYTHON, Path(__file__).with_name("on_stubs.py"), *arguments]
    done = subprocess.run(
        [str(each) for each in command], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def stubs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stubs")
    find = "import onnxruntime; print(onnxruntime.__path__[0])"
    found = subprocess.run([PYTHON, "-c", find], capture_output=True, text=True, check=True)
    build(Path(found.stdout.strip()) / "capi/libonnxruntime_providers_cuda.so", folder)
    return folder


@pytest.fixture(scope="module")
def stubs_without_cudnn(stubs, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stubs")
    return shutil.copytree(
        stubs, folder, ignore=shutil.ignore_patterns("*cudnn*"), dirs_exist_ok=True
    )


@pytest.mark.parametrize("positions", [1, 4])
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_decoding_is_on_the_device_without_cudnn_and_may_be_captured(
    stubs_without_cudnn, tmp_path, precision, plan, positions
):
    weights = random_weights(plan, VOCABULARY)
    write_graphs(plan, weights, tmp_path, precision, positions=positions)

    paths = [tmp_path / f"{name}.onnx" for name in DECODING]
    refusals = ask("open", *paths, libraries=stubs_without_cudnn)

    assert dict(zip(DECODING, refusals, strict=True)) == dict.fromkeys(DECODING, "")


def test_graph_with_a_node_for_the_cpu_only_is_refused(stubs, tmp_path):
    # Of what the graphs may not hold: ONNX Runtime has this for the CPU alone.
    node = helper.make_node("Unique", ["x"], ["y"])
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in "xy")
    graph = helper.make_graph([node], "graph", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "unique.onnx")

    (refusal,) = ask("open", tmp_path / "unique.onnx", libraries=stubs)

    assert refusal.startswith("device cuda cannot be had: ")


@pytest.mark.parametrize(
    ("libraries", "encoder_device"), [("stubs", "cuda"), ("stubs_without_cudnn", "cpu")]
)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_each_set_of_addresses_is_captured_once_and_then_played_back(
    request, tmp_path, precision, libraries, encoder_device
):
    folder = request.getfixturevalue(libraries)
    weights = random_weights(PLAN, VOCABULARY)
    write_graphs(PLAN, weights, tmp_path, precision, positions=4)

    found = ask("decode", tmp_path, encoder_device, libraries=folder, log=tmp_path / "log")

    # Two sets of states take turns; attention makes a third set, another width a new pair.
    assert found == [[1, 1], [2, 2], [2, 3], [2, 4], [3, 5], [4, 6], [5, 7], [5, 8]]


def test_driver_with_a_device_is_found(stubs):
    assert ask("device", libraries=stubs) == "cuda"


def test_cuda_is_refused_without_a_driver():
    assert ask("device").startswith("device cuda cannot be had: the NVIDIA driver is not")


def test_session_that_falls_back_is_refused(tmp_path):
    files = write_graphs(PLAN, random_weights(PLAN, VOCABULARY), tmp_path, positions=1)

    (refusal,) = ask("open", files.step)

    assert refusal.startswith("device cuda cannot be had: ")
