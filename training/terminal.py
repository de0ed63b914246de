"""Training, shown to people: progress, validations and a last line, on stderr and stdout."""

import time
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from training.kinds import Criterion
from training.progress import Position, Window, seconds_left
from training.recipe import TrainingRecipe
from training.trainer import Trainer

CRITERIA: dict[Criterion, str] = {"bleu": "dev BLEU", "exact": "dev exact %"}
REFRESH_SECONDS = 0.5
"""Reading losses makes the host wait for the device, so it is not done at every step."""


def train_and_show(trainer: Trainer, recipe: TrainingRecipe, console: Console) -> Position:
    """Train to the end; show how it goes. Of several processes only the first shows anything."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}  {task.fields[speed]:,.0f} tokens/s"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    if not trainer.is_first:
        return trainer.train()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(
            "training", total=recipe.max_steps, loss=float("nan"), speed=0.0, left=""
        )
        shown = 0.0

        def on_step(position: Position, window: Window) -> None:
            nonlocal shown
            if time.monotonic() - shown < REFRESH_SECONDS:
                return
            shown, summary = time.monotonic(), window.summary()
            progress.update(
                task,
                completed=position.step,
                loss=summary["loss"],
                speed=summary["tokens_per_second"],
                left=time_left(position, recipe),
            )

        def on_validation(position: Position, summary: dict[str, float]) -> None:
            line = validation_line(position, summary, recipe.chosen_by)
            console.print(line, soft_wrap=True)

        position = trainer.train(on_step, on_validation)
        progress.update(task, completed=position.step, left="")
    return position


def time_left(position: Position, recipe: TrainingRecipe) -> str:
    """Say how long training will last at most: it ends sooner if dev BLEU stops rising."""
    seconds = seconds_left(position, recipe)
    if seconds is None:
        return ""
    left = timedelta(seconds=round(seconds))
    return f"at most {left} left" if position.validations else f"{left} and validations left"


def validation_line(
    position: Position, summary: dict[str, float], criterion: Criterion = "bleu"
) -> str:
    """Say what a validation found."""
    directions = "  ".join(f"{name} {value:.1f}" for name, value in summary.items() if "-" in name)
    return (
        f"step {position.step:>6,}  epoch {position.epoch + 1}  loss {summary['loss']:.3f}  "
        f"clipped {summary['clip_rate']:.0%}  {summary['tokens_per_second']:,.0f} tokens/s  "
        f"{CRITERIA[criterion]} {summary[f'dev_{criterion}']:.1f} ({directions})"
    )


def last_line(name: str, position: Position, criterion: Criterion = "bleu") -> str:
    """Say what a run came to."""
    found = f"{name}: {CRITERIA[criterion]} {position.best_bleu:.1f} at step {position.best_step:,}"
    if position.choice:
        found += f", {position.choice_bleu:.1f} with the {position.choice}"
    return (
        f"{found}, {position.seconds / 60:.1f} minutes, "
        f"{position.seconds_validating / 60:.1f} of them validating, "
        f"{position.tokens_per_second:,.0f} tokens/s"
    )
