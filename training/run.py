"""A recipe that is carried out: the files it reads and the folder it fills."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from training.recipe import Recipe
from training.variation import vary

BUNDLES = Path("models/bundles")
"""Where bundles are published unless told otherwise."""
SEED = "-seed-"
"""Between the name of a recipe and the seed that it is repeated with, in the name of a run."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a recipe: what it reads and the folder it fills."""

    recipe: Recipe
    toml: str
    """The recipe as written."""
    corpora: Path
    folder: Path
    bundles: Path
    """Where bundles are published, and lie that training may start from."""

    @property
    def sha256(self) -> str:
        """Hash of the recipe as written."""
        return hashlib.sha256(self.toml.encode()).hexdigest()

    @property
    def prepared(self) -> Path:
        """Cleaned text, vocabulary and encoded examples."""
        return self.folder / "prepared"

    @property
    def checkpoints(self) -> Path:
        """`last.pt` to go on from, `best.pt` to export."""
        return self.folder / "checkpoints"

    @property
    def destination(self) -> Path:
        """Where its bundle goes: to the published ones, or beside the checkpoints."""
        return self.bundles if self.recipe.export.publish else self.folder / "bundles"

    @property
    def ancestor(self) -> Path | None:
        """Folder of the bundle that training starts from, if it starts from one."""
        identity = self.recipe.training.init_from
        return self.bundles / identity if identity else None

    def resolve(self, path: Path) -> Path:
        """Return where a file of the recipe lies."""
        return self.corpora / path


def open_run(
    path: Path, corpora: Path, runs: Path, bundles: Path = BUNDLES, seed: int | None = None
) -> Run:
    """Parse a recipe; its run's folder is `runs/NAME`, made if it is not there.

    Args:
        seed: Another than the recipe's repeats it: in `runs/NAME-seed-SEED`, where the bundle
            stays, for it is the same version again.

    Raises:
        ValueError: the file is not a recipe; the message names the key and what is wrong.
    """
    run = read_run(path, corpora, runs, bundles, seed)
    run.folder.mkdir(parents=True, exist_ok=True)
    return run


def read_run(
    path: Path,
    corpora: Path,
    runs: Path = Path("runs"),
    bundles: Path = BUNDLES,
    seed: int | None = None,
) -> Run:
    """Parse a recipe of which nothing is run yet: no folder is made.

    Raises:
        ValueError: the file is not a recipe; the message names the key and what is wrong.
    """
    try:
        toml = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path}: {error}") from None
    recipe = parse_recipe(toml, str(path))
    folder = runs / recipe.name
    if seed is not None and seed != recipe.training.seed:
        toml = vary(toml, {"training": {"seed": seed}, "export": {"publish": False}})
        recipe = parse_recipe(toml, str(path))
        folder = runs / f"{recipe.name}{SEED}{seed}"
    return Run(recipe, toml, corpora, folder, bundles)


def parse_recipe(toml: str, origin: str) -> Recipe:
    """Read a recipe's text.

    Args:
        origin: Where the text is from, for the message.

    Raises:
        ValueError: it is not a recipe; the message names the key and what is wrong.
    """
    try:
        return Recipe.model_validate(tomllib.loads(toml))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{origin}: {error}") from None
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ValueError(f"{origin}: {'; '.join(wrong)}") from None
