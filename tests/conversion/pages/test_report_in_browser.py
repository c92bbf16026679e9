"""The report in a real browser: accessible on a phone and on a desk, light and dark, whatever names hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from conversion.pages.report import report_html
from tests.browser import browser, violations
from tests.contract_files import projects
from tests.conversion.pages.test_report import projects_rows
from tests.records import lead_frame, record

PHONE, DESK = 360, 1200
SMALLEST_TEXT = 11.0


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    contract = projects()
    rows = [*projects_rows(), {"id": "long", "name": "x" * 300, "reason_1": "y" * 300}]
    path.write_text(report_html(lead_frame(contract, rows), 3, record(), contract), encoding="utf-8")
    return path


def opened(chromium: Browser, report: Path, width: int, scheme: Literal["light", "dark"]) -> Page:
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_axe_finds_nothing(
    chromium: Browser, report: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = opened(chromium, report, width, scheme)
    assert violations(page) == []
    page.context.close()


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_is_wider_than_the_screen(chromium: Browser, report: Path, width: int) -> None:
    page = opened(chromium, report, width, "light")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


def test_texts_of_charts_can_be_read_on_a_phone(chromium: Browser, report: Path) -> None:
    page = opened(chromium, report, PHONE, "light")
    sizes = page.evaluate(
        "[...document.querySelectorAll('svg text')].map(each => parseFloat(getComputedStyle(each).fontSize) "
        "* each.ownerSVGElement.getBoundingClientRect().width / each.ownerSVGElement.viewBox.baseVal.width)"
    )
    assert sizes
    assert min(sizes) >= SMALLEST_TEXT
    page.context.close()


def test_no_request_leaves_and_no_script_runs(chromium: Browser, report: Path) -> None:
    context = chromium.new_context()
    page = context.new_page()
    asked: list[str] = []
    dialogs: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(report.as_uri())
    assert asked == [report.as_uri()]
    assert dialogs == []
    context.close()


def test_it_can_be_printed(chromium: Browser, report: Path) -> None:
    page = opened(chromium, report, DESK, "light")
    page.emulate_media(media="print")
    assert not page.get_by_role("navigation").is_visible()
    assert page.get_by_role("heading", name="The list").is_visible()
    assert page.pdf().startswith(b"%PDF")
    page.context.close()
