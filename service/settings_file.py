"""A file of settings, in TOML: `max_rows = 64`, a line for each.

It knows neither what the settings mean nor which of them count: names and places only.
"""

import tomllib
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path


def nearest(name: str, known: Collection[str], prefix: str = "") -> str:
    """Return the part of a message that names what may have been meant, if anything may."""
    near = get_close_matches(name, known, n=1)
    meant = f"{prefix}{near[0].upper() if prefix else near[0]}" if near else ""
    return f"; did you mean {meant}?" if near else ""


def read_settings(
    path: Path, known: Collection[str], secrets: Collection[str]
) -> dict[str, object]:
    """Return the settings of a file by name; of a secret, NAME_FILE gives what that file holds.

    Raises:
        ValueError: it cannot be read, is not TOML, or has a name that is no setting or, for all
            who may read the file, must not be in it.
    """
    try:
        values = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as failure:
        raise ValueError(f"{path}: is not TOML: {failure}") from None
    except ValueError as failure:
        raise ValueError(f"{path}: {failure}") from None
    found: dict[str, object] = {}
    for name, value in values.items():
        secret = name.removesuffix("_file")
        if name in secrets:
            raise ValueError(f"{path}: {name} is a secret; let {name}_file name a file with it")
        if name != secret and secret in secrets:
            found[secret] = read_secret(f"{path}: {name}", str(value))
        elif name in known:
            found[name] = value
        else:
            raise ValueError(f"{path}: {name} is not a setting{nearest(name, known)}")
    return found


def read_secret(named_by: str, path: str) -> str:
    """Return the content of a file without a line end.

    Raises:
        ValueError: it cannot be read; the message begins with who named it.
    """
    try:
        return read_text(Path(path)).rstrip("\r\n")
    except ValueError as failure:
        raise ValueError(f"{named_by}: {path}: {failure}") from None


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ValueError: it cannot be read, and the message tells why.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise ValueError(getattr(failure, "strerror", None) or "not UTF-8") from None
