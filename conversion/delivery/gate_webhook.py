"""Send the gate's verdict to a URL. What happens there changes no delivery."""

from __future__ import annotations

import http.client
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from conversion.config.gate_params import WebhookSettings

VARIABLE: Final = "CONVERSION_GATE_WEBHOOK"
log = logging.getLogger(__name__)


def notify(environment: Mapping[str, str], verdict: Mapping[str, Any], settings: WebhookSettings) -> bool:
    """Post the verdict as JSON to the URL that the environment names, if it names one.

    Parameters
    ----------
    environment
        Has the URL in `VARIABLE`. It may hold a secret, so that logs name only its host.
    verdict
        JSON-ready.
    settings
        Timeout and number of attempts.

    Returns
    -------
    bool
        Whether it was accepted; a failure is logged as a warning.
    """
    url = environment.get(VARIABLE, "").strip()
    if not url:
        return False
    host = _host(url)
    if host is None:
        log.warning("%s: should be a URL like https://example.com/hook; the verdict was not sent", VARIABLE)
        return False
    request = urllib.request.Request(  # noqa: S310 - only http and https pass `_host`
        url,
        data=json.dumps(dict(verdict), allow_nan=False).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    reason = ""
    for _ in range(settings.attempts):
        try:
            with urllib.request.urlopen(request, timeout=settings.timeout_seconds):  # noqa: S310
                log.info("verdict sent", extra={"webhook": host})
                return True
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = _reason(error)
    log.warning(
        "the webhook did not take the verdict; the delivery goes on as decided",
        extra={"webhook": host, "attempts": settings.attempts, "reason": reason},
    )
    return False


def _host(url: str) -> str | None:
    """Return the host of an http or https URL; None of anything else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.hostname if parts.scheme in {"http", "https"} else None


def _reason(error: Exception) -> str:
    """Return why an attempt failed, without the URL."""
    if isinstance(error, urllib.error.HTTPError):
        return f"it answered {error.code}"
    cause = getattr(error, "reason", error)
    return "it did not answer in time" if isinstance(cause, TimeoutError) else type(cause).__name__
