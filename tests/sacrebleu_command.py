"""What the `sacrebleu` command says of lines, which is what the service has to say."""

import json
import os
import re
import subprocess
import sys

METRICS = {
    "bleu": ["-m", "bleu"],
    "chrf": ["-m", "chrf"],
    "chrf++": ["-m", "chrf", "--chrf-word-order", "2"],
    "ter": ["-m", "ter"],
}

CELL = re.compile(r"([\d.]+)(?: \(([\d.]+) ± ([\d.]+)\))?(?: \(p = ([\d.]+)\)\*?)?")


def write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def run_sacrebleu(folder, systems, references, *arguments, seed=12345):
    """Return what the command prints; six digits to each number."""
    known = [
        write_lines(folder / f"reference-{number}", lines)
        for number, lines in enumerate(references)
    ]
    own = [write_lines(folder / f"system-{number}", lines) for number, lines in enumerate(systems)]
    command = [sys.executable, "-m", "sacrebleu", *known, "-i", *own, "-w", "6", *arguments]
    environment = {**os.environ, "SACREBLEU_SEED": str(seed), "NO_COLOR": "1"}
    return subprocess.run(
        command, capture_output=True, check=True, env=environment, text=True
    ).stdout


def score_by_sacrebleu(folder, hypotheses, references, *arguments, **more):
    """Return the JSON of the command: one metric or several, by sacreBLEU's name."""
    printed = json.loads(run_sacrebleu(folder, [hypotheses], references, *arguments, **more))
    rows = printed if isinstance(printed, list) else [printed]
    return {row["name"]: row for row in rows}


def compare_by_sacrebleu(folder, hypotheses, baseline, references, metric, *arguments, **more):
    """Return the cells of baseline and system: score, mean, half-width of the interval, p.

    As LaTeX, for its JSON of chrF and TER fails (`float32 is not JSON serializable`).
    """
    systems = [baseline, hypotheses]
    arguments = (*METRICS[metric], *arguments, "-f", "latex")
    printed = run_sacrebleu(folder, systems, references, *arguments, **more)
    rows = re.findall(r"system-\d & +(.*?) +\\", printed)
    signature = re.findall(r"nrefs:\S+", printed)[0]
    return [CELL.fullmatch(row).groups() for row in rows], signature
