"""The scorecard in a real browser: accessible on a phone and on a desk, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from conversion.pages.scorecard_page import scorecard_html
from tests.browser import browser, violations
from tests.scorecards import a_year, results_of

PHONE, DESK = 360, 1200


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def scorecard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scorecard") / "scorecard.html"
    lists, export, contacts = a_year()
    path.write_text(scorecard_html(results_of(lists, export, contacts)), encoding="utf-8")
    return path


def opened(chromium: Browser, path: Path, width: int, scheme: Literal["light", "dark"]) -> Page:
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    chromium: Browser, scorecard: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = opened(chromium, scorecard, width, scheme)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()
