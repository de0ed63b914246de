"""The rows of an ablation: what `ablate` trains."""

from collections.abc import Sequence

from training.ablation import Ablation, choose_trials
from training.commands.printing import console
from training.machine import describe_machine
from training.trials import prepare_trials, train_trials


def train_rows(ablation: Ablation, only: Sequence[str], jobs: int) -> None:
    """Train the rows that are not trained yet, so many at a time."""
    trials = choose_trials(ablation, only)
    with console.status("preparing"):
        prepare_trials(trials)
    results = train_trials(trials, ablation.recipe.budget, jobs, describe_machine())
    with console.status(f"training {len(trials)} rows"):
        for count, result in enumerate(results, 1):
            came = result.failure or f"dev BLEU {result.dev_bleu:.2f}"
            console.print(
                f"{count} of {len(trials)}  {result.row}, seed {result.seed}: {came}, "
                f"{result.steps:,} steps, {result.minutes:.1f} minutes",
                highlight=False,
                soft_wrap=True,
            )
