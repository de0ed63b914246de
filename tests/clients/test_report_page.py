"""Reports of evaluations in headless Chromium: what they load, run and look like."""

import pytest

from service.evaluations.report_html import render_report
from tests.clients.browser import SHEETS, Page, needs_axe, needs_chromium
from tests.reports import nasty_report, report

pytestmark = [pytest.mark.browser, needs_chromium]

REPORTS = {
    "nasty": nasty_report(),
    "whole": report(warnings=["The references look tokenised."]),
    "alone": report(
        model=None, baseline=None, comparison=[], changed=[], performance=None, decode=None
    ),
}


@pytest.fixture
def page(driver, tmp_path):
    page = Page(driver, tmp_path.as_uri())
    yield page
    page.let_go()


def open_report(page: Page, folder, name: str) -> None:
    """Open a report as a file, as one who was sent it."""
    (folder / "report.html").write_text(render_report(REPORTS[name]), encoding="utf-8")
    page.driver.get(f"{page.url}/report.html")


def test_report_runs_nothing_and_the_browser_finds_no_fault(page, tmp_path):
    open_report(page, tmp_path, "nasty")

    assert page.driver.title.endswith(", evaluated")
    assert page.complaints() == []


def test_style_is_let_in_by_the_policy(page, tmp_path):
    open_report(page, tmp_path, "whole")

    assert page.one(".card").value_of_css_property("border-radius") == "14px"


@pytest.mark.parametrize("sheet", SHEETS)
@pytest.mark.parametrize("name", REPORTS)
def test_nothing_stands_beside_the_window(page, tmp_path, name, sheet):
    page.hold_as(sheet)
    open_report(page, tmp_path, name)

    assert page.width() <= SHEETS[sheet][0]


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["whole", "alone"])
def test_report_meets_wcag_aa(page, tmp_path, name, scheme):
    page.prefer(scheme)
    open_report(page, tmp_path, name)

    assert page.find_barriers() == []


def test_marks_are_seen_in_black_and_white(page, tmp_path):
    open_report(page, tmp_path, "whole")

    styles = {mark.value_of_css_property("border-bottom-style") for mark in page.all("mark")}
    assert styles == {"solid", "dotted"}
