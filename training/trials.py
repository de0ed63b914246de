"""Training the trials of an ablation, one after the other or several at a time.

Trials of the same text and vocabulary share what is prepared. A trial that was interrupted
goes on from its checkpoint; one whose training fails, as with a rate that is too high, says so
in its result, and the others go on.
"""

import json
import os
import shutil
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from training.ablation import Budget, Trial, TrialResult, write_result
from training.corpus import load_dev
from training.evaluate import validate
from training.prepare import Prepared, prepare
from training.run import Run
from training.speeds import take_speeds
from training.trainer import Trainer, load_best

RECIPE = "recipe.toml"


class _Spent(Exception):
    """The minutes of a trial are over."""


def prepare_trials(trials: Sequence[Trial]) -> None:
    """Prepare the text of every trial, once for all that agree on it.

    Raises:
        ValueError: a text cannot be read or leaks, or a vocabulary cannot be learnt.
    """
    prepared: list[Run] = []
    for trial in trials:
        _forget_another_recipe(trial.run)
        for other in prepared:
            if _prepares_the_same(trial.run, other) and not trial.run.prepared.exists():
                _link(other.prepared, trial.run.prepared)
        prepare(trial.run)
        prepared.append(trial.run)


def train_trials(
    trials: Sequence[Trial], budget: Budget, jobs: int, machine: str
) -> Iterator[TrialResult]:
    """Train trials that are prepared, `jobs` at a time in processes; yield each when it is done."""
    if jobs == 1:
        for trial in trials:
            yield train_trial(trial, budget, jobs, machine)
        return
    # spawned, for a process that has used CUDA cannot be forked
    with ProcessPoolExecutor(jobs, get_context("spawn"), _share_cores, (jobs,)) as pool:
        futures = [pool.submit(train_trial, trial, budget, jobs, machine) for trial in trials]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def train_trial(trial: Trial, budget: Budget, jobs: int, machine: str) -> TrialResult:
    """Train one trial on its budget, keep its result and return it."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(trial.run, device)
    failure = ""

    def watch(*_: object) -> None:
        if budget.minutes and trainer.position.seconds >= 60 * budget.minutes:
            raise _Spent

    try:
        trainer.train(on_validation=watch)
    except _Spent:
        pass
    except ValueError as error:  # training diverged, which is a result too
        failure = str(error)
    result = TrialResult(
        row=trial.row,
        seed=trial.seed,
        recipe_sha256=trial.run.sha256,
        **({"failure": failure} if failure else _score_best(trial.run, device)),
        best_step=trainer.position.best_step,
        steps=trainer.position.step,
        minutes=round(trainer.position.seconds / 60, 1),
        tokens_per_second=_speed(trial.run),
        parameters=trainer.network.num_parameters,
        speeds=take_speeds(trial.run) if trial.is_timed and not failure else None,
        machine=machine,
        jobs=jobs,
    )
    write_result(trial, result)
    return result


def _forget_another_recipe(run: Run) -> None:
    """Begin anew where the row has changed since it was begun."""
    written = run.folder / RECIPE
    if written.exists() and written.read_text(encoding="utf-8") != run.toml:
        shutil.rmtree(run.folder)
        run.folder.mkdir()
    written.write_text(run.toml, encoding="utf-8")


def _prepares_the_same(run: Run, other: Run) -> bool:
    mine, theirs = run.recipe, other.recipe
    return (mine.corpus, mine.tokenizer) == (theirs.corpus, theirs.tokenizer)


def _link(source: Path, target: Path) -> None:
    # what is prepared is never written to again, so both may be the same files
    draft = target.with_name("prepared.draft")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(source, draft, copy_function=os.link)
    draft.rename(target)


def _share_cores(jobs: int) -> None:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))


def _score_best(run: Run, device: torch.device) -> dict[str, Any]:
    network, *_ = load_best(run)
    dev = load_dev(run, run.recipe.training.validation_sentences)
    scores = validate(network.to(device), Prepared(run).tokenizer, run, dev)
    bleus = [metrics[0] for metrics in scores.values()]
    bleu = round(statistics.fmean(bleu.score for bleu in bleus), 2)
    return {"dev_bleu": bleu, "signature": bleus[0].signature}


def _speed(run: Run) -> float:
    path = run.folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    # the choice between means of checkpoints is a line too, before which nothing was learnt
    told = [json.loads(line).get("tokens_per_second") for line in lines]
    speeds = [speed for speed in told if speed is not None]
    return round(statistics.median(speeds)) if speeds else 0
