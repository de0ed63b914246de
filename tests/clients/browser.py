"""A headless Chromium, and what a person does in it; without one, the tests are skipped."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.by import By  # noqa: E402  # what may be missing is asked for first
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

__all__ = [
    "AXE",
    "SHEETS",
    "Keys",
    "Page",
    "needs_axe",
    "needs_chromium",
    "start_browser",
]

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
AXE = Path(__file__).parent / "npm" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_SECONDS = 60
SHEETS = {"desktop": (1200, 900), "phone": (390, 844)}

needs_chromium = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"
)
needs_axe = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed")


def start_browser(folder: Path) -> webdriver.Chrome:
    """Start a Chromium that keeps everything in a folder; its downloads are in `downloads`."""
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={folder / 'chromium'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    downloads = folder / "downloads"
    downloads.mkdir()
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.downloads = downloads
    return driver


class Page:
    """The page as a person has it."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, fragment: str = "") -> None:
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/{fragment}")
        self.wait(lambda: self.all("#target option"))

    def one(self, selector: str):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def wait(self, condition: Callable[[], object]):
        return WebDriverWait(self.driver, WAIT_SECONDS).until(lambda _: condition())

    def choose(self, select: str, value: str) -> None:
        self.one(f"{select} option[value={value}]").click()

    def type(self, text: str) -> None:
        self.one("#text").send_keys(text)

    def translated(self) -> str:
        """Wait for a translation and return it."""
        return self.wait(lambda: not self.is_busy() and self.one("#result").text)

    def is_busy(self) -> bool:
        return self.one("#translation").get_attribute("aria-busy") is not None

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def complaints(self) -> list:
        return self.driver.get_log("browser")

    def hold_as(self, sheet: str) -> None:
        """Let the screen be of a size; windows of a browser cannot be as narrow as a phone."""
        width, height = SHEETS[sheet]
        screen = {"width": width, "height": height, "mobile": sheet == "phone"}
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", screen | {"deviceScaleFactor": 1}
        )

    def prefer(self, scheme: str) -> None:
        """Let the person like light or dark pages."""
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def let_go(self) -> None:
        """Take back the size of the screen and the liking."""
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def width(self) -> int:
        """Return how wide the content is."""
        return self.run("return document.documentElement.scrollWidth")

    def find_barriers(self) -> list:
        """Return what axe finds against WCAG 2.1 AA, with the elements."""
        self.run(AXE.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })"
            ".then((found) => done(found.violations))"
        )
        return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]
