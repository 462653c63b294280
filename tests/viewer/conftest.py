"""The system's Chromium without a network; tests that want it are skipped where it is absent."""

import shutil

import pytest

# As root a browser has no sandbox; without a graphics card it draws in software.
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PATIENCE_MS = 60_000  # a busy machine


@pytest.fixture(scope="session")
def chromium():
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium here")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """open_page(path, width=1000, dark=False) -> the page, which must have no faults."""
    faults, contexts = [], []

    def open_file(path, width=1000, dark=False):
        context = chromium.new_context(
            offline=True,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console", lambda line: line.type in ("error", "warning") and faults.append(line.text)
        )
        page.on(
            "request", lambda asked: faults.append(asked.url) if is_foreign(asked.url) else None
        )
        page.goto(path.resolve().as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert faults == []


def is_foreign(url):
    return not url.startswith(("file:", "data:", "blob:"))
