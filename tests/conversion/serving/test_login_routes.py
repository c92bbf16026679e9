"""Signing in and out over HTTP: who sees the pages, and what another site cannot do."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote, urlencode

import httpx
import pytest

from conversion.pages.layout import company_path
from conversion.serving import login
from tests.pipeline import Pipeline
from tests.records import record
from tests.serving import TOKEN, Client, first_id, page_of, projects_pipeline, state_of

FORM = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
DATA_PAGES = ("/", "/?tier=low", "/model", "/leads.csv", "/companies/1", "/companies/x%2Fy?set.plan=free")


@pytest.fixture(autouse=True)
def quick_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "FAILURE_SECONDS", 0.0)


@pytest.fixture(scope="module")
def guarded(pipeline: Pipeline) -> Client:
    return Client(state_of(pipeline, token=TOKEN, track_record=record()))


def signed_in(client: Client, token: str = TOKEN, **headers: str) -> httpx.Response:
    return client.request(
        "POST", "/login", content=urlencode({"token": token, "next": "/model"}), headers=FORM | headers
    )


def cookie_of(response: httpx.Response) -> dict[str, str]:
    return {"cookie": response.headers["set-cookie"].split(";")[0]}


@pytest.mark.parametrize("path", DATA_PAGES)
def test_without_a_login_no_page_shows_anything(guarded: Client, path: str) -> None:
    response = guarded.get(path)
    assert (response.status_code, response.content) == (303, b"")
    assert response.headers["location"].startswith("/login")
    assert response.headers["cache-control"] == "no-store"


def test_without_a_login_the_api_still_answers_401(guarded: Client) -> None:
    for path in ("/leads", "/leads/1", "/metrics", "/nowhere", "/companies"):
        assert guarded.get(path).status_code == 401
    assert guarded.request("POST", "/").status_code == 401


def test_the_login_page_shows_no_data(guarded: Client) -> None:
    text = page_of(guarded.get("/login?next=/model"))
    assert '<input type="hidden" name="next" value="/model">' in text
    assert "Sign out" not in text
    assert guarded.get("/static/page.css").status_code == 200


def test_a_login(guarded: Client) -> None:
    response = signed_in(guarded)
    assert (response.status_code, response.headers["location"]) == (303, "/model")
    given = response.headers["set-cookie"]
    assert TOKEN not in given
    for part in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in given
    headers = cookie_of(response)
    for path in ("/", "/model", company_path(first_id(guarded))):
        assert "Sign out" in page_of(guarded.get(path, headers=headers))
    assert guarded.get("/leads", headers=headers).status_code == 200
    assert guarded.get("/login?next=/model", headers=headers).headers["location"] == "/model"


def test_a_page_can_be_had_with_the_bearer_token_too(guarded: Client) -> None:
    page_of(guarded.get("/", headers={"authorization": f"Bearer {TOKEN}"}))


def test_a_logout(guarded: Client) -> None:
    headers = cookie_of(signed_in(guarded)) | {"sec-fetch-site": "same-origin"}
    response = guarded.request("POST", "/logout", headers=headers)
    assert (response.status_code, response.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in response.headers["set-cookie"]
    elsewhere = guarded.request("POST", "/logout", headers=headers | {"sec-fetch-site": "cross-site"})
    assert "set-cookie" not in elsewhere.headers


def test_another_site_cannot_ask_the_api_with_the_cookie(guarded: Client) -> None:
    headers = {"content-type": "application/json"} | cookie_of(signed_in(guarded))
    body = json.dumps({"id": 1})
    for more, status in (
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://127.0.0.1:8000"}, 200),
        ({"sec-fetch-site": "cross-site"}, 401),
        ({"origin": "http://evil.example"}, 401),
        ({}, 401),
    ):
        assert (
            guarded.request("POST", "/predict/single", content=body, headers=headers | more).status_code
            == status
        )


def test_another_site_cannot_sign_a_visitor_in(guarded: Client) -> None:
    response = signed_in(guarded, **{"sec-fetch-site": "cross-site"})
    page_of(response, 403)
    assert "set-cookie" not in response.headers


def test_a_cookie_of_another_token_or_none_at_all(guarded: Client) -> None:
    for value in ("", "1.2", login.Sessions("other").value()):
        assert guarded.get("/", headers={"cookie": f"conversion_session={value}"}).status_code == 303


def test_wrong_tokens_are_counted_and_limited(pipeline: Pipeline) -> None:
    client = Client(state_of(pipeline, token=TOKEN))
    for _ in range(login.ATTEMPTS):
        assert "This is not the access token." in page_of(signed_in(client, "wrong"), 401)
    response = signed_in(client)
    assert "Too many wrong tokens." in page_of(response, 429)
    assert int(response.headers["retry-after"]) <= login.WINDOW_SECONDS + 1
    right = {"authorization": f"Bearer {TOKEN}"}
    assert client.get("/metrics", headers=right).status_code == 429, "a right token by any way has to wait"
    metrics = client.get("/metrics", address="10.0.0.2", headers=right).text
    assert f'conversion_rejected_total{{reason="login"}} {login.ATTEMPTS + 1}.0' in metrics


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        ("x" * (login.MAX_FORM_BYTES + 1), "application/x-www-form-urlencoded"),
        ('{"token": "x"}', "application/json"),
        ("token=x", "text/plain"),
    ],
)
def test_only_a_small_form_is_read(guarded: Client, content: str, media_type: str) -> None:
    page_of(
        guarded.request("POST", "/login", content=content, headers=FORM | {"content-type": media_type}), 413
    )


def test_the_cookie_is_secure_where_the_browser_speaks_https(guarded: Client) -> None:
    assert "Secure" not in signed_in(guarded).headers["set-cookie"]
    assert "Secure" in signed_in(guarded, **{"x-forwarded-proto": "https"}).headers["set-cookie"]


def test_a_login_never_leads_elsewhere(guarded: Client) -> None:
    content = urlencode({"token": TOKEN, "next": "//evil.example/"})
    assert guarded.request("POST", "/login", content=content, headers=FORM).headers["location"] == "/"


def test_the_login_leads_back_to_the_page_that_was_asked_for() -> None:
    client = Client(state_of(projects_pipeline(), token=TOKEN))
    for path in (company_path("a/b c%?"), company_path(".."), "/?q=a%26b&sort=name"):
        to_login = client.get(path).headers["location"]
        form = page_of(client.get(to_login))
        following = re.search(r'name="next" value="([^"]*)"', form)
        assert following is not None
        assert unquote(following[1]) == unquote(path)


def test_without_a_token_there_is_no_login(client: Client) -> None:
    assert client.get("/login").headers["location"] == "/"
    assert client.request("POST", "/login", content="", headers=FORM).headers["location"] == "/"
    assert "Sign out" not in client.get("/").text


# Behind a proxy


def test_all_links_keep_the_prefix(pipeline: Pipeline) -> None:
    client = Client(state_of(pipeline, token=TOKEN, track_record=record(), root_path="/crm"))
    response = client.request("POST", "/crm/login", content=urlencode({"token": TOKEN}), headers=FORM)
    assert response.headers["location"] == "/crm/"
    assert "Path=/crm" in response.headers["set-cookie"]
    assert client.get("/crm/model").headers["location"] == "/crm/login?next=%2Fmodel"
    for path in (
        "/",
        "/crm",
        "/crm/",
        "/crm/model",
        company_path(first_id(client)),
        "/companies/0",
        "/?tier=x",
    ):
        text = client.get(path, headers=cookie_of(response)).text
        links = re.findall(r'(?:href|src|action|data-lead|data-predict)="([^"]*)"', text)
        assert len(links) > 5
        assert all(link.startswith(("/crm/", "#", "data:,")) for link in links), links
