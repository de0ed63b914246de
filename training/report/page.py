"""The page: one file that opens offline, loads nothing and runs nothing."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from training.markdown import Table
from training.report.measured import SENTENCES, Measured
from training.report.pictures import (
    draw_attention,
    draw_curves,
    draw_flow,
    draw_gates,
    draw_lengths,
)
from training.run import Run
from training.samples import read_samples

FOLDER = Path(__file__).parent
SHOWN_STEPS = 6
"""Validations of which samples are shown, evenly chosen."""
_STYLE = (FOLDER / "report.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""Lets a browser load and run nothing for the page, from wherever it was opened."""


def render_page(
    run: Run,
    metrics: Sequence[Mapping[str, float]],
    measured: Measured,
    ablation: Table | None = None,
) -> str:
    """Return the report of a run as an HTML page; what came from texts is escaped."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        recipe=run.recipe,
        toml=run.toml,
        sha256=run.sha256,
        measured=measured,
        sentences=SENTENCES,
        curves=draw_curves(metrics),
        flow=draw_flow(measured.flow_by_layer),
        gates=draw_gates(measured.gates) if measured.gates else None,
        attention=[
            (direction, [(each, draw_attention(each)) for each in direction.attended])
            for direction in measured.directions
        ],
        lengths=[(each, draw_lengths(each)) for each in measured.directions],
        samples=[
            (sample, [(step, by_step[step]) for step in choose_steps(sorted(by_step))])
            for sample, by_step in read_samples(run.folder)
        ],
        ablation=ablation,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        style=_STYLE,
        policy=POLICY,
    )


def choose_steps(steps: Sequence[int]) -> list[int]:
    """Return a few steps, evenly chosen, the first and the last among them."""
    if len(steps) <= SHOWN_STEPS:
        return list(steps)
    last = len(steps) - 1
    return [steps[round(i * last / (SHOWN_STEPS - 1))] for i in range(SHOWN_STEPS)]
