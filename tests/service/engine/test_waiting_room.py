from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.hypothesis import SearchOptions
from service.engine.policy import Policy
from service.engine.waiting_line import Priority, Sentence
from service.engine.waiting_room import Vacancy, WaitingRoom

CROWD = 10**6


def vacancy(in_use: int, batch: int = 0, total: int = 64) -> Vacancy:
    """What a worker offers to whom it need not leave to others."""
    return Vacancy(total, in_use, batch, demand=CROWD)


ALL_FREE = vacancy(0)
HALF_FREE = vacancy(32)


def room(interactive: int = 0, batch: int = 0, batch_share: float = 0.125) -> WaitingRoom:
    """A room where so many sentences of four tokens wait."""
    made = WaitingRoom(Policy(batch_share=batch_share))
    for _ in range(interactive):
        add(made, "interactive")
    for _ in range(batch):
        add(made, "batch")
    return made


def add(room: WaitingRoom, priority: Priority, length: int = 4, width: int = 1) -> None:
    room.add(Sentence([7] * length, SearchOptions(width=width), priority))


def priorities(taken: list[Sentence]) -> list[Priority]:
    return [sentence.priority for sentence in taken]


def test_interactive_sentence_goes_before_a_long_line_of_batch():
    crowd = room(interactive=1, batch=1000)

    assert priorities(crowd.take(ALL_FREE)) == ["interactive"]


def test_interactive_sentence_joins_a_batch_of_batch_as_soon_as_there_is_room_for_it():
    crowd = room(interactive=1, batch=1000)

    assert priorities(crowd.take(vacancy(in_use=63, batch=63))) == ["interactive"]


def test_few_wait_for_company_while_many_are_decoded():
    crowd = room(interactive=3)

    assert crowd.take(vacancy(in_use=8)) == []
    add(crowd, "interactive")
    assert len(crowd.take(vacancy(in_use=8))) == 4


def test_many_that_wait_join_when_half_as_many_find_room_as_are_decoded():
    crowd = room(interactive=100)

    assert crowd.take(vacancy(in_use=43)) == []
    assert len(crowd.take(vacancy(in_use=42))) == 22


def test_patience_ends_after_eight_turns():
    crowd = room(interactive=1)

    assert [len(crowd.take(vacancy(in_use=60))) for _ in range(9)] == [0] * 8 + [1]
    add(crowd, "interactive")
    assert crowd.take(vacancy(in_use=60)) == []


def test_every_worker_has_its_eight_turns():
    crowd = room(interactive=1)
    shared = Vacancy(total=64, in_use=20, demand=43, workers=2)

    assert [len(crowd.take(shared)) for _ in range(17)] == [0] * 16 + [1]


def test_turns_without_room_try_nobodys_patience():
    crowd = room(interactive=1)
    for _ in range(20):
        assert crowd.take(vacancy(in_use=64)) == []

    assert crowd.take(vacancy(in_use=63)) == []


def test_batch_gets_an_eighth_of_the_work_under_an_endless_interactive_stream():
    crowd = room(batch=500)
    work = {"interactive": 0, "batch": 0}
    while crowd.lines["batch"]:
        while len(crowd.lines["interactive"]) < 100:
            add(crowd, "interactive", length=9)
        for sentence in crowd.take(HALF_FREE):
            work[sentence.priority] += sentence.work

    # 500 sentences of 4 tokens are an eighth of 16,000; the last group may be on its way.
    assert work["batch"] == 2000
    assert 14_000 <= work["interactive"] <= 14_000 + 2 * 32 * 9


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.sampled_from([1, 4])), min_size=5, max_size=15),
    st.sampled_from([0.05, 0.125, 0.5]),
)
def test_batch_lags_behind_its_share_by_one_sentence_at_most(shapes, share):
    crowd = room(interactive=1, batch_share=share)
    for length, width in shapes:
        add(crowd, "batch", length, width)
    largest = max(length * width for length, width in shapes)
    total = batch = 0
    while crowd.lines["batch"]:
        for length, width in shapes:
            add(crowd, "interactive", length, width)
        taken = crowd.take(ALL_FREE)
        total += sum(each.work for each in taken)
        batch += sum(each.work for each in taken if each.priority == "batch")

        if priorities(taken)[0] == "interactive" and crowd.lines["batch"]:
            group = sum(each.work for each in taken)
            assert share * (total - group) - largest <= batch <= share * total


def test_free_rows_cost_batch_nothing():
    crowd = room(batch=200)
    for _ in range(3):
        assert len(crowd.take(ALL_FREE)) == 48
    for _ in range(7):
        add(crowd, "interactive")

    assert priorities(crowd.take(ALL_FREE)) == ["interactive"] * 7
    add(crowd, "interactive")
    # Seven sentences have earned an eighth one, whatever batch had while it was alone.
    assert priorities(crowd.take(ALL_FREE)) == ["batch"]


def test_batch_leaves_a_quarter_of_the_rows_to_interactive_sentences():
    crowd = room(batch=100)

    assert len(crowd.take(ALL_FREE)) == 48
    assert crowd.take(vacancy(in_use=48, batch=48)) == []
    add(crowd, "interactive")
    assert priorities(crowd.take(vacancy(in_use=48, batch=48))) == ["interactive"]


def test_batch_that_has_all_its_rows_leaves_its_turn_to_interactive_sentences():
    crowd = room(interactive=200, batch=100)
    crowd.take(HALF_FREE)  # after this batch is owed something

    assert priorities(crowd.take(vacancy(in_use=48, batch=48)))[0] == "interactive"
    assert priorities(crowd.take(vacancy(in_use=48, batch=32)))[0] == "batch"


def test_beam_wider_than_the_part_of_batch_is_decoded_when_batch_has_no_other():
    crowd = room()
    add(crowd, "batch", width=64)

    for _ in range(20):
        assert crowd.take(vacancy(in_use=1, batch=1, total=65)) == []
    assert priorities(crowd.take(ALL_FREE)) == ["batch"]


def test_batch_does_not_overtake_an_interactive_sentence_that_finds_no_room():
    crowd = room(batch=10)
    add(crowd, "interactive", width=48)

    for _ in range(20):
        assert crowd.take(HALF_FREE) == []


def test_worker_that_has_its_share_leaves_the_others_theirs():
    crowd = room(interactive=10, batch=10)

    assert crowd.take(Vacancy(total=64, in_use=4, demand=8, workers=2)) == []
    assert len(crowd.take(Vacancy(total=64, in_use=0, demand=20, workers=4))) == 5


def test_rows_are_short_when_more_are_wanted_than_all_workers_have():
    assert Vacancy(total=64, in_use=3, demand=129, workers=2).is_short
    assert not Vacancy(total=64, in_use=64, demand=128, workers=2).is_short


def test_work_before_an_interactive_sentence_counts_of_batch_what_is_due_to_it():
    crowd = room(interactive=70, batch=1000)  # 280 and 4000 source tokens

    # While 280 go, they are seven eighths of all that goes.
    assert crowd.work_before("interactive") == 320
    assert crowd.work_before("batch") == 4280
    assert room(interactive=70, batch=1).work_before("interactive") == 284
    assert room(batch=1000).work_before("interactive") == 0


def test_worker_with_any_number_of_rows_is_not_left_idle():
    for total in range(1, 20):
        idle = vacancy(in_use=0, total=total)

        assert room(batch=30).take(idle)
        assert room(interactive=30).take(idle)
