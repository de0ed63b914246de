"""Text before it is trained on: what `doctor` examines, of a recipe or of one's own."""

from training.commands.printing import console
from training.doctor import examine_run
from training.findings import Examination
from training.own_text import OwnText, examine_own
from training.run import Run


def examine(own: OwnText) -> Examination:
    """Examine a text of one's own."""
    with console.status("examining the text"):
        return examine_own(own)


def examine_recipe(run: Run) -> list[Examination]:
    """Examine the training texts of a recipe."""
    with console.status("examining the texts"):
        return list(examine_run(run))
