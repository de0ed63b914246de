"""How a run went, read again from `metrics.jsonl`."""

import json
from typing import Any

from training.run import Run


def read_metrics(run: Run) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics that tell of a validation, one for each step.

    Raises:
        ValueError: nothing was validated.
    """
    path = run.folder / "metrics.jsonl"
    if not path.exists():
        raise ValueError(f"{path} does not exist: train first")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    # a run that went on from a checkpoint tells the steps behind it again
    by_step = {line["step"]: line for line in lines if "loss" in line}
    if not by_step:
        raise ValueError(f"{path} tells of no validation: train on")
    return [by_step[step] for step in sorted(by_step)]
