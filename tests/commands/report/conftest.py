"""A browser for the pages: Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_NEEDED = "FUNREASON_SLOW needs Playwright and Chromium (Debian: apt install chromium)"
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless browser; with FUNREASON_SLOW set, one that is missing fails the test.

    A module's alone: Playwright keeps an event loop running in this thread, where other tests need their own.
    """
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        assert not os.environ.get("FUNREASON_SLOW"), _NEEDED
        pytest.skip("no Chromium with Playwright here; FUNREASON_SLOW demands them")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


Visit = Callable[..., Any]


@pytest.fixture
def visit(chromium: Any) -> Iterator[Visit]:
    """Opens a page as a person would; at the end no error and no request may have happened."""
    troubles: list[str] = []
    contexts = []

    def open_page(
        page: Path | str, address: str = "", width: int = 1280, scheme: str = "light", asks: bool = False
    ) -> Any:
        height = 844 if width < 600 else 900
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        tab = context.new_page()
        url = page.as_uri() if isinstance(page, Path) else page
        tab.on(
            "console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None
        )
        tab.on("pageerror", lambda error: troubles.append(str(error)))
        if not asks:
            tab.on("request", lambda request: _note(request.url, url, troubles))
        tab.set_default_timeout(30_000)
        tab.goto(url + address)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def _note(asked: str, page: str, troubles: list[str]) -> None:
    if asked.partition("#")[0] != page:
        troubles.append(f"the page asked for {asked[:100]}")


@contextmanager
def counted(tab: Any, text: str) -> Iterator[None]:
    """Waits until the list says how many entries it shows."""
    yield
    tab.wait_for_function("text => document.querySelector('.status')?.textContent === text", arg=text)
