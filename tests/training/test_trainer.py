"""The loop learns, stops, and goes on after an interruption as if nothing had happened."""

import json
import math

import pytest
import torch

from models.tokenizer import BOS
from training import checkpoint
from training.prepare import Prepared, prepare
from training.trainer import CHECK_STEPS, Trainer

CPU = torch.device("cpu")
TIMES = {"seconds", "seconds_validating", "tokens_per_second"}
EVERYTHING = {
    "tokenizer__dropout_source": 0.2,
    "network__dropout_embedding": 0.1,
    "network__dropout_layers": 0.2,
    "network__dropout_readout": 0.1,
    "network__word_dropout": 0.1,
    "training__label_smoothing": 0.1,
    "training__ema_decay": 0.9,
    "training__r_drop": 0.5,
}


class Interrupted(Exception):
    """What a test raises in the middle of a run."""


def start(toy, **changes):
    run = toy.open(**changes)
    prepare(run)
    return Trainer(run, CPU)


def interrupt_after(step):
    def on_step(position, window):
        if position.step == step:
            raise Interrupted

    return on_step


def read_metrics(toy):
    lines = (toy.runs / "toy" / "metrics.jsonl").read_text().splitlines()
    return [
        {name: value for name, value in json.loads(line).items() if name not in TIMES}
        for line in lines
    ]


def read_checkpoint(toy):
    return checkpoint.load(toy.runs / "toy" / "checkpoints" / "last.pt")


def assert_equal_weights(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


# epochs have 4 batches, so step 5 and the checkpoint of step 4 lie on both sides of their border
@pytest.mark.parametrize("step", [2, 5, 6])
@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["plain", "everything"])
def test_interrupted_run_goes_on_as_if_nothing_had_happened(changes, step, toy):
    changes = {**changes, "training__max_steps": 7, "training__validate_steps": 2}
    start(toy, **changes).train()
    metrics, whole = read_metrics(toy), read_checkpoint(toy)
    toy.runs = toy.runs / "interrupted"
    with pytest.raises(Interrupted):
        start(toy, **changes).train(interrupt_after(step))

    start(toy, **changes).train()

    assert read_metrics(toy) == metrics
    assert_equal_weights(read_checkpoint(toy)["network"], whole["network"])
    assert_equal_weights(read_checkpoint(toy)["average"], whole["average"])


OPTIMISERS = {
    "adam": {},
    "adamw": {"training__weight_decay": 0.01},
    "sgd": {"training__momentum": 0.9},
    "adagrad": {},
    "rmsprop": {"training__weight_decay": 0.01},
}
SCHEDULES = {
    "trapezoid": {"training__decay_steps": 3},
    "inverse_sqrt": {},
    "cosine": {},
    # lowers the rate and goes back wherever dev BLEU does not rise, before and after the border
    "plateau": {
        "training__plateau_factor": 0.5,
        "training__plateau_patience": 1,
        "training__average_best": 2,
    },
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_every_optimiser_and_schedule_goes_on_as_if_nothing_had_happened(optimiser, schedule, toy):
    changes = {
        **OPTIMISERS[optimiser],
        **SCHEDULES[schedule],
        "training__optimiser": optimiser,
        "training__schedule": schedule,
        "training__max_steps": 6,
        "training__validate_steps": 1,
        "training__validation_sentences": 2,
        "training__ema_decay": 0.5,
        "training__clip_value": 0.01,
        "network__dropout_layers": 0.2,
    }
    start(toy, **changes).train()
    metrics, whole = read_metrics(toy), read_checkpoint(toy)
    toy.runs = toy.runs / "interrupted"
    with pytest.raises(Interrupted):
        start(toy, **changes).train(interrupt_after(5))

    start(toy, **changes).train()

    assert read_metrics(toy) == metrics
    assert_equal_weights(read_checkpoint(toy)["network"], whole["network"])
    assert_equal_weights(read_checkpoint(toy)["average"], whole["average"])


PLATEAU = {
    "training__learning_rate": 1e-12,  # so that nothing is ever better than the first
    "training__schedule": "plateau",
    "training__plateau_factor": 0.5,
    "training__plateau_patience": 2,
    "training__validate_steps": 1,
    "training__max_steps": 7,
    "training__warmup_steps": 1,
    "training__ema_decay": 0.9,
}


def test_plateau_lowers_the_rate_whenever_it_has_waited_in_vain(toy):
    start(toy, **PLATEAU).train()

    rates = [line["learning_rate"] for line in read_metrics(toy)]

    # the second validation after the best lowers it, and the second after that again
    assert rates == pytest.approx([1e-12, 1e-12, 5e-13, 5e-13, 2.5e-13, 2.5e-13, 1.25e-13])


def test_plateau_goes_back_to_the_best_checkpoint_but_not_to_its_batches(toy):
    start(toy, **{**PLATEAU, "training__max_steps": 1}).train()
    best = read_checkpoint(toy)

    start(toy, **{**PLATEAU, "training__max_steps": 3}).train()

    after = read_checkpoint(toy)
    assert_equal_weights(after["network"], best["network"])
    assert_equal_weights(after["average"], best["average"])
    assert after["optimiser"]["state"][0]["step"] == 1
    assert (after["position"]["step"], after["position"]["batch"]) == (3, 3)
    assert after["position"]["rate_cuts"] == 1


AVERAGED = {
    "training__average_best": 2,
    "training__validate_steps": 5,
    "training__max_steps": 20,
    "training__ema_decay": 0.9,
}


def load_best_state(toy):
    return checkpoint.load(toy.runs / "toy" / "checkpoints" / "best.pt")


def kept_states(toy):
    folder = toy.runs / "toy" / "checkpoints" / "kept"
    return [checkpoint.load(path) for path in sorted(folder.iterdir(), key=lambda p: int(p.stem))]


def mean_of(kept, kind):
    first, second = (state[kind] for state in kept)
    return {name: (first[name] + second[name]) / 2 for name in first}


def test_dev_chooses_what_is_exported_and_the_metrics_tell(toy):
    start(toy, **AVERAGED).train()

    *validations, last = read_metrics(toy)
    position, candidates = load_best_state(toy)["position"], last["candidates"]

    assert len(validations) == 4
    assert list(candidates) == [
        "moving average",
        "mean of the 2 best moving averages",
        "mean of the weights of the 2 best",
    ]
    assert candidates["moving average"] == max(line["dev_bleu"] for line in validations)
    assert last["dev_bleu"] == position["choice_bleu"] == max(candidates.values())
    assert candidates[last["choice"]] == last["dev_bleu"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_exported_weights_are_those_that_dev_chose(seed, toy):
    start(toy, **AVERAGED, training__seed=seed).train()

    kept, bleu_by_step = kept_states(toy), read_checkpoint(toy)["kept"]
    best = sorted(bleu_by_step).index(max(bleu_by_step, key=bleu_by_step.get))
    expected = {
        "moving average": kept[best]["average"],
        "mean of the 2 best moving averages": mean_of(kept, "average"),
        "mean of the weights of the 2 best": mean_of(kept, "network"),
    }
    choice = read_metrics(toy)[-1]["choice"]
    torch.testing.assert_close(dict(load_best_state(toy)["network"]), dict(expected[choice]))


def test_choice_is_made_once_and_anew_when_the_run_goes_on(toy):
    start(toy, **AVERAGED).train()
    start(toy, **AVERAGED).train()
    lines = len(read_metrics(toy))

    position = start(toy, **{**AVERAGED, "training__max_steps": 25}).train()

    assert lines == 4 + 1
    assert len(read_metrics(toy)) == lines + 1 + 1
    assert position.choice


def test_only_the_best_checkpoints_are_kept(toy):
    start(toy, **AVERAGED).train()

    assert len(kept_states(toy)) == 2


def test_same_recipe_trains_the_same_network(toy):
    start(toy, **EVERYTHING).train()
    first = read_checkpoint(toy)
    toy.runs = toy.runs / "again"

    start(toy, **EVERYTHING).train()

    assert_equal_weights(read_checkpoint(toy)["network"], first["network"])


def test_loss_falls(toy):
    start(toy, training__max_steps=30, training__validate_steps=10).train()

    losses = [line["loss"] for line in read_metrics(toy)]

    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 0.8 * losses[0]


def test_untrained_network_finds_all_tokens_about_equally_likely(toy):
    trainer = start(toy, training__max_steps=2)
    losses = []

    trainer.train(lambda position, window: losses.append(window.summary()["loss"]))

    assert losses[0] == pytest.approx(math.log(320), rel=0.1)


def test_an_epoch_learns_from_every_target_token_once(toy):
    trainer = start(toy)
    target = Prepared(toy.open()).examples(0).target
    predicted = len(target.ids) - target.ids.tolist().count(BOS)
    tokens = {0: 0}

    trainer.train(lambda position, window: tokens.update({position.epoch: position.tokens}))

    assert tokens[0] == predicted


def test_training_stops_when_dev_bleu_does_not_rise(toy):
    trainer = start(
        toy,
        training__learning_rate=1e-12,
        training__max_steps=100,
        training__validate_steps=1,
        training__patience=3,
    )

    position = trainer.train()

    # the first validation is the best there is; three more are not better
    assert (position.step, position.best_step) == (4, 1)


EXACT = {
    "training__chosen_by": "exact",
    "corpus__dev": [
        {
            "name": "toy dev",
            "languages": ["de", "en"],
            "files": ["dev.de", "dev.en"],
            "protocols": ["detok", "exact"],
        }
    ],
}


def test_what_is_exactly_right_may_choose_instead_of_bleu(toy):
    position = start(toy, **EXACT).train()

    lines = read_metrics(toy)
    shares = [metrics[-1]["score"] for line in lines for metrics in line["dev"].values()]
    assert [line["dev_exact"] for line in lines] == shares
    assert position.best_bleu == max(shares)
    assert "dev_bleu" not in lines[0]


def test_exact_must_be_measured_to_be_chosen_by(toy):
    with pytest.raises(ValueError, match='chosen_by "exact" needs exact in the protocols of toy'):
        start(toy, training__chosen_by="exact")


def test_finished_run_is_not_trained_further(toy):
    start(toy).train()
    before = read_checkpoint(toy)["network"]

    position = start(toy).train()

    assert position.step == 6
    assert_equal_weights(read_checkpoint(toy)["network"], before)


def test_run_that_began_before_a_key_was_known_goes_on(toy):
    start(toy).train()
    path = toy.runs / "toy" / "checkpoints" / "last.pt"
    state = checkpoint.load(path)
    sections, training = json.loads(state["fixed"])
    del sections["network"]["recurrent_init"]
    checkpoint.save(state | {"fixed": json.dumps([sections, training])}, path)

    assert start(toy, training__max_steps=8).train().step == 8


def test_finished_run_goes_on_when_it_may_be_longer(toy):
    start(toy).train()

    assert start(toy, training__max_steps=8).train().step == 8


@pytest.mark.parametrize(
    "changes",
    [
        {"network__decoder_size": 10},
        {"network__cell": "lstm"},
        {"tokenizer__size": 310},
        {"training__seed": 2},
        {"training__batch_tokens": 100},
        {"training__optimiser": "rmsprop"},
        {"training__schedule": "cosine"},
    ],
)
def test_run_of_another_network_corpus_or_seed_is_not_gone_on_with(changes, toy):
    start(toy).train()

    with pytest.raises(ValueError, match="checkpoints was trained with another"):
        start(toy, **changes)


def test_run_goes_on_in_the_precision_it_began_with(toy):
    start(toy).train()

    trainer = start(toy, training__precision="fp16", training__max_steps=7)

    assert trainer.precision == "fp32"
    assert trainer.train().step == 7


def test_average_follows_the_weights_by_its_decay(toy):
    trainer = start(toy, training__ema_decay=0.26, training__max_steps=4)
    steps = [{name: value.clone() for name, value in trainer.network.state_dict().items()}]

    trainer.train(
        lambda position, window: steps.append(
            {name: value.clone() for name, value in trainer.network.state_dict().items()}
        )
    )

    average = dict(steps[0])
    for decay, weights in zip((2 / 11, 3 / 12, 0.26, 0.26), steps[1:], strict=True):
        average = {n: decay * average[n] + (1 - decay) * weights[n] for n in weights}
    torch.testing.assert_close(read_checkpoint(toy)["average"], average)


def test_without_averaging_the_weights_are_validated_as_they_are(toy):
    start(toy, training__max_steps=4).train()

    state = read_checkpoint(toy)

    assert_equal_weights(state["average"], state["network"])


@pytest.mark.parametrize("key", ["clip_norm", "clip_value"])
@pytest.mark.parametrize(("limit", "rate"), [(1e-6, 1.0), (1e6, 0.0)])
def test_clip_rate_is_the_share_of_steps_that_were_clipped(limit, rate, key, toy):
    start(toy, **{"training__clip_norm": None, f"training__{key}": limit}).train()

    assert [line["clip_rate"] for line in read_metrics(toy)] == [rate, rate]


def test_each_validation_is_a_line_of_metrics_with_signed_scores(toy):
    start(toy, corpus__directions=[["de", "en"], ["en", "de"]]).train()

    lines = read_metrics(toy)

    assert [line["step"] for line in lines] == [3, 6]
    assert lines[0]["dev"].keys() == {"de-en", "en-de"}
    for bleu, chrf in lines[0]["dev"].values():
        assert (bleu["name"], chrf["name"]) == ("BLEU", "chrF2")
        assert "version:" in bleu["signature"]


def test_best_checkpoint_is_that_of_the_best_validation(toy):
    trainer = start(toy, training__max_steps=40, training__validate_steps=10)
    bleu_by_step = {}

    trainer.train(
        on_validation=lambda position, summary: bleu_by_step.update(
            {position.step: summary["dev_bleu"]}
        )
    )

    best = checkpoint.load(toy.runs / "toy" / "checkpoints" / "best.pt")
    assert best["position"]["step"] == max(bleu_by_step, key=bleu_by_step.get)


def test_loss_that_is_no_number_is_found_before_the_next_validation(toy):
    steps = {"training__max_steps": 1000, "training__validate_steps": 1000}
    trainer = start(toy, **steps, training__learning_rate=1e38)

    with pytest.raises(ValueError, match=f"at step {CHECK_STEPS} or shortly before"):
        trainer.train()


def test_training_in_fp16_scales_the_loss_and_goes_on_exactly(toy):
    changes = {"training__precision": "fp16", "training__max_steps": 6}
    start(toy, **changes).train()
    metrics = read_metrics(toy)
    toy.runs = toy.runs / "interrupted"
    with pytest.raises(Interrupted):
        start(toy, **changes).train(interrupt_after(5))

    start(toy, **changes).train()

    assert read_checkpoint(toy)["scaler"]["scale"] > 1
    assert read_metrics(toy) == metrics


def test_loss_that_is_no_number_ends_training_with_advice(toy):
    trainer = start(toy, training__learning_rate=1e38)

    with pytest.raises(ValueError, match=r"training\.learning_rate 1e\+38 may be too high"):
        trainer.train()
