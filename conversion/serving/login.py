"""Signing in to the pages: a cookie that follows from the token, and how often one may guess.

The cookie has a moment of expiry and a signature by a key made of the token, so every worker can check it,
and it does not hold the token.
"""

from __future__ import annotations

import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

COOKIE: Final = "conversion_session"
SESSION_HOURS: Final = 12
SESSION_SECONDS: Final = SESSION_HOURS * 3600
MAX_FORM_BYTES: Final = 16_384
MAX_FIELDS: Final = 4
ATTEMPTS: Final = 5
"""Wrong tokens that an address may send in `WINDOW_SECONDS`."""
WINDOW_SECONDS: Final = 60.0
FAILURE_SECONDS: Final = 0.5
"""How long the answer to a wrong token takes at least."""
MAX_ADDRESSES: Final = 10_000
LIST: Final = "/"
PAGES: Final = (LIST, "/model", "/leads.csv")
COMPANIES: Final = "/companies/"
_VALUE: Final = re.compile(r"([0-9]{1,12})\.([0-9a-f]{64})", re.ASCII)

Clock = Callable[[], float]


def bytes_of(token: str) -> bytes:
    """Return a token as clients send it; a variable of the environment may have bytes that are not UTF-8."""
    return token.encode("utf-8", "surrogateescape")


class Sessions:
    """Makes and checks cookies.

    Parameters
    ----------
    token
        That clients must send.
    clock
        Seconds since 1970.
    """

    def __init__(self, token: str, clock: Clock = time.time) -> None:
        self._token = bytes_of(token)
        self._key = hmac.digest(self._token, b"conversion: cookies of the pages", "sha256")
        self._clock = clock

    def is_token(self, given: bytes) -> bool:
        """Return whether the token was given."""
        return hmac.compare_digest(given, self._token)

    def value(self) -> str:
        """Return a cookie's value that is good from now on."""
        expiry = str(int(self._clock()) + SESSION_SECONDS)
        return f"{expiry}.{self._signature(expiry)}"

    def is_good(self, value: str) -> bool:
        """Return whether a cookie's value was made here, or by another worker, and has not expired."""
        found = _VALUE.fullmatch(value)
        if found is None or not hmac.compare_digest(found[2], self._signature(found[1])):
            return False
        return self._clock() < int(found[1])

    def signed_in(self, headers: Headers) -> bool:
        """Return whether a request has a good cookie."""
        value = cookie_of(headers)
        return value is not None and self.is_good(value)

    def _signature(self, expiry: str) -> str:
        return hmac.new(self._key, expiry.encode("ascii"), "sha256").hexdigest()


def cookie_of(headers: Headers) -> str | None:
    """Return the value of the pages' cookie; None: the request has none."""
    for header in headers.getlist("cookie"):
        for part in header.split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE:
                return value
    return None


def cookie(value: str, path: str, is_secure: bool) -> str:
    """Write the header that sets the cookie; an empty value removes it."""
    made: SimpleCookie = SimpleCookie()
    made[COOKIE] = value
    made[COOKIE] |= {
        "path": path or "/",
        "max-age": SESSION_SECONDS if value else 0,
        "httponly": True,
        "samesite": "Strict",
    }
    if is_secure:
        made[COOKIE]["secure"] = True
    return made[COOKIE].OutputString()


def is_secure(scheme: str, headers: Headers) -> bool:
    """Return whether the browser speaks https, to the service or to the proxy in front."""
    forwarded = headers.get("x-forwarded-proto", "").split(",")[0].strip().lower()
    return (forwarded or scheme) == "https"


def is_same_origin(headers: Headers) -> bool:
    """Return whether a page of the service itself sent a request, as browsers say.

    Where they do not say it (`Sec-Fetch-Site` needs https or localhost), the page's origin must have the host
    that was asked, or the one that a proxy was asked.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    try:
        origin = urlsplit(headers.get("origin", "")).netloc.lower()
    except ValueError:
        return False
    hosts = {headers.get(name, "").lower() for name in ("host", "x-forwarded-host")}
    return origin != "" and origin in hosts


def is_page(path: str) -> bool:
    """Return whether a path is that of a page, which a browser shows."""
    return path in PAGES or path.startswith(COMPANIES)


def next_page(given: str) -> str:
    """Return the page to show after the login: the given one if it is a page of the service, else the list.

    Examples
    --------
    >>> next_page("/companies/5?id=1"), next_page("//elsewhere.example"), next_page("https://elsewhere.example")
    ('/companies/5?id=1', '/', '/')
    """
    path, mark, query = given.partition("?")
    if not is_page(path):
        return LIST
    return _quoted(path, "/%") + mark + _quoted(query, "/%=&+")


def _quoted(text: str, safe: str) -> str:
    return quote(bytes_of(text), safe=safe)  # a form may have bytes that are not UTF-8


def login_form(body: bytes) -> tuple[bytes, str]:
    """Read the token and the next page from a form; what is missing is empty.

    Examples
    --------
    >>> login_form(b"token=a+b&next=%2Fmodel")
    (b'a b', '/model')
    """
    try:
        fields = parse_qsl(
            body.decode("ascii", "replace"), keep_blank_values=True, errors="surrogateescape",
            max_num_fields=MAX_FIELDS,
        )  # fmt: skip
    except ValueError:  # too many fields
        return b"", LIST
    given = dict(fields)
    token = given.get("token", "").strip(" \t\r\n")  # as it is when it was pasted
    return bytes_of(token), next_page(given.get("next", LIST))


def address_of(scope: Scope) -> str:
    """Return the address that a request came from; empty: it is not known."""
    client = scope.get("client")
    return "" if client is None else str(client[0])


class Attempts:
    """Counts wrong tokens by address, of forms and headers alike, so that nobody can try many.

    Parameters
    ----------
    clock
        Seconds, from any start.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def wait_of(self, address: str) -> int:
        """Return how many seconds an address must wait before its next attempt; 0: none."""
        recent = self._recent(address)
        if len(recent) < ATTEMPTS:
            return 0
        return max(int(recent[0] + WINDOW_SECONDS - self._clock()) + 1, 1)

    def count(self, address: str) -> None:
        """Count a wrong token."""
        self._failed[address] = [*self._recent(address), self._clock()]
        self._failed.move_to_end(address)
        while len(self._failed) > MAX_ADDRESSES:
            self._failed.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since = self._clock() - WINDOW_SECONDS
        return [moment for moment in self._failed.get(address, []) if moment > since]
