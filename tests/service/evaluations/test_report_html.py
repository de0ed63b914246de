"""The report as a page, read by a parser of HTML that knows nothing of how it was made."""

import base64
import hashlib
import json
import shlex
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from service.evaluation import Task, analyse
from service.evaluations.report_html import CONTENT_POLICY, MAX_CHARACTERS, render_report
from tests.reports import NASTY, comparison, example, nasty_report, report

ELEMENTS_THAT_LOAD = {"script", "img", "iframe", "object", "embed", "form", "base", "audio"}


class Reader(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.marked: list[str] = []
        self._inside: list[str] = []
        self.feed(html)
        self.close()
        self.text = "".join(self.texts)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self._inside:
            self.texts.append(data)
        if "mark" in self._inside:
            self.marked.append(data)

    def values(self, *names: str) -> list[str | None]:
        return [value for _, own in self.elements for name, value in own.items() if name in names]


def read(**given) -> Reader:
    return Reader(render_report(report(**given)))


def test_page_names_the_languages_the_model_and_the_baseline():
    page = read()

    assert "German to English" in page.text
    assert "tiny@2" in page.text
    assert "tiny@1" in page.text
    assert "2,000 lines" in page.text


def test_score_has_its_interval_difference_and_chance():
    page = read()

    for figure in ("36.50", "35.25 to 37.75", "+1.50 better", "p = 0.001", "p = 0.400"):
        assert figure in page.text
    assert "nrefs:1|name:bleu" in page.text
    assert "Better in BLEU (+1.50), no clear difference in TER (+1.00)." in page.text


def test_very_small_chance_is_not_called_none():
    assert "p < 0.001" in read(comparison=[comparison("bleu", 1.5, 0.0001)]).text


def test_verdict_is_given_only_where_there_is_a_baseline():
    alone = {"baseline": None, "baseline_performance": None, "identical": None}
    page = read(**alone, comparison=[], changed=[], worst=[])

    assert "baseline" not in page.text.lower()


def test_difference_that_was_not_tested_is_said_to_be():
    page = read(comparison=[comparison("bleu", 1.5)])

    assert "Not tested against the baseline" in page.text
    assert "not tested" in page.text
    assert "+1.50 better" not in page.text


def test_hypotheses_without_a_model_say_so():
    page = read(model=None, decode=None, performance=None, baseline_performance=None)

    assert "as they were handed in" in page.text
    assert "a second" not in page.text


def test_warnings_and_counts_are_told():
    page = read(warnings=["The references look tokenised."])

    assert "The references look tokenised." in page.text
    assert "cut at the token limit" in page.text


def test_bar_is_as_long_as_its_score():
    widths = [own["width"] for tag, own in read().elements if tag == "rect"]

    assert widths == ["78.0%", "39.0%"] * 2


def test_group_of_few_lines_is_pale():
    classes = [str(own.get("class")).split() for tag, own in read().elements if tag == "tr"]

    assert [names for names in classes if "pale" in names] == [classes[-1]]


def test_worst_are_marked_beside_the_reference_and_changed_beside_the_baseline():
    page = read()

    legend = ["Marked", "underlined"]
    assert page.marked == [*legend, "barks", "The cat sings", "sings", "Marked", "The cat", "A dog"]


def test_line_is_named_as_the_files_number_it():
    assert "Line 8" in read().text


def test_page_loads_and_runs_nothing():
    for page in (read(), Reader(render_report(nasty_report()))):
        assert {tag for tag, _ in page.elements} & ELEMENTS_THAT_LOAD == set()
        assert set(page.values("href", "src", "action", "data")) == {"data:,"}
        assert [n for _, own in page.elements for n in own if n.startswith(("on", "style"))] == []


@pytest.mark.parametrize("text", [text for text in NASTY if text.strip()])
def test_text_is_shown_as_it_was_written(text):
    page = Reader(render_report(nasty_report()))

    assert page.text.count(text) >= 3


def test_nasty_text_leaves_the_page_as_it_is():
    nasty, harmless = Reader(render_report(nasty_report())), read()

    assert {tag for tag, _ in nasty.elements} == {tag for tag, _ in harmless.elements} | {"li"}


def test_languages_that_do_not_exist_are_shown_as_they_are():
    assert '"><img src=x onerror="document.title = \'owned\'"> to' in (
        Reader(render_report(nasty_report())).text
    )


def test_characters_that_cannot_be_shown_are_told():
    odd = "a\x00b\x1b[31m\x7f\x9b\ud800c"
    html = render_report(report(worst=[example(0, odd, odd, odd, odd)]))

    assert "a\u2400b\u241b[31m\u2421\ufffd\ufffdc" in Reader(html).text
    assert not any(ord(character) < 32 and character not in "\n\t" for character in html)
    html.encode("utf-8")


def test_very_long_sentence_is_cut_and_says_so():
    page = read(worst=[example(0, "x" * (MAX_CHARACTERS + 1234), "a", "b", "c")])

    assert "x" * MAX_CHARACTERS + " … (1,234 more characters)" in page.text
    assert "x" * (MAX_CHARACTERS + 1) not in page.text


def test_empty_sentence_is_told():
    page = read(worst=[example(0, "a", "b", "", " ")])

    assert page.texts.count("empty") == 3  # with the name of the count


def test_policy_lets_in_the_one_style_of_the_page():
    html = render_report(report())
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"style-src 'sha256-{digest}'" in CONTENT_POLICY
    assert "default-src 'none'" in CONTENT_POLICY
    assert CONTENT_POLICY in Reader(html).values("content")


def test_command_on_the_page_prints_the_scores_on_the_page(tmp_path):
    lines = ["The dog barks at the cat.", "A man reads a book.", "It is late, we go home now."]
    other = ["A dog barks at the cat.", "The man reads books.", "It is late, we go."]
    found = analyse(
        Task(source=None, references=[other], hypotheses=lines, baseline=None, target="en")
    )
    page = read(metrics=found.metrics, comparison=[])
    command = next(text for text in page.texts if text.startswith("sacrebleu "))
    (tmp_path / "hypotheses.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "references.txt").write_text("\n".join(other) + "\n")

    printed = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    scores = {f"{each['score']:.2f}" for each in json.loads(printed)}
    assert len(scores) == 3
    assert scores <= set(page.text.split())


def test_no_command_is_given_that_would_print_something_else():
    found = report().metrics[0]
    two = found.model_copy(update={"signature": "nrefs:2|name:bleu"})
    words = found.model_copy(update={"metric": "chrf++"})

    assert "sacrebleu" not in read(metrics=[two], comparison=[]).text
    assert "sacrebleu" not in read(metrics=[words], comparison=[]).text
