"""Nothing tells anyone that this program was used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# ONNX Runtime writes a number for the machine, and reports that wait for a network, below these.
LOAD = "import onnxruntime; onnxruntime.InferenceSession"


@pytest.mark.parametrize("package", ["service.engine", "service.cli", "training.parity"])
def test_onnx_runtime_keeps_no_account_of_its_use(package, tmp_path):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }

    subprocess.run(
        [sys.executable, "-c", f"import {package}\n{LOAD}"],
        cwd=ROOT,
        env=environment | {"HOME": str(tmp_path)},
        check=True,
    )

    assert [path.name for path in tmp_path.rglob("*") if "icrosoft" in path.name] == []
