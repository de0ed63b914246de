"""What a person does in the tab of evaluations."""

from tests.clients.browser import Page


def open_tab(page: Page) -> None:
    page.open("#evaluations")
    page.wait(lambda: page.all("[name=test_set] option"))
    choose(page, "pair", "de-en")


def choose(page: Page, name: str, value: str) -> None:
    """Choose what has a value, or begins with it."""
    page.run(
        "const [name, value] = arguments;"
        "const select = document.querySelector(`select[name=${name}]`);"
        "select.value = [...select.options].find((each) => each.value.startsWith(value)).value;"
        "select.dispatchEvent(new Event('change', { bubbles: true }));",
        name,
        value,
    )


def offered(page: Page, name: str) -> list[str]:
    return [option.text for option in page.all(f"select[name={name}] option")]


def write(page: Page, field: str, lines: list[str]) -> None:
    page.run(
        "const field = document.getElementById(arguments[0]);"
        "field.value = arguments[1];"
        "field.dispatchEvent(new Event('input', { bubbles: true }));",
        field,
        "\n".join(lines),
    )


def begin(page: Page):
    """Press the button and return the row of the new evaluation."""
    before = len(page.all("#evaluation-jobs li"))
    page.one("#evaluation [name=submit]").click()
    page.wait(lambda: len(page.all("#evaluation-jobs li")) == before + 1)
    return page.one("#evaluation-jobs li")


def wait_until_done(page: Page, row) -> None:
    page.wait(lambda: row.get_attribute("class") == "done")


def open_report(page: Page, row) -> None:
    """Follow the link to the report and go to its tab."""
    row.find_element("css selector", ".report").click()
    page.wait(lambda: len(page.driver.window_handles) == 2)
    page.driver.switch_to.window(page.driver.window_handles[1])
    page.wait(lambda: page.all(".card"))


def close_report(page: Page) -> None:
    page.driver.close()
    page.driver.switch_to.window(page.driver.window_handles[0])
