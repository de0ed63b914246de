"""What is chosen for how much text, on how fast a machine."""

import pytest

from training.sizes import (
    SHAPES,
    VALIDATIONS,
    Pace,
    Volume,
    choose_duration,
    choose_vocabulary,
    dropout_share,
    find_tier,
    is_affordable,
    list_shapes,
)


def volume(words, directions=1):
    return Volume(words // 8, words, 20, directions)


def pace(step_seconds=0.1, pass_steps=100):
    return Pace(step_seconds, pass_steps, 1000 * pass_steps, 0.0, 0.001)


@pytest.mark.parametrize(
    ("words", "depth", "batch_tokens", "dropout", "smoothing"),
    [
        (40_000, 1, 1000, 0.5, 0.2),
        (199_999, 1, 1000, 0.5, 0.2),
        (200_000, 2, 1500, 0.4, 0.1),
        (1_000_000, 3, 4000, 0.3, 0.1),
        (5_000_000, 4, 4000, 0.2, 0.1),
        (500_000_000, 4, 4000, 0.2, 0.1),
    ],
)
def test_tier_follows_the_words_of_a_side(words, depth, batch_tokens, dropout, smoothing):
    tier = find_tier(volume(words))

    found = (tier.depth, tier.batch_tokens, tier.dropout, tier.smoothing)
    assert found == (depth, batch_tokens, dropout, smoothing)


@pytest.mark.parametrize(
    ("words", "size"),
    [
        (400, 300),
        (3000, 600),
        (40_000, 2000),
        (200_000, 4000),
        (600_000, 5000),
        (1_000_000, 8000),
        (4_999_999, 10_000),
        (5_000_000, 16_000),
        (90_000_000, 32_000),
    ],
)
def test_vocabulary_grows_with_the_text(words, size):
    assert choose_vocabulary(volume(words)) == size


@pytest.mark.parametrize(
    ("words", "largest"), [(40_000, 1), (300_000, 2), (900_000, 3), (2_000_000, 4), (9_000_000, 5)]
)
def test_shapes_come_from_large_to_small(words, largest):
    shapes = list_shapes(volume(words))

    assert shapes == list(SHAPES[largest::-1])
    assert shapes[0].encoder_layers == find_tier(volume(words)).depth or words == 900_000


def test_shape_is_affordable_when_the_text_is_read_ten_times():
    # a pass takes 10 seconds, and 15 % of the time is for validations
    assert is_affordable(pace(), 2.0)
    assert not is_affordable(pace(), 1.9)


def test_fewer_passes_do_for_many_tokens():
    slow = Pace(0.1, 10_000, 10_000_000, 0.0, 0.001)

    assert is_affordable(slow, 1.5 * 10_000 * 0.1 / 60 / 0.85 + 0.1)


def test_training_takes_the_time_that_it_may():
    duration = choose_duration(volume(40_000), pace(), 10.0, 500)

    assert duration.seconds == pytest.approx(600, rel=0.01)
    assert duration.steps == round((600 - VALIDATIONS * 0.5) / 0.1)
    assert not duration.is_complete
    assert duration.complete_seconds == pytest.approx(80 * 10 + VALIDATIONS * 0.5)


def test_training_ends_when_more_teaches_nothing():
    duration = choose_duration(volume(40_000), pace(), 1000.0, 500)

    assert duration.steps == 80 * 100
    assert duration.is_complete
    assert duration.seconds == pytest.approx(duration.complete_seconds)


def test_slow_validation_is_done_on_fewer_sentences():
    slow = Pace(0.1, 100, 100_000, 0.0, sentence_seconds=0.1)

    duration = choose_duration(volume(40_000, directions=2), slow, 10.0, 500)

    assert duration.validation_sentences == 50
    assert choose_duration(volume(40_000), slow, 10.0, 30).validation_sentences == 30


def test_steps_are_validated_even_when_there_is_no_time():
    duration = choose_duration(volume(40_000), pace(step_seconds=60), 0.1, 500)

    assert (duration.steps, duration.validate_steps) == (VALIDATIONS, 1)


@pytest.mark.parametrize(("minutes", "share"), [(0.2, 0.3), (100, 1.0)])
def test_few_passes_need_little_dropout(minutes, share):
    assert dropout_share(choose_duration(volume(40_000), pace(), minutes, 500)) == share
