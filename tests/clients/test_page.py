"""The page in headless Chromium: what people click, type, drop and read.

The model knows nothing, so its words are noise; where they stand and what they do is not.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from service.keyring import new_key
from service.store import Allowance, Store
from service.store import Keys as StoredKeys
from tests.clients.browser import SHEETS, Keys, Page, needs_axe, needs_chromium
from tests.clients.conftest import serving

TEXT = "Guten Morgen. Wie geht es dir?"

pytestmark = [pytest.mark.browser, needs_chromium]


@pytest.fixture
def page(driver, server) -> Iterator[Page]:
    driver.set_window_size(*SHEETS["desktop"])
    page = Page(driver, server)
    page.open()
    page.run("localStorage.clear(); sessionStorage.clear()")
    page.open()
    page.choose("#source", "de")
    page.choose("#target", "en")
    yield page
    page.let_go()
    assert page.complaints() == []


def test_text_is_translated_while_it_is_typed(page):
    page.type("Guten Morgen.")
    first = page.translated()
    page.type(" Wie geht es dir?")

    page.wait(lambda: len(page.all(".sentence")) == 2)
    assert page.translated() != first
    assert page.one("#length").text == f"{len(TEXT)} characters"
    assert "tiny/1" in page.one("#facts").text


def test_stale_request_is_given_up(page):
    page.run(
        """
        const real = fetch;
        window.signals = [];
        window.fetch = (path, options) => {
          if (String(path).endsWith("translate")) signals.push(options.signal);
          return real(path, options);
        };
        """
    )
    page.type("Guten")
    page.wait(lambda: page.run("return signals.length"))
    page.type(" Morgen")
    page.wait(lambda: page.run("return signals.length") >= 2)

    assert page.run("return signals[0].aborted") is True
    assert page.run("return signals.at(-1).aborted") is False


def test_word_shows_what_it_was_made_from(page):
    page.type(TEXT)
    page.translated()
    word = page.one(".sentence:last-of-type .word")

    page.run("arguments[0].dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))", word)

    marked = [mark.get_attribute("textContent") for mark in page.all("#mirror mark")]
    assert marked
    assert all(part in TEXT.partition(". ")[2] for part in marked)
    assert "pointed" in word.get_attribute("class")

    page.run("arguments[0].dispatchEvent(new PointerEvent('pointerleave'))", page.one("#result"))
    assert page.all("#mirror mark") == []


def test_source_is_marked_where_characters_take_two_units(page):
    page.run(
        "const text = document.getElementById('text');"
        "text.value = '🙂🙂 Guten Morgen.'; text.dispatchEvent(new Event('input'))"
    )
    page.translated()
    for word in page.all(".word"):
        script = "arguments[0].dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))"
        page.run(script, word)
        for mark in page.all("#mirror mark"):
            assert mark.get_attribute("textContent") in {"Guten", "Morgen", "."}


def test_other_translation_of_a_sentence_takes_its_place(page):
    page.type(TEXT)
    before = page.translated()
    sentence = page.all(".sentence")[1]
    sentence.send_keys(Keys.ENTER)
    choice = page.wait(lambda: page.all("#choices button"))[0]
    text = choice.get_attribute("textContent")
    choice.click()

    assert sentence.text == text
    assert page.one("#result").text == f"{page.all('.sentence')[0].text} {text}"
    assert page.one("#result").text != before
    assert page.all("#choices:popover-open") == []


def test_choices_are_walked_through_and_left_by_keys(page):
    page.type(TEXT)
    page.translated()
    page.all(".sentence")[0].send_keys(Keys.SPACE)
    buttons = page.wait(lambda: page.all("#choices button"))
    page.wait(lambda: page.driver.switch_to.active_element == buttons[0])
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    assert page.driver.switch_to.active_element == buttons[1 % len(buttons)]

    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.wait(lambda: not page.all("#choices:popover-open"))


def test_source_is_detected_and_languages_are_swapped(page):
    page.choose("#source", "auto")
    page.type("Ich sehe einen Hund und zwei Katzen.")
    result = page.translated()
    page.wait(lambda: "Detected German" in page.one("#detected").text)

    page.one("#swap").click()

    page.wait(lambda: page.one("#text").get_attribute("value") == result)
    assert page.one("#source").get_attribute("value") == "en"
    assert page.one("#target").get_attribute("value") == "de"


def test_failure_is_told_and_the_next_translation_takes_it_away(page):
    page.choose("#source", "de")
    page.run("document.getElementById('beam').append(new Option('99', '99'))")
    page.one(".options summary").click()
    page.choose("#beam", "'99'")
    page.type("Hallo")
    page.wait(lambda: "99 exceeds 16" in page.one("#failure").text)
    page.choose("#beam", "'4'")

    page.translated()
    assert not page.one("#failure").is_displayed()
    # the browser itself notes an answer of 400
    assert {entry["source"] for entry in page.complaints()} == {"network"}


def test_document_is_translated_with_progress_and_downloaded(page, tmp_path):
    document = tmp_path / "letter.txt"
    document.write_text("\n".join([TEXT] * 20), encoding="utf-8")

    page.one("#file").send_keys(str(document))

    page.wait(lambda: page.all("#jobs li.done"))
    page.one("#jobs li.done button").click()
    page.wait(lambda: list(page.driver.downloads.glob("*.txt")))
    (download,) = page.driver.downloads.glob("*.txt")
    assert len(download.read_text(encoding="utf-8").splitlines()) == 20
    page.all("#jobs button")[-1].click()
    page.wait(lambda: not page.all("#jobs li"))


def test_document_is_taken_where_it_is_dropped(page):
    page.run(
        """
        const files = new DataTransfer();
        files.items.add(new File(["Guten Morgen."], "note.txt", { type: "text/plain" }));
        for (const name of ["dragover", "drop"]) {
          dispatchEvent(new DragEvent(name, { dataTransfer: files, cancelable: true }));
        }
        """
    )
    page.wait(lambda: page.all("#jobs li.done"))
    assert "note.txt" in page.one("#jobs").text


def test_document_that_cannot_be_read_says_why(page, tmp_path):
    document = tmp_path / "letter.docx"
    document.write_bytes(b"no archive")
    page.one("#file").send_keys(str(document))

    page.wait(lambda: page.all("#jobs li.failed"))
    assert "letter.docx" in page.one("#jobs").text
    assert {entry["source"] for entry in page.complaints()} == {"network"}


def test_models_and_figures_are_on_a_tab_of_their_own(page):
    page.one("#tab-translate").send_keys(Keys.ARROW_RIGHT)

    page.wait(lambda: page.all("#models article"))
    assert not page.one("#view-translate").is_displayed()
    assert "tiny/1" in page.one("#models").text
    page.one("#models summary").click()
    page.wait(lambda: page.one(".card").text == "Tiny")
    page.wait(lambda: page.all("#figures polyline[points]"))

    page.open("#models")
    assert page.one("#view-models").is_displayed()


def test_key_is_asked_for_where_one_is_needed(driver, settings_with):
    settings = settings_with(keys="required")
    secret, record = new_key("page", ["translate"], Allowance(), datetime.now(UTC), None)
    StoredKeys(Store(settings.data)).add(record)
    with serving(settings) as url:
        page = Page(driver, url)
        page.open("#text=Guten Morgen.")
        page.wait(lambda: page.one("#access").is_displayed())
        page.one("#key").send_keys(secret, Keys.ENTER)
        assert page.translated()
        assert not page.one("#access").is_displayed()
    # the browser itself notes the answer of 401
    assert {entry["source"] for entry in page.complaints()} == {"network"}


@pytest.mark.parametrize("sheet", SHEETS)
@pytest.mark.parametrize("view", ["#text=Guten Morgen.", "#models"])
def test_nothing_stands_beside_the_window(page, sheet, view):
    page.hold_as(sheet)
    page.open(view)
    if view == "#models":
        page.wait(lambda: page.all("#models article"))
    else:
        page.translated()

    assert page.width() <= SHEETS[sheet][0]


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["#text=Guten Morgen. Wie geht es dir?", "#models"])
def test_page_meets_wcag_aa(page, scheme, view):
    page.prefer(scheme)
    page.open(view)
    if view == "#models":
        page.wait(lambda: page.all("#models article"))
        page.one("#models summary").click()
        page.wait(lambda: page.one(".card").text)
    else:
        page.translated()
        page.one(".options summary").click()

    assert page.find_barriers() == []
