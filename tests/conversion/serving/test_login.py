from __future__ import annotations

import re

import pytest
from starlette.datastructures import Headers

from conversion.serving import login
from conversion.serving.login import (
    Attempts,
    Sessions,
    cookie,
    is_same_origin,
    is_secure,
    login_form,
    next_page,
)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions("s3cret", clock)


# Cookies


def test_every_worker_knows_the_cookie_of_another(sessions: Sessions, clock: Clock) -> None:
    assert Sessions("s3cret", clock).is_good(sessions.value())


def test_the_cookie_of_another_token_is_none(sessions: Sessions, clock: Clock) -> None:
    assert not Sessions("s3cret2", clock).is_good(sessions.value())


def test_a_cookie_does_not_hold_the_token(sessions: Sessions) -> None:
    assert "s3cret" not in sessions.value()


def test_a_cookie_ends(sessions: Sessions, clock: Clock) -> None:
    value = sessions.value()
    clock.now += login.SESSION_SECONDS - 1
    assert sessions.is_good(value)
    clock.now += 1
    assert not sessions.is_good(value)


def test_nobody_can_make_a_cookie_last_longer(sessions: Sessions) -> None:
    expiry, _, signature = sessions.value().partition(".")
    assert not sessions.is_good(f"{int(expiry) + 1}.{signature}")
    assert not sessions.is_good(f"0{expiry}.{signature}")


@pytest.mark.parametrize(
    "value", ["", ".", "1", "1.", "x.y", "9" * 40 + "." + "0" * 64, "1." + "é" * 64, "1." + "0" * 64]
)
def test_other_texts_are_no_cookie(sessions: Sessions, value: str) -> None:
    assert not sessions.is_good(value)


def test_the_cookie_is_found_among_others(sessions: Sessions) -> None:
    value = sessions.value()
    for header in (f"conversion_session={value}", f"a=b; conversion_session={value};c=d"):
        assert sessions.signed_in(Headers({"cookie": header}))
    assert not sessions.signed_in(Headers({"cookie": f"xconversion_session={value}"}))
    assert not sessions.signed_in(Headers({}))


def test_what_browsers_may_do_with_the_cookie() -> None:
    parts = set(cookie("v", "/crm", is_secure=True).split("; "))
    assert parts == {
        "conversion_session=v",
        "HttpOnly",
        "Max-Age=43200",
        "Path=/crm",
        "SameSite=Strict",
        "Secure",
    }
    assert "Secure" not in cookie("v", "", is_secure=False)
    assert "Path=/;" in f"{cookie('v', '', is_secure=False)};"
    assert "Max-Age=0" in cookie("", "", is_secure=False)


@pytest.mark.parametrize(
    ("scheme", "forwarded", "secure"),
    [("https", None, True), ("http", None, False), ("http", "https", True), ("http", "https, http", True)],
)
def test_https_may_end_at_a_proxy(scheme: str, forwarded: str | None, secure: bool) -> None:
    headers = Headers({} if forwarded is None else {"x-forwarded-proto": forwarded})
    assert is_secure(scheme, headers) is secure


def test_the_token_is_compared_byte_by_byte(sessions: Sessions) -> None:
    assert sessions.is_token(b"s3cret")
    assert not sessions.is_token(b"s3cret ")
    assert not sessions.is_token(b"")
    assert Sessions("Schl\udcfcssel").is_token(b"Schl\xfcssel")


# Where a request comes from


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://host"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "http://host:8000"}, True),
        ({"origin": "http://HOST:8000"}, True),
        ({"origin": "https://crm.example", "x-forwarded-host": "crm.example"}, True),
        ({"origin": "http://host"}, False),
        ({"origin": "http://host:8000.evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"origin": "http://["}, False),
        ({}, False),
    ],
)
def test_a_request_of_the_pages_themselves(headers: dict[str, str], same: bool) -> None:
    assert is_same_origin(Headers({"host": "host:8000"} | headers)) is same


# Where a login leads


@pytest.mark.parametrize(
    "page", ["/", "/model", "/companies/5", "/companies/a%2Fb?set.x=1", "/?q=a+b&page=2"]
)
def test_a_login_leads_back(page: str) -> None:
    assert next_page(page) == page


@pytest.mark.parametrize(
    "page",
    [
        "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "/\t/evil.example",
        "/login", "/predict", "javascript:alert(1)", "evil", " /", "", "/model/../..//evil.example",
        "/ /evil.example", "/%2fevil.example",
    ],
)  # fmt: skip
def test_a_login_never_leads_elsewhere(page: str) -> None:
    assert next_page(page) == "/"


@pytest.mark.parametrize(
    "page",
    [
        "/companies/\r\nSet-Cookie: a=b",
        "/?\r\nx",
        "/companies/ü",
        "/companies/\u2028",
        "/companies/\udcff?\udc80",
    ],
)
def test_no_text_breaks_the_header(page: str) -> None:
    assert re.fullmatch(r"/[!-~]*", next_page(page))


def test_the_form() -> None:
    assert login_form(b"token=a%26b&next=%2Fmodel") == (b"a&b", "/model")
    assert login_form(b"token=%20pasted%0D%0A") == (b"pasted", "/")
    assert login_form(b"token=%FC") == (b"\xfc", "/")
    assert login_form(b"next=%2F%2Fevil.example") == (b"", "/")
    assert login_form(b"&".join([b"a=b"] * 100)) == (b"", "/")
    assert login_form(b"\xff\xfe") == (b"", "/")
    assert login_form(b"next=/companies/%FF") == (b"", "/companies/%FF")


# Guesses


def test_after_some_wrong_tokens_an_address_must_wait(clock: Clock) -> None:
    attempts = Attempts(clock)
    for _ in range(login.ATTEMPTS):
        assert attempts.wait_of("a") == 0
        attempts.count("a")
    assert attempts.wait_of("a") == login.WINDOW_SECONDS + 1
    assert attempts.wait_of("b") == 0
    clock.now += login.WINDOW_SECONDS / 2
    assert 0 < attempts.wait_of("a") <= login.WINDOW_SECONDS / 2 + 1
    clock.now += login.WINDOW_SECONDS / 2
    assert attempts.wait_of("a") == 0


def test_a_million_addresses_take_no_more_memory_than_some(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "MAX_ADDRESSES", 3)
    attempts = Attempts(clock)
    for address in range(10):
        attempts.count(str(address))
    assert len(attempts._failed) == 3
