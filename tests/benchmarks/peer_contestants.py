"""Who is compared with whom, and how much each has to compute.

Multiply-adds are counted by hand from each system's own code: matrix products only, for 14
source positions; what a system computes once for each source stands under the source. Model L
of ours is `bench_models.MODEL_L`, model M is `MODEL_M`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench_models import MODEL_L, MODEL_M, Work, work_of
from peer_environments import CTRANSLATE, EAGER, JOEYNMT, MARIAN, OPENNMT, Environment
from peer_runners.protocol import SOURCE_TOKENS, TARGET_TOKENS, VOCABULARY


@dataclass(frozen=True)
class Contestant:
    """One system with one model in one precision."""

    name: str
    precision: str
    runner: str
    """A script in `peer_runners/`."""
    work: Work
    environment: Environment | None = None
    """None is the project's own."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that the runner reads."""
    opponents: tuple["Contestant", ...] = ()
    """Ours that it is compared with."""

    @property
    def label(self) -> str:
        """Name and precision: what no other contestant has."""
        return f"{self.name}, {self.precision}"

    @property
    def multiply_adds(self) -> int:
        """For one sentence with one row: encoder and all steps."""
        return SOURCE_TOKENS * self.work.source_token + TARGET_TOKENS * self.work.target_token


def ours(network: str, precision: str) -> Contestant:
    """Return our engine with model L or M."""
    work = work_of({"L": MODEL_L, "M": MODEL_M}[network], VOCABULARY, SOURCE_TOKENS)
    variables = {"NETWORK": network, "PRECISION": precision}
    return Contestant(f"ours, model {network}", precision, "run_ours.py", work, variables=variables)


OURS = {(n, p): ours(n, p) for n in "LM" for p in ("fp32", "int8")}
L_FP32, L_INT8 = OURS["L", "fp32"], OURS["L", "int8"]

_E = _H = 512
_OUTPUT = _E * VOCABULARY
_CELL = 3 * _H * (_E + _H)
_FEEDING = 3 * _H * _H
"""What input feeding adds to the cell."""
_READOUT = 2 * _H * _H
_ATTENTION = 2 * SOURCE_TOKENS * _H
_KEYS = _H * _H
_ENCODER_L = 2 * 2 * 3 * 256 * (512 + 256)

_JOEYNMT = Work(_ENCODER_L + _KEYS, _CELL + _FEEDING + _ATTENTION + _READOUT + _OUTPUT)
_JOEYNMT_PLAIN = Work(_ENCODER_L + _KEYS, _CELL + _ATTENTION + _READOUT + _OUTPUT)
# The query is projected at every step, instead of the keys once.
_OPENNMT = Work(_ENCODER_L, _CELL + _FEEDING + _KEYS + _ATTENTION + _READOUT + _OUTPUT)
_MARIAN = Work(
    2 * 3 * 512 * (512 + 512) + 1024 * 1024,
    _CELL
    + 512 * 1024
    + SOURCE_TOKENS * (1024 + 1024)
    + 3 * 512 * (1024 + 512)
    + (512 + 512 + 1024) * 512
    + _OUTPUT,
)
# 2 + 1 layers of size 512 with inner layers of 2048; the decoder reads 8.5 positions of its own
# on average, and has projected the memory once.
_TRANSFORMER = Work(
    2 * (4 * 512 * 512 + 2 * 512 * 2048 + 2 * SOURCE_TOKENS * 512) + 2 * 512 * 512,
    6 * 512 * 512 + 2 * 512 * 2048 + int(2 * (8.5 + SOURCE_TOKENS) * 512) + _OUTPUT,
)

PEERS = (
    Contestant("JoeyNMT", "fp32", "run_joeynmt.py", _JOEYNMT, JOEYNMT, {}, (L_FP32, L_INT8)),
    Contestant(
        "JoeyNMT without input feeding",
        "fp32",
        "run_joeynmt.py",
        _JOEYNMT_PLAIN,
        JOEYNMT,
        {"INPUT_FEEDING": "0"},
        (L_FP32, L_INT8),
    ),
    Contestant("OpenNMT-py", "fp32", "run_opennmt.py", _OPENNMT, OPENNMT, {}, (L_FP32, L_INT8)),
    Contestant("PyTorch eager", "fp32", "run_eager.py", L_FP32.work, EAGER, {}, (L_FP32, L_INT8)),
    *(
        Contestant(
            "pymarian wheel",
            precision,
            "run_marian.py",
            _MARIAN,
            MARIAN,
            {"PRECISION": precision},
            (OURS["M", precision],),
        )
        for precision in ("fp32", "int8")
    ),
    *(
        Contestant(
            "CTranslate2 Transformer",
            precision,
            "run_ctranslate.py",
            _TRANSFORMER,
            CTRANSLATE,
            {"PRECISION": {"fp32": "float32"}.get(precision, precision)},
            (OURS["L", precision],),
        )
        for precision in ("fp32", "int8")
    ),
)
