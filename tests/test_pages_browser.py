"""The pages as people use them: in a browser, on a phone, by keyboard, without JavaScript, in the dark."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect

from benchmarks.servers import free_port
from conversion.delivery.leavers import Leaver
from conversion.pages.layout import company_path
from conversion.serving.routes import http_api
from conversion.serving.state import ServiceState
from tests.browser import browser as chromium
from tests.browser import violations
from tests.lists import HOSTILE
from tests.records import record
from tests.scorecards import a_year, results_of
from tests.server import Server
from tests.serving import TOKEN, bentoml_stand_in, leads_of, projects_pipeline, small_pipeline, state_of

pytestmark = pytest.mark.slow

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


@contextlib.contextmanager
def served(state: ServiceState) -> Iterator[str]:
    """Serve a state in this process; return its address."""
    port = free_port()
    config = uvicorn.Config(http_api(state, bentoml_stand_in), port=port, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.started
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(state_of(projects_pipeline(), track_record=record())) as url:
        yield url


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    with served(state_of(projects_pipeline(), token=TOKEN, track_record=record())) as url:
        yield url


@pytest.fixture(scope="module")
def first() -> str:
    """The path of the first lead's page."""
    return company_path(projects_pipeline().leads["id"].iloc[0])


@contextlib.contextmanager
def context(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    made = browser.new_context(**{"viewport": DESK, "reduced_motion": "reduce"} | options)
    made.set_default_timeout(20_000)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page whose console must stay empty: of errors, and of what the policy for content forbids."""
    with context(browser) as made:
        opened = made.new_page()
        said: list[str] = []
        opened.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        opened.on("pageerror", lambda error: said.append(str(error)))
        yield opened
        wrong = [text for text in said if not text.startswith(("verbose", "info", "log"))]
        # A status that a test asks for is no fault of the page.
        assert [text for text in wrong if "Failed to load resource" not in text] == []


def ranks(page: Page) -> list[int]:
    return [int(text.replace(",", "")) for text in page.locator("td.rank").all_inner_texts()]


def names(page: Page) -> list[str]:
    return page.locator("th.who a").all_inner_texts()


# The list


def test_the_list_is_there(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_have_text("Who to call this week")
    assert ranks(page) == list(range(1, 51))
    assert page.locator("svg.spark").count() == 50
    page.get_by_role("link", name="Next", exact=True).click()
    expect(page.get_by_text("Page 2 of")).to_be_visible()
    assert ranks(page)[0] == 51


def test_search(page: Page, address: str) -> None:
    page.goto(address)
    name = names(page)[3]
    page.get_by_label("Search").fill(name.upper())
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("match")
    assert name in names(page)
    assert all(name.split()[0] in found for found in names(page))
    assert "tier=" not in page.url, "addresses without empty parameters"
    page.get_by_role("link", name="Clear").click()
    assert ranks(page) == list(range(1, 51))


def test_filter_and_sort(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_label("Owner").select_option("Ann")
    page.get_by_label("Sort by").select_option("Name")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_label("Owner")).to_have_value("Ann")
    assert set(page.locator("th.who .detail bdi").all_inner_texts()) == {"Ann"}
    found = [name.casefold() for name in names(page)]
    assert found == sorted(found)


def test_nothing_found(page: Page, address: str) -> None:
    page.goto(f"{address}/?q=nobody-at-all")
    expect(page.get_by_role("status")).to_have_text("No company matches.")
    page.get_by_role("link", name="Show the whole list").click()
    assert len(ranks(page)) == 50


def test_a_bad_address_says_what_is_wrong(page: Page, address: str) -> None:
    response = page.goto(f"{address}/?tier=top")
    assert response is not None
    assert response.status == 400
    expect(page.get_by_text("There is no tier “top”.")).to_be_visible()


def test_download(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(f"{address}/?by.owner=Ann")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download these as CSV").click()
    download.value.save_as(tmp_path / "leads.csv")
    assert re.fullmatch(r"leads-[\d-]{10}\.csv", download.value.suggested_filename)
    with (tmp_path / "leads.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert {row["owner"].strip() for row in rows} == {"Ann"}


# A list that went out

MOVED = "New on the call list: they do more (20 actions in four weeks, ten before)"


@pytest.fixture(scope="module")
def delivered() -> Iterator[str]:
    """Serve a list that two reps share, with a sentence on what moved, who left, and a scorecard."""
    pipeline = projects_pipeline()
    leads = leads_of(pipeline)
    table = leads.leads.copy()
    on_list = pd.Series(range(len(table)), index=table.index) < 10
    table["rep"] = pd.Series(["Ann", "Bo"] * 5, dtype="str").reindex(table.index)
    table["moved"] = pd.Series([MOVED] * len(table), index=table.index, dtype="str").where(on_list)
    table["rank_before"] = table["rank"].shift(-20).where(on_list)
    table["probability_before"] = (table["probability"] / 2).where(on_list)
    files = dataclasses.replace(leads.files, leads=table)
    state = state_of(pipeline, leads=dataclasses.replace(leads, files=files), track_record=record())
    left = (
        Leaver("none", "x" * 200, 3, "Ann", "converted", "Became a customer on 23 April 2020"),
        Leaver(table["id"].iloc[12], None, 9, "Bo", "cooled", "Quiet in the last two weeks"),
    )
    with served(dataclasses.replace(state, left=left, scorecard=results_of(*a_year()))) as url:
        yield url


def test_a_rep_finds_their_calls_and_what_moved(page: Page, delivered: str) -> None:
    page.goto(delivered)
    expect(page.get_by_role("columnheader", name="Since the last list")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Who calls")).to_be_visible()
    expect(page.locator("td.moved").first).to_contain_text(
        "They do more (20 actions in four weeks, ten before)"
    )
    page.get_by_label("Rep").select_option("Ann")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("status")).to_contain_text("5 of")
    assert ranks(page) == [1, 3, 5, 7, 9]
    assert set(page.locator("td.rep bdi").all_inner_texts()) == {"Ann"}
    page.locator("th.who a").first.click()
    expect(page.get_by_text(MOVED)).to_be_visible()
    expect(page.get_by_text("Who calls")).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False])
def test_who_left_opens_with_and_without_javascript(
    browser: Browser, delivered: str, javascript: bool
) -> None:
    with context(browser, java_script_enabled=javascript, viewport=PHONE) as made:
        page = made.new_page()
        page.goto(delivered)
        quiet = page.get_by_text("Quiet in the last two weeks.")
        expect(quiet).to_be_hidden()
        summary = page.locator("summary", has_text="Left the call list since the last one: 2 companies")
        expect(summary).to_contain_text("1 became a customer and 1 is no longer at the top")
        summary.focus()
        page.keyboard.press("Enter")
        expect(quiet).to_be_visible()
        assert page.locator("details.gone a").count() == 1, "a customer is not on the list"
        page.goto(f"{delivered}/?by.rep=Bo")
        expect(page.locator("summary")).to_contain_text("1 company")
        page.locator("summary").click()
        page.locator("details.gone a").click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_the_scorecard_has_its_line_and_its_section(page: Page, delivered: str) -> None:
    line = results_of(*a_year()).line
    page.goto(delivered)
    expect(page.get_by_text(line)).to_be_visible()
    page.get_by_role("link", name="How good is it?").first.click()
    page.get_by_role("link", name="Lists that went out").click()
    section = page.get_by_role("region", name="Lists that went out")
    expect(section.get_by_text(line)).to_be_visible()
    expect(section.get_by_role("row")).to_have_count(13)  # the titles, and twelve lists


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_list_that_went_out(
    browser: Browser, delivered: str, first: str, scheme: Any, viewport: Any
) -> None:
    with context(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as made:
        page = made.new_page()
        for path in ("/", "/?by.rep=Ann", first, "/model"):
            page.goto(delivered + path)
            for each in page.locator("summary").all():
                each.click()
            assert violations(page) == [], path
            assert not wider_than_the_screen(page), path


# A company


def test_a_company_opens(page: Page, address: str) -> None:
    page.goto(address)
    name = names(page)[0]
    page.get_by_role("link", name=name, exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_role("heading", name="How the score comes about")).to_be_visible()
    page.get_by_text("The numbers").first.click()
    expect(page.get_by_role("cell").first).to_be_visible()
    page.get_by_role("link", name="This week").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Who to call this week")


def what_if(page: Page) -> str:
    """Let a company do much more, and return what is told."""
    page.get_by_label("Projects: actions").fill("400")
    page.get_by_label("Projects: people").fill("9")
    page.get_by_label("Plan").select_option("business")
    page.get_by_role("button", name="Show what changes").click()
    result = page.locator("[data-result]")
    expect(result.locator(".big")).to_be_visible()
    return result.inner_text()


def test_what_if_says_the_same_with_and_without_javascript(
    browser: Browser, page: Page, address: str, first: str
) -> None:
    page.goto(address + first)
    loaded = page.url
    told = what_if(page)
    assert page.url == loaded, "no page was loaded"
    assert "points" in told
    with context(browser, java_script_enabled=False) as without:
        plain = without.new_page()
        plain.goto(address + first)
        assert " ".join(what_if(plain).split()) == " ".join(told.split())


def test_what_if_tells_what_the_api_refuses(page: Page, address: str, first: str) -> None:
    page.goto(address + first)
    page.get_by_label("Projects: actions").fill("1")
    page.get_by_label("Projects: people").fill("9")
    page.get_by_role("button", name="Show what changes").click()
    expect(page.locator(".refusal")).to_contain_text("allowed is at most projects_actions, which is 1")
    page.get_by_role("button", name="Start again").click()
    expect(page.locator(".refusal")).to_have_count(0)


# Hostile names


@pytest.fixture(scope="module")
def hostile() -> Iterator[str]:
    leads = leads_of(projects_pipeline())
    count = len(HOSTILE)
    table = leads.leads.copy()
    for column in ("name", "owner", "country", "reason_1", "caution"):
        table[column] = [*HOSTILE, *table[column].iloc[count:]]
    table["id"] = [*HOSTILE[:-1], "x" * 200, *table["id"].iloc[count:]]
    files = dataclasses.replace(leads.files, leads=table)
    with served(state_of(projects_pipeline(), leads=dataclasses.replace(leads, files=files))) as url:
        yield url


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_hostile_names_are_harmless(page: Page, hostile: str, viewport: Any) -> None:
    page.set_viewport_size(viewport)
    page.on("dialog", lambda _: pytest.fail("a script ran"))
    page.goto(hostile)
    assert names(page)[: len(HOSTILE)] == list(HOSTILE)
    assert page.locator("main img, main script, main iframe").count() == 0
    assert not wider_than_the_screen(page)
    for place, name in enumerate(HOSTILE):
        page.goto(hostile)
        page.locator("th.who a").nth(place).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        assert not wider_than_the_screen(page)


# Phones, keyboards, no JavaScript, light and dark


def wider_than_the_screen(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def pages_of(first: str) -> tuple[str, ...]:
    return ("/", "/?q=nobody", "/?tier=top", first, "/model", "/companies/none")


def test_on_a_phone_nothing_is_beside_the_screen(browser: Browser, address: str, first: str) -> None:
    with context(browser, viewport=PHONE, has_touch=True, is_mobile=True) as phone:
        page = phone.new_page()
        for path in pages_of(first):
            page.goto(address + path)
            assert not wider_than_the_screen(page), path


def test_by_keyboard(page: Page, address: str) -> None:
    page.goto(address)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    assert skip.bounding_box()["x"] >= 0  # type: ignore[index]  # it is there
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    reached: list[str] = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.innerText"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", reached
    assert {"q", "tier", "by.owner", "sort", "Show"} <= set(reached)
    page.get_by_label("Owner").focus()
    before = page.url
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(200)
    assert page.url == before, "an arrow key loads no page"


def test_without_javascript_all_can_be_read(browser: Browser, address: str, first: str) -> None:
    with context(browser, java_script_enabled=False) as without:
        page = without.new_page()
        page.goto(address)
        page.get_by_label("Owner").select_option("Ann")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("status")).to_contain_text("match")
        page.goto(address + first)
        page.get_by_text("The numbers").first.click()
        expect(page.get_by_role("cell").first).to_be_visible()
        page.goto(f"{address}/model")
        expect(page.get_by_role("heading", level=1)).to_have_text("How good is it?")


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    browser: Browser, address: str, guarded: str, first: str, scheme: Any, viewport: Any
) -> None:
    with context(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as made:
        page = made.new_page()
        for url in (*(address + path for path in pages_of(first)), f"{guarded}/login"):
            page.goto(url)
            assert violations(page) == [], url
        page.goto(address + first)
        what_if(page)
        assert violations(page) == []


def test_axe_finds_nothing_without_names_and_a_past(browser: Browser) -> None:
    state = state_of(small_pipeline())
    path = company_path(int(small_pipeline().leads["id"].iloc[0]))
    with served(state) as url, context(browser, bypass_csp=True) as made:
        page = made.new_page()
        for each in ("/", path, "/model"):
            page.goto(url + each)
            assert violations(page) == [], each


# Login


def test_login(page: Page, guarded: str, first: str) -> None:
    page.goto(guarded + first)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.get_by_label("Access token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This is not the access token.")
    page.get_by_label("Access token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="What if?")).to_be_visible()
    assert page.url == guarded + first
    assert page.evaluate("document.cookie") == "", "scripts do not see it"
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert TOKEN not in cookie["value"]
    assert "points" in what_if(page), "the cookie is enough for the API"
    page.get_by_role("button", name="Sign out").click()
    page.goto(guarded)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_what_if_after_the_login_has_ended(page: Page, guarded: str, first: str) -> None:
    page.goto(f"{guarded}/login")
    page.get_by_label("Access token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    page.goto(guarded + first)
    page.context.clear_cookies()
    page.get_by_role("button", name="Show what changes").click()
    expect(page.locator(".refusal")).to_have_text("You are no longer signed in. Load the page again.")


# As it is served


def test_bentoml_serves_the_pages(
    served_projects: Path, page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Server(
        served_projects, tmp_path_factory.mktemp("home"), env={"CONVERSION_API_TOKEN": TOKEN}
    ) as server:
        page.goto(server.url)
        page.get_by_label("Access token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Who to call this week")
        page.locator("th.who a").first.click()
        assert "from" in what_if(page)
        page.get_by_role("link", name="How good is it?").click()
        expect(page.get_by_role("heading", name="Lists of the past", level=2)).to_be_visible()
