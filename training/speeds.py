"""How fast a network learns and translates, in seconds of processor time.

They count what this process computes, not what it waits for, so that rows of an ablation which
were measured on a busy machine can be compared; with one thread they are seconds of one core.
The graphs are written and gated as for a bundle and run by the service's engine.
"""

import shutil
import time
from copy import deepcopy
from pathlib import Path

import torch
from rich.console import Console

from models.tokenizer import Tokenizer
from training.batches import Epoch, plan_epoch
from training.corpus import load_dev
from training.epochs import Epochs
from training.export import draft_bundle
from training.learner import Learner
from training.measurements import REFERENCE, Search, open_for, translate
from training.network import Network
from training.prepare import Prepared
from training.ranks import ALONE
from training.record import Record
from training.run import Run
from training.trained import load_network, trained_of_run

WARM_STEPS, TIMED_STEPS = 2, 12


class Speeds(Record):
    """What a second of processor time is good for."""

    trained_tokens: float
    """Target tokens learnt from."""
    translated_tokens: float
    """Target tokens written for dev, greedily, by the fp32 graphs."""
    max_logit_difference: float
    """Between network and graphs, as the gate found."""


def take_speeds(run: Run) -> Speeds:
    """Measure the best network of a run.

    Raises:
        ValueError: its graphs do not follow it.
    """
    network, took = load_network(run)
    trained_tokens = _train(run, deepcopy(network))
    trained = trained_of_run(run, network, took)
    draft, manifest = draft_bundle(run, trained, Console(quiet=True))
    translated_tokens = _translate(run, draft, trained.tokenizer)
    shutil.rmtree(draft)
    return Speeds(
        trained_tokens=round(trained_tokens),
        translated_tokens=round(translated_tokens),
        max_logit_difference=manifest.provenance.parity.max_logit_difference,
    )


def _train(run: Run, network: Network) -> float:
    device, recipe = torch.device("cpu"), run.recipe.training
    learner = Learner(recipe, network, deepcopy(network), device, ALONE)
    epochs = Epochs(run, Prepared(run), is_ahead=False)
    examples = epochs.examples(0)
    epoch = Epoch(examples, plan_epoch(examples, recipe.batch_tokens, recipe.seed), device)
    tokens, started = 0, 0.0
    for index in range(min(WARM_STEPS + TIMED_STEPS, len(epoch))):
        if index == WARM_STEPS:
            started = time.process_time()
        batch = epoch.batch(index, ALONE.share)
        learner.step(batch, recipe.learning_rate)
        tokens += batch.tokens * (index >= WARM_STEPS)
    epochs.close()
    return tokens / (time.process_time() - started)


def _translate(run: Run, draft: Path, tokenizer: Tokenizer) -> float:
    search = Search(1, min(run.recipe.export.length_penalties))
    tokens, seconds = 0, 0.0
    for text in load_dev(run, run.recipe.export.sweep_sentences):
        with open_for(draft, text, REFERENCE) as translator:
            started = time.process_time()
            written = translate(translator, text, search, lambda _: None)
            seconds += time.process_time() - started
        tokens += sum(len(tokenizer.encode(each)) for each in written)
    return tokens / seconds
