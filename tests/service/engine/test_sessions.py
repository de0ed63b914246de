"""Which variant is opened where, and with whose threads."""

import json
import subprocess
import sys

import pytest

from models.bundle import Bundle
from service.engine.device import CannotRun
from service.engine.sessions import Sessions, choose_variant, open_session


def bundle_with(tiny_bundle: Bundle, *names: str) -> Bundle:
    variant = tiny_bundle.manifest.variants["fp32"]
    variants = dict.fromkeys(names, variant)
    return Bundle(tiny_bundle.path, tiny_bundle.manifest.model_copy(update={"variants": variants}))


@pytest.mark.parametrize(
    ("device", "names", "best"),
    [
        ("cpu", ["fp32", "int8", "fp16"], "int8"),
        ("cpu", ["fp32", "fp16"], "fp32"),
        ("cuda", ["fp32", "int8", "fp16"], "fp16"),
        ("cuda", ["fp32", "int8"], "fp32"),
    ],
)
def test_fastest_variant_for_the_device_is_chosen(tiny_bundle, device, names, best):
    assert choose_variant(bundle_with(tiny_bundle, *names), device, "auto") == best


@pytest.mark.parametrize("wanted", ["fp32", "fp16"])
def test_variant_that_is_named_is_chosen(tiny_bundle, wanted):
    bundle = bundle_with(tiny_bundle, "fp32", "int8", "fp16")

    assert choose_variant(bundle, "cpu", wanted) == wanted


def test_variant_that_is_not_there_is_refused_with_those_that_are(tiny_bundle):
    with pytest.raises(CannotRun, match=r"^tiny/1 has no variant int8, only fp16, fp32$"):
        choose_variant(bundle_with(tiny_bundle, "fp32", "fp16"), "cpu", "int8")


def test_int8_is_refused_on_cuda(tiny_bundle):
    with pytest.raises(CannotRun, match=r"^variant int8 does not run on cuda$"):
        choose_variant(bundle_with(tiny_bundle, "fp32", "int8"), "cuda", "int8")


def test_sessions_tell_what_runs(tiny_bundle):
    sessions = Sessions(tiny_bundle)

    told = sessions.device, sessions.variant, sessions.provider
    assert told == ("cpu", "fp32", "CPUExecutionProvider")


def test_cuda_is_refused_by_a_build_for_cpus(tiny_bundle):
    path = tiny_bundle.file(tiny_bundle.manifest.variants["fp32"].step)

    with pytest.raises(CannotRun, match="build for CPUs"):
        open_session(path, "cuda")


def modes(tiny_bundle, *latency: bool) -> list[str | list[float]]:
    """Open the bundle so many times in a new process; return what is computed, or the refusal."""
    program = """if True:
        import json, sys
        from pathlib import Path
        import numpy as np
        from models.bundle import Bundle
        from service.engine.device import CannotRun
        from service.engine.sessions import Sessions

        source, lengths = np.arange(4, 100)[None], np.array([96], np.int32)
        for latency in json.loads(sys.argv[2]):
            try:
                sessions = Sessions(Bundle.open(Path(sys.argv[1])), latency=latency)
                print(json.dumps(sessions.encode(source, lengths)[0].ravel().tolist()))
            except CannotRun as refusal:
                print(json.dumps(str(refusal)))
    """
    command = [sys.executable, "-c", program, str(tiny_bundle.path), json.dumps(latency)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_latency_mode_can_be_entered_but_not_left(tiny_bundle):
    *opened, refused = modes(tiny_bundle, False, True, True, False)

    assert all(isinstance(each, list) for each in opened)
    assert refused == "this process decodes in latency mode and cannot go back"


def test_modes_compute_the_same_bits(tiny_bundle):
    throughput, latency = modes(tiny_bundle, False, True)

    assert throughput == latency
