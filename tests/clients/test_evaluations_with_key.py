"""The tab of evaluations where a key is needed, in headless Chromium.

A module of its own: of two servers with jobs in one process, one would have the jobs of both.
"""

import pytest

from tests.clients.browser import Keys, Page, needs_chromium
from tests.clients.evaluation_tab import (
    begin,
    choose,
    close_report,
    open_report,
    wait_until_done,
    write,
)

pytestmark = [pytest.mark.browser, needs_chromium]


def test_report_opens_where_a_key_is_needed(driver, keyed_server):
    page = Page(driver, keyed_server.url)
    page.driver.get(f"{page.url}/#evaluations")
    page.wait(lambda: page.one("#access").is_displayed())
    page.one("#key").send_keys(keyed_server.make("translate", "evaluate"), Keys.ENTER)
    page.wait(lambda: page.all("[name=test_set] option"))
    choose(page, "pair", "de-en")
    write(page, "lines", ["Guten Morgen."])
    write(page, "reference", ["Good morning."])
    row = begin(page)
    wait_until_done(page, row)

    open_report(page, row)
    address, style = page.driver.current_url, page.one(".card").value_of_css_property("padding")
    close_report(page)
    assert address.startswith("blob:")
    assert style != "0px"
    # the browser itself notes the answers of 401
    assert {entry["source"] for entry in page.complaints()} <= {"network"}
