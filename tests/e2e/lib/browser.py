"""Debian's Chromium, without a window, steered through its own driver."""
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service as Driver

from .wait import SLOWER

# Nothing that goes out on its own: the browser talks to us and to nobody else.
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-dev-shm-usage", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-default-apps",
         "--window-size=1280,900")


def open_browser(profile, *flags):
    """A fresh browser with its profile in `profile`; the caller quits it. `flags` are further ones of its own.
    browser.console() gives what the page wrote to its console, errors included."""
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, *flags):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Driver("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(30 * SLOWER)
    driver.console = lambda: [f"{e['level']}: {e['message']}" for e in driver.get_log("browser")]
    return driver
