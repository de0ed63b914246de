import pytest

from models.bundle import SweepRow
from training.measurements import Search, choose, list_searches


def rows(*figures):
    return [SweepRow(beam=b, length_penalty=p, bleu=bleu) for b, p, bleu in figures]


def test_sweep_tries_every_pair_and_greedy_search_once():
    assert list_searches([2, 1], [1.0, 0.6]) == [
        Search(1, 0.6),
        Search(2, 0.6),
        Search(2, 1.0),
    ]


@pytest.mark.parametrize(
    ("figures", "winner"),
    [
        ([(1, 0.6, 30.0), (2, 0.6, 31.0), (4, 0.6, 30.5)], Search(2, 0.6)),
        ([(1, 0.6, 30.0), (2, 0.6, 31.0), (4, 0.6, 31.05)], Search(2, 0.6)),
        ([(1, 0.6, 30.0), (2, 0.6, 31.0), (4, 0.6, 31.06)], Search(4, 0.6)),
        ([(2, 0.6, 31.0), (2, 1.0, 31.03), (4, 1.0, 31.04)], Search(2, 1.0)),
        ([(1, 0.6, 30.0)], Search(1, 0.6)),
    ],
    ids=["best", "tie", "no tie", "best of the small beam", "only one"],
)
def test_best_search_wins_and_the_smaller_beam_at_ties(figures, winner):
    assert choose(rows(*figures)) == winner
