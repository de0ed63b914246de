"""Further bundles, made from one that exists, for tests of what becomes of them."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.bundle import MANIFEST, Bundle, describe_file, publish


def publish_version(
    origin: Bundle,
    root: Path,
    version: int,
    *,
    name: str = "tiny",
    scale: float = 1.0,
    graph: bytes = b"",
) -> Path:
    """Publish a copy with another version; by a scale or a step graph, another network."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft"
        shutil.copytree(origin.path, draft)
        manifest = json.loads((draft / MANIFEST).read_text(encoding="utf-8"))
        manifest |= {"name": name, "version": version}
        rendering = manifest["variants"]["fp32"]
        weights = draft / rendering["weights"]["path"]
        (np.fromfile(weights, np.float32) * np.float32(scale)).tofile(weights)
        rendering["weights"] = describe_file(weights, draft).model_dump(mode="json")
        if graph:
            step = draft / rendering["step"]["path"]
            step.write_bytes(graph)
            rendering["step"] = describe_file(step, draft).model_dump(mode="json")
        (draft / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        return publish(draft, root).path


def publish_damaged(origin: Bundle, root: Path, version: int, *, name: str = "tiny") -> Path:
    """Publish a copy, then cut its weights off; return its folder."""
    folder = publish_version(origin, root, version, name=name)
    weights_of(folder).write_bytes(b"")
    return folder


def hold_back(folder: Path) -> Callable[..., None]:
    """Let whoever opens a bundle wait; return what ends that, once somebody does wait.

    It may be given what to do meanwhile.
    """
    manifest = folder / MANIFEST
    text = manifest.read_text(encoding="utf-8")
    manifest.unlink()
    os.mkfifo(manifest)

    def let_go(meanwhile: Callable[[], object] = lambda: None) -> None:
        with manifest.open("w", encoding="utf-8") as stream:
            meanwhile()
            # In the place of the pipe, of which a second reader would wait for ever.
            plain = folder.parent / f".{folder.name}"
            plain.write_text(text, encoding="utf-8")
            plain.replace(manifest)
            stream.write(text)

    return let_go


def weights_of(folder: Path) -> Path:
    """Return where the weights of a bundle lie."""
    return folder / "fp32" / "weights.bin"
