"""Bundles: what a published model is on disk, and the only way to open or publish one.

A bundle is a folder with a manifest and the files that the manifest lists, each with its
size and SHA-256. Once published it never changes. Everything needed to translate is in it;
what the graphs compute is the business of those who run them.

    draft folder --publish--> ROOT/NAME/VERSION/ --open--> Bundle
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from models.calibration import Calibration
from models.manifest import (
    FORMAT,
    MANIFEST,
    Ancestor,
    Architecture,
    Cost,
    CostRow,
    Data,
    Decoding,
    Distillation,
    File,
    Graph,
    Manifest,
    Parity,
    Provenance,
    Score,
    Sweep,
    SweepRow,
    Tensor,
    TokenizerInfo,
    Training,
    Variant,
)
from models.parts import CellKind, Direction, VariantName
from models.tokenizer import Tokenizer

# The manifest's parts come through this door too, so that users of bundles need no second one.
__all__ = [
    "FORMAT",
    "MANIFEST",
    "Ancestor",
    "Architecture",
    "Bundle",
    "Calibration",
    "CellKind",
    "Cost",
    "CostRow",
    "DamagedBundle",
    "Data",
    "Decoding",
    "Direction",
    "Distillation",
    "File",
    "Graph",
    "Manifest",
    "Parity",
    "Provenance",
    "Score",
    "Sweep",
    "SweepRow",
    "Tensor",
    "TokenizerInfo",
    "Training",
    "Variant",
    "VariantName",
    "describe_file",
    "find_bundles",
    "publish",
]


class DamagedBundle(ValueError):
    """A bundle that must not be used; the message names the file and the reason."""


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: a folder whose manifest and files have been checked."""

    path: Path
    manifest: Manifest
    sha256: str = ""
    """Of the file of the manifest, which names all other files with theirs."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the manifest and check every file against it.

        Raises:
            DamagedBundle: the bundle is missing, incomplete, changed or of another format.
        """
        manifest, sha256 = _read_manifest(path)
        found = set(_relative_files(path))
        for name in sorted(found - manifest.files.keys() - {MANIFEST}):
            raise _damaged(path, name, "is not listed in the manifest")
        for name, file in manifest.files.items():
            if name not in found:
                raise _damaged(path, name, "is missing")
            _check_file(path, file)
        return cls(path, manifest, sha256)

    @property
    def identity(self) -> str:
        """Name and version, as logs and replies show them."""
        return self.manifest.identity

    def file(self, entry: File) -> Path:
        """Return where a file of the manifest lies."""
        return self.path / entry.path

    def tokenizer(self) -> Tokenizer:
        """Load the tokenizer.

        Raises:
            DamagedBundle: it is not a SentencePiece model, or not the one the manifest describes.
        """
        info = self.manifest.tokenizer
        try:
            tokenizer = Tokenizer.open(self.file(info.file), info.normalisation, info.case)
        except ValueError as error:
            raise _damaged(self.path, info.file.path, f"cannot be read: {error}") from error
        if tokenizer.size != info.size:
            reason = f"has {tokenizer.size} pieces, the manifest says {info.size}"
            raise _damaged(self.path, info.file.path, reason)
        return tokenizer


def publish(draft: Path, root: Path) -> Bundle:
    """Copy a finished draft to ROOT/NAME/VERSION, which appears whole or not at all.

    The draft is left as it is.

    Raises:
        DamagedBundle: the draft is not a bundle.
        FileExistsError: this version is published already; bundles never change.
    """
    manifest = Bundle.open(draft).manifest
    target = root / manifest.name / str(manifest.version)
    if target.exists():
        raise FileExistsError(f"{target} is published already; choose another version")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, for a rename is atomic only within one file system.
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name in [MANIFEST, *manifest.files]:
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(draft / name, staging / name)
        staging.chmod(0o755)
        sha256 = Bundle.open(staging).sha256
        _write_through(staging)
        _rename(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Bundle(target, manifest, sha256)


def find_bundles(root: Path) -> list[Path]:
    """Return the published bundles under `root`, by name and ascending version, unopened."""
    folders = [manifest.parent for manifest in root.glob(f"[!.]*/[!.]*/{MANIFEST}")]
    return sorted(folders, key=lambda folder: (folder.parent.name, _version_of(folder)))


def describe_file(path: Path, relative_to: Path) -> File:
    """Measure a file for the manifest of the draft folder `relative_to`."""
    return File(
        path=path.relative_to(relative_to).as_posix(),
        sha256=_hash(path),
        size_bytes=path.stat().st_size,
    )


def _read_manifest(folder: Path) -> tuple[Manifest, str]:
    """Return the manifest and the SHA-256 of its file."""
    try:
        content = (folder / MANIFEST).read_bytes()
        fields = json.loads(content.decode())
    except OSError as error:
        raise _damaged(folder, MANIFEST, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _damaged(folder, MANIFEST, f"is not JSON: {error}") from error
    written = fields.get("format") if isinstance(fields, dict) else None
    if isinstance(written, int) and written != FORMAT:
        reason = f"is of format {written}; this program reads format {FORMAT}"
        raise _damaged(folder, MANIFEST, reason)
    try:
        return Manifest.model_validate_json(content), hashlib.sha256(content).hexdigest()
    except ValidationError as error:
        raise _damaged(folder, MANIFEST, f"is invalid: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    first: dict[str, Any] = dict(error.errors()[0])
    place = ".".join(str(part) for part in first["loc"]) or "manifest"
    return f"{place}: {first['msg']}"


def _relative_files(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise _damaged(folder, name, "is a link; a bundle holds plain files only")
        if not path.is_dir():
            yield name


def _check_file(folder: Path, file: File) -> None:
    size_bytes = (folder / file.path).stat().st_size
    if size_bytes != file.size_bytes:
        reason = f"has {size_bytes} bytes, the manifest says {file.size_bytes}"
        raise _damaged(folder, file.path, reason)
    if _hash(folder / file.path) != file.sha256:
        raise _damaged(folder, file.path, "has another SHA-256 than the manifest says")


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _damaged(folder: Path, name: str, reason: str) -> DamagedBundle:
    return DamagedBundle(f"{folder}: {name} {reason}")


def _version_of(folder: Path) -> tuple[int, str]:
    return int(folder.name) if folder.name.isdecimal() else 0, folder.name


def _rename(staging: Path, target: Path) -> None:
    try:
        staging.rename(target)
    except OSError as error:
        if target.exists():
            raise FileExistsError(f"{target} is published already") from error
        raise
    _flush(target.parent)


def _write_through(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        _flush(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
