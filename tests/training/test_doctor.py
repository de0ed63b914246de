"""What the doctor finds, in texts that are ill on purpose."""

import io
import json
import random

import pytest
from rich.console import Console

from tests.training.phrases import phrases
from training.characters import CharacterCheck
from training.doctor import UsableCheck, examine, examine_run, read_lines
from training.findings import Examination, Example, Finding, count_of
from training.findings_table import render_examination
from training.languages import candidates
from training.text_recipe import CleaningRecipe, TextRecipe

RULES = CleaningRecipe(max_words=40, max_ratio=3.0, min_ratio_characters=30)
PAIRS = phrases(800)


@pytest.fixture
def look(tmp_path):
    def look(pairs, languages=("de", "en")) -> dict[str, Finding]:
        lines = "".join(f"{source}\t{target}\n" for source, target in pairs)
        (tmp_path / "a.tsv").write_text(lines, encoding="utf-8")
        text = TextRecipe(name="mine", languages=languages, tsv="a.tsv")
        found = examine(text, tmp_path, RULES, "NFC")
        return {finding.name: finding for finding in found.findings}

    return look


@pytest.fixture
def look_at_signs(tmp_path):
    """The same for what needs no language detector, which takes its time to load."""

    def look(pairs) -> dict[str, Finding]:
        lines = "".join(f"{source}\t{target}\n" for source, target in pairs)
        (tmp_path / "a.tsv").write_text(lines, encoding="utf-8")
        text = TextRecipe(name="mine", languages=("de", "en"), tsv="a.tsv")
        checks = [UsableCheck(), CharacterCheck()]
        for line in read_lines(text, tmp_path, RULES, "NFC"):
            for check in checks:
                check.look(line)
        return {finding.name: finding for check in checks for finding in check.conclude()}

    return look


def spoil(change, every=10):
    """Return the pairs with every tenth changed."""
    return [change(*pair) if i % every == 0 else pair for i, pair in enumerate(PAIRS)]


def stops_of(found):
    return [name for name, finding in found.items() if finding.verdict == "stop"]


def test_sound_text_is_in_order_but_for_its_size(look):
    found = look(PAIRS)

    assert {name for name, each in found.items() if each.verdict != "ok"} == {"pairs"}
    assert found["pairs"].said == "800 read, 800 usable"
    assert found["duplicates"].said == "none"


def test_fewer_than_50_usable_pairs_stop(look):
    found = look([*PAIRS[:49], PAIRS[0], ("", "Nothing")])

    assert stops_of(found) == ["pairs"]
    assert found["pairs"].said == "51 read, 49 usable, 50 are the least"
    assert "5,000 pairs" in found["pairs"].advice


@pytest.mark.parametrize("offset", [1, 5])
def test_shifted_lines_stop(offset, look):
    targets = [target for _, target in PAIRS]
    pairs = [(source, targets[i - offset]) for i, (source, _) in enumerate(PAIRS)]
    found = look(pairs)

    assert stops_of(found) == ["alignment"]
    assert f"line N of the first side belongs to line N+{offset} of" in found["alignment"].said
    assert "800 pairs are shifted, the first between lines 1 and 400" in found["alignment"].said


def test_sides_without_a_relation_stop(look):
    targets = [target for _, target in PAIRS]
    random.Random(3).shuffle(targets)

    found = look([(source, targets[i]) for i, (source, _) in enumerate(PAIRS)])

    assert stops_of(found) == ["alignment"]
    assert "no translations of each other line by line" in found["alignment"].advice


def test_part_without_a_relation_stops(look):
    pairs = phrases(2000)
    targets = [target for _, target in pairs[1200:]]
    random.Random(3).shuffle(targets)
    tail = [(source, target) for (source, _), target in zip(pairs[1200:], targets, strict=True)]

    found = look(pairs[:1200] + tail)

    assert stops_of(found) == ["alignment"]
    assert "800 pairs (40.0 %) have sides that do not agree" in found["alignment"].said
    assert "first between lines 1,201 and 1,600" in found["alignment"].said


def test_exchanged_sides_stop(look):
    found = look([pair[::-1] for pair in PAIRS])

    assert stops_of(found) == ["languages"]
    assert "said to be de and en, but en 100 %, de 100 %" in found["languages"].said
    assert "Exchange --from and --to" in found["languages"].advice


def test_one_language_on_both_sides_stops(look):
    found = look(
        [(target, other) for (_, target), (_, other) in zip(PAIRS, phrases(800, 2), strict=True)]
    )

    assert "languages" in stops_of(found)
    assert "both sides are en" in found["languages"].said


def test_other_languages_than_said_stop(look):
    found = look(PAIRS, ("de", "fr"))

    assert stops_of(found) == ["languages"]
    assert found["languages"].said == "said to be de and fr, the sides are de 100 %, en 100 %"


def test_same_text_twice_stops(look):
    found = look([(source, source) for source, _ in PAIRS])

    assert {"both sides equal", "languages", "pairs"} <= set(stops_of(found))


def test_cause_is_told_before_what_follows_from_it():
    few = Finding("pairs", "stop", "0 usable")
    cause = Finding("languages", "stop", "both sides are en")

    assert Examination("mine", (few, cause)).stops == [cause, few]


def test_language_that_the_detector_does_not_know_is_not_judged(look):
    found = look(PAIRS, ("hsb", "en"))

    assert stops_of(found) == []
    assert found["language hsb"].said == "cannot be told: the detector does not know it"


def test_near_relatives_are_not_taken_for_each_other():
    assert {"da", "no"}.isdisjoint(set(candidates(["nn", "de"])) - {"nn", "de"})
    assert candidates(["pt-BR", "en"])[:2] == ["pt-BR", "en"]
    assert "pt" not in candidates(["pt-BR", "en"])


def test_lines_in_another_language_are_listed(look):
    french = "Nous ne savons pas encore si les enfants viendront demain matin avec leurs parents."
    finding = look(spoil(lambda source, target: (french, target), every=100))["language de"]

    assert finding.verdict == "look"
    assert finding.said == "8 lines (1.0 %) surely in another: fr 8"
    assert [example.line for example in finding.examples] == [1, 101, 201]


def test_duplicates_are_counted_with_the_line_they_repeat(look):
    found = look(PAIRS + [(source.upper(), target) for source, target in PAIRS[:400]])

    finding = found["duplicates"]
    assert (finding.verdict, finding.count) == ("look", 400)
    assert finding.examples[0].line == 801
    assert finding.examples[0].text == "the same as line 1"


def test_sentences_with_several_translations_are_counted(look):
    found = look([*PAIRS, (PAIRS[0][0], "Something else"), ("Etwas anderes", PAIRS[1][1])])

    assert found["de with several en"].count == found["en with several de"].count == 1


def test_lengths_are_described(look):
    found = look([("eins zwei", "one two three")] * 100 + PAIRS)

    assert found["words"].said.startswith("de median ")
    assert "(characters of en / de)" in found["length ratio"].said


@pytest.mark.parametrize(
    ("name", "change", "verdict"),
    [
        ("control characters", lambda s, t: (f"\x07{s}", t), "look"),
        ("zero-width, soft hyphens", lambda s, t: (s, f"{t[0]}\u200b{t[1:]}"), "ok"),
        ("no-break spaces", lambda s, t: (s.replace(" ", "\u00a0"), t), "ok"),
        ("mojibake", lambda s, t: (f"schÃ¶n, {s}", t), "look"),
        ("HTML entities", lambda s, t: (s, f"{t} &nbsp; &#8217;"), "look"),
        ("tags", lambda s, t: (f"<b>{s}</b>", f"<b>{t}</b>"), "look"),
        ("placeholders differ", lambda s, t: (f"{s} {{name}}", f"{t} {{Name}}"), "look"),
        ("placeholders differ", lambda s, t: (f"{s} %s", t), "look"),
        ("lengths differ", lambda s, t: (s, "Yes"), "look"),
        ("too long", lambda s, t: (s + " und so" * 40, t + " and so" * 40), "look"),
    ],
)
def test_every_tenth_pair_that_is_ill_is_found(name, change, verdict, look_at_signs):
    finding = look_at_signs(spoil(change))[name]

    assert (finding.count, finding.verdict) == (80, verdict)
    assert [example.line for example in finding.examples] == [1, 11, 21]
    assert finding.said == "80 pairs (10.0 %)"


def test_what_stands_on_both_sides_alike_is_no_finding(look_at_signs):
    pairs = spoil(lambda s, t: (f"{s} {{name}} 100%ig", f"{t} {{name}}"))

    assert look_at_signs(pairs)["placeholders differ"].count == 0


def test_leaks_of_a_recipe_stop(toy):
    toy.write("train", [("Ich sehe Haus.", "Yes"), *phrases(60)])
    toy.write("test", [("ich sehe Haus", "I see house")])

    train, dev, test = examine_run(toy.open())

    leak = {finding.name: finding for finding in train.findings}["leakage into toy test"]
    assert (leak.verdict, leak.said) == ("stop", "1 training pairs share a side (1.7 %)")
    assert (dev.name, test.name) == ("toy dev", "toy test")


@pytest.mark.parametrize(
    ("count", "said"), [(0, "none"), (1, "1 pairs (under 0.1 %)"), (4500, "4,500 pairs (45.0 %)")]
)
def test_few_are_not_rounded_to_none(count, said):
    assert count_of(count, 10_000) == said


def test_examination_is_json(look):
    found = Examination("mine", tuple(look(PAIRS).values()))

    fields = json.loads(json.dumps(found.fields()))
    assert (fields["text"], fields["verdict"]) == ("mine", "look")
    assert {"name", "verdict", "said", "advice", "count", "examples"} == fields["findings"][
        0
    ].keys()


def test_table_shows_users_text_as_it_is():
    finding = Finding("tags", "look", "[red]1[/red]", "Remove them", 1, (Example(7, "[i]x"),))
    console = Console(width=100, record=True, file=io.StringIO())

    console.print(render_examination(Examination("[bold]mine", (finding,))))

    shown = console.export_text()
    assert [part in shown for part in ("[red]1[/red]", "[bold]mine", "line 7  [i]x")] == [True] * 3
    assert max(map(len, shown.splitlines())) <= 100
