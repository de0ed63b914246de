"""One virtual environment for each peer: made once, used by every later run.

The peers ask for packages that exclude each other, or the project's own, so none of them may
live in the project's environment. What pip cannot do is an answer too: `CannotInstall`.
"""

import hashlib
import json
import subprocess
import sys
import venv
from dataclasses import asdict, dataclass
from pathlib import Path

# The CPU build satisfies exactly this version where the index offers one; any other request
# would bring gigabytes of CUDA libraries.
TORCH = "torch==2.13.0"


class CannotInstall(Exception):
    """A peer cannot be had on this machine; the message is the end of what pip said."""


@dataclass(frozen=True)
class Environment:
    """What a peer needs to be imported, and no more."""

    name: str
    packages: tuple[str, ...]
    """Installed with what they depend on."""
    alone: tuple[str, ...] = ()
    """Installed without: they ask for packages that they do not need here."""
    stubs: tuple[str, ...] = ()
    """Modules that are imported, but not used; an empty one takes their place."""


JOEYNMT = Environment(
    "joeynmt",
    (
        TORCH,
        "importlib-metadata",
        "matplotlib",
        "numpy",
        "packaging",
        "pyyaml",
        "sentencepiece",
        "subword-nmt",
        "tensorboard",
    ),
    alone=("joeynmt==2.3.0",),
)
OPENNMT = Environment(
    "opennmt",
    (TORCH, "configargparse", "numpy", "pyahocorasick", "pyonmttok", "pyyaml", "rapidfuzz"),
    alone=("OpenNMT-py==3.5.1",),
    stubs=("fasttext", "regex", "spacy"),
)
EAGER = Environment("eager", (TORCH, "numpy"))
MARIAN = Environment("marian", ("pymarian==1.12.42", "numpy"))
CTRANSLATE = Environment("ctranslate", ("ctranslate2==4.8.5", "numpy"))


def prepare(environment: Environment, root: Path) -> Path:
    """Make the environment under `root` if it is not there; return its Python.

    Raises:
        CannotInstall: pip failed.
    """
    folder = root / environment.name
    python = folder / "bin" / "python"
    stamp = folder / "installed"
    wanted = hashlib.sha256(json.dumps(asdict(environment)).encode()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    venv.create(folder, clear=True, with_pip=True)
    # PyTorch first and alone, so that nothing else has a say in its version.
    torch = [each for each in environment.packages if each == TORCH]
    others = [each for each in environment.packages if each != TORCH]
    for request in (torch, others, ["--no-deps", *environment.alone]):
        if request and request != ["--no-deps"]:
            _install(python, request)
    for stub in environment.stubs:
        _write_stub(folder, stub)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _install(python: Path, request: list[str]) -> None:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    done = subprocess.run([*command, *request], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotInstall(done.stderr.strip()[-500:])


def _write_stub(folder: Path, module: str) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    path = folder / "lib" / version / "site-packages" / f"{module}.py"
    path.write_text(f'"""Stands for {module}, which is imported but not used."""\n')
