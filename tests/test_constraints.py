"""What the images install: pinned, with hashes, and what pyproject.toml asks for."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = {"cpu": {"cpu", "postgres", "otel"}, "gpu": {"gpu", "gpu-cudnn", "postgres", "otel"}}
PYTHONS = ("3.11", "3.12", "3.13")
FILES = ("build", "cpu", "gpu")


def entries(name: str) -> list[str]:
    """Return each requirement with its hashes as one line."""
    text = (ROOT / f"deploy/constraints-{name}.txt").read_text(encoding="utf-8")
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    return joined.splitlines()


def environment(python: str) -> dict[str, str]:
    """Describe the Python of an image on Linux."""
    return {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }


def pins(name: str, python: str) -> dict[str, Requirement]:
    """Return the packages that the file installs for a Python."""
    lines = [Requirement(line.split(" --hash")[0]) for line in entries(name)]
    of_python = environment(python)
    return {
        canonicalize_name(each.name): each
        for each in lines
        if each.marker is None or each.marker.evaluate(of_python)
    }


def version_of(pin: Requirement) -> str:
    [exact] = pin.specifier
    return exact.version


def asked(name: str) -> list[Requirement]:
    """Return what pyproject.toml asks for, without the extras that only name others."""
    project = PROJECT["project"]
    if name == "build":
        return [Requirement(each) for each in PROJECT["build-system"]["requires"]]
    of_extras = (project["optional-dependencies"][extra] for extra in EXTRAS[name])
    lines = [*project["dependencies"], *(line for extra in of_extras for line in extra)]
    return [each for each in map(Requirement, lines) if each.name != "dragoman"]


def unmet(wanted: list[Requirement], pinned: dict[str, Requirement]) -> list[str]:
    found = [(each, pinned.get(canonicalize_name(each.name))) for each in wanted]
    return [str(e) for e, pin in found if not (pin and version_of(pin) in e.specifier)]


@pytest.mark.parametrize("name", FILES)
def test_every_package_is_pinned_with_hashes(name):
    lines = entries(name)

    assert lines
    assert [x for x in lines if not re.search(r"==\S+.* --hash=sha256:[0-9a-f]{64}\b", x)] == []


@pytest.mark.parametrize("name", FILES)
def test_no_file_says_where_packages_come_from(name):
    text = (ROOT / f"deploy/constraints-{name}.txt").read_text(encoding="utf-8")

    assert re.findall(r"^-.*|\w+://\S+", text, re.MULTILINE) == []


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", FILES)
def test_pins_are_what_the_project_asks_for(name, python):
    assert unmet(asked(name), pins(name, python)) == []


@pytest.mark.parametrize("name", FILES)
def test_what_pinned_packages_need_is_pinned(name):
    """Told by the packages that are installed here in the pinned version, most of them."""
    python = "3.12"
    pinned, known, missing = pins(name, python), 0, []
    for package, pin in pinned.items():
        try:
            found = metadata.distribution(package)
        except metadata.PackageNotFoundError:
            continue
        if found.version != version_of(pin):
            continue
        known += 1
        needs = [Requirement(line) for line in found.requires or ()]
        of_python = environment(python)
        needs = [x for x in needs if x.marker is None or x.marker.evaluate(of_python)]
        missing += [f"{package} needs {each}" for each in unmet(needs, pinned)]

    assert missing == []
    assert name == "build" or known > len(pinned) / 4


def test_images_are_pinned_without_pytorch():
    assert "torch" not in pins("cpu", "3.12").keys() | pins("gpu", "3.12").keys()
