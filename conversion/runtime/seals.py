"""JSON files with a hash of their own content and, given a key, a signature."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from conversion.runtime.errors import ArtifactError

HASH: Final = "sha256"
SIGNATURE: Final = "hmac_sha256"


def sha256_of(content: bytes) -> str:
    """Hash bytes."""
    return hashlib.sha256(content).hexdigest()


def sealed(value: Mapping[str, Any], key: bytes | None = None) -> dict[str, Any]:
    """Add the hash of a JSON object's content to it.

    Parameters
    ----------
    value
        A JSON-ready object without the two added keys.
    key
        The key to sign the content with; None: no signature.

    Returns
    -------
    dict
        ``value``, ``sha256`` and, with a key, ``hmac_sha256``.

    Examples
    --------
    >>> sealed({"answer": 42})["sha256"][:12]
    'ecf59a2696ca'
    """
    content = _canonical(value)
    seals = {HASH: sha256_of(content)}
    if key is not None:
        seals[SIGNATURE] = _signature(content, key)
    return dict(value) | seals


def unsealed(value: Any, where: str, remedy: str, key: bytes | None = None) -> dict[str, Any]:
    """Check that the content of a JSON object is the sealed one.

    The hash shows an accidental change or an edit by hand; anyone can compute it again. The signature needs
    the key.

    Parameters
    ----------
    value
        The content of a file, which should be a result of `sealed`.
    where, remedy
        The file and the advice in the error.
    key
        The key it must be signed with; None: the signature is not checked.

    Returns
    -------
    dict
        ``value`` without hash and signature.

    Raises
    ------
    ArtifactError
        The content was changed, or is not signed with the key.
    """
    if not isinstance(value, dict) or HASH not in value:
        raise ArtifactError(
            f"{where}: has no {HASH} of its own content: it was edited, or another version wrote it; {remedy}"
        )
    content = {name: item for name, item in value.items() if name not in (HASH, SIGNATURE)}
    written = _canonical(content)
    if value.get(HASH) != sha256_of(written):
        raise ArtifactError(f"{where}: its content is not what its own {HASH} says: it was edited; {remedy}")
    if key is not None:
        given = value.get(SIGNATURE)
        if given is None:
            raise ArtifactError(f"{where}: is not signed, though there is a key; {remedy} with that key")
        if not isinstance(given, str) or not hmac.compare_digest(
            given.encode(), _signature(written, key).encode()
        ):
            raise ArtifactError(f"{where}: is not signed with this key; {remedy} with that key")
    return content


def _signature(content: bytes, key: bytes) -> str:
    return hmac.new(key, content, hashlib.sha256).hexdigest()


def _canonical(value: Mapping[str, Any]) -> bytes:
    """Write JSON in one form, whatever the order of keys and the spaces in the file."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
