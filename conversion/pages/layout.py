"""What all pages have in common: their templates, addresses, static files and headers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from conversion.pages import words

FOLDER: Final = Path(__file__).parent
STATIC: Final = {
    "charts.css": "text/css; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
}
"""The static files that are served, and their media types."""
HASH_DIGITS: Final = 12

HEADERS: Final = {
    # No inline script or style, nothing from elsewhere, in no frame.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers would then send forms without the origin that they come from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Sent with every page and static file."""
NOT_STORED: Final = {"Cache-Control": "no-store"}
"""Sent with every page that shows data, and with every answer to a login."""


@dataclass(frozen=True)
class StaticFile:
    """A file that pages link to.

    Attributes
    ----------
    content
        Its bytes.
    media_type
        Its ``Content-Type``.
    hash
        Changes with its content.
    """

    content: bytes
    media_type: str
    hash: str


@cache
def static_file(name: str) -> StaticFile:
    """Read one of the files of `STATIC`, once a process."""
    content = (FOLDER / "static" / name).read_bytes()
    return StaticFile(content, STATIC[name], sha256(content).hexdigest()[:HASH_DIGITS])


def embedded_styles() -> Markup:
    """Return the styles of a page that is one file, without links to others."""
    files = (FOLDER / "static" / name for name in ("charts.css", "report.css"))
    return Markup("").join(Markup(each.read_text(encoding="utf-8")) for each in files)  # noqa: S704 (our own)


@dataclass(frozen=True)
class Site:
    """Where the pages are.

    Attributes
    ----------
    prefix
        ``serve.root_path`` of params.yaml.
    signs_out
        Whether visitors have signed in, and can sign out.
    """

    prefix: str
    signs_out: bool = False

    def to(self, path: str, **query: Any) -> str:
        """Return the address of a path of the service, with a query of what is not None."""
        given = {name: value for name, value in query.items() if value is not None}
        return f"{self.prefix}{path}{'?' if given else ''}{urlencode(given)}"

    def company(self, company_id: int | str) -> str:
        """Return the address of a company's page."""
        return f"{self.prefix}{company_path(company_id)}"

    def asset(self, name: str) -> str:
        """Return the address of a static file, which changes with its content."""
        return self.to(f"/static/{name}", v=static_file(name).hash)


def company_path(company_id: int | str) -> str:
    """Return the path of a company's page.

    Browsers take the ids ``.`` and ``..`` out of paths, so these two stand in the query.

    Examples
    --------
    >>> company_path(7), company_path("a/b c"), company_path("..")
    ('/companies/7', '/companies/a%2Fb%20c', '/companies/?id=..')
    """
    text = str(company_id)
    return f"/companies/?id={text}" if text in {".", ".."} else f"/companies/{quote(text, safe='')}"


def amount(value: float | None) -> str:
    """Write an amount in a column of amounts: whole from 10 on, a dash if it is not known.

    Examples
    --------
    >>> amount(1234.6), amount(97.17), amount(3.14159)
    ('1,235', '97', '3.14')
    """
    if value is None:
        return words.UNKNOWN
    return f"{value:,.0f}" if abs(value) >= 10.0 else f"{value:,.2f}"


@cache
def environment() -> Environment:
    """Return the templates' environment; every value is escaped."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "percent": words.percent,
        "count": words.count,
        "money": words.money,
        "amount": amount,
        "day": words.long_day,
        "tier": words.tier_words,
        "sentence": lambda text: text if text.endswith((".", "!", "?")) else f"{text}.",
        "quoted": lambda value: quote(str(value), safe=""),
    }
    return made


def render(template: str, site: Site, **context: Any) -> str:
    """Render a page."""
    return environment().get_template(template).render(site=site, **context)
