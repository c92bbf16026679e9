"""The ledger without a company: a delivery loses its row and keeps the count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from conversion.delivery.ledger import (
    COMPANIES,
    FEATURES,
    FOLDER,
    MANIFEST,
    Delivery,
    Forgotten,
    read_deliveries,
)
from conversion.forgetting.contents import without_company
from conversion.forgetting.wanted import Wanted
from conversion.runtime.files import verified_parquet, write_bytes, write_json
from conversion.runtime.seals import sealed, sha256_of

TOMBSTONES: Final = "_forgotten.json"
"""Beside the deliveries; readers of datasets skip names that begin with an underscore."""


@dataclass(frozen=True)
class ChangedDelivery:
    """A delivery that has the company, and what it is without it.

    Attributes
    ----------
    delivery
        As it stands.
    files
        New content of its tables, by name.
    manifest
        JSON-ready, without its seal.
    """

    delivery: Delivery
    files: dict[str, bytes]
    manifest: dict[str, Any]


def changed_deliveries(root: Path, wanted: Wanted) -> Iterator[ChangedDelivery]:
    """Find the deliveries that have the company, without changing them.

    Parameters
    ----------
    root
        The project's root.
    wanted
        The company.

    Yields
    ------
    ChangedDelivery
        In the order of the ledger.
    """
    for delivery in read_deliveries(root):
        files = {}
        for name in (COMPANIES, FEATURES):
            cleaned = without_company((delivery.folder / name).read_bytes(), wanted, name)
            if cleaned is not None and cleaned.content is not None:
                files[name] = cleaned.content
        if files:
            yield ChangedDelivery(delivery, files, _manifest(delivery, files, wanted))


def _manifest(delivery: Delivery, files: dict[str, bytes], wanted: Wanted) -> dict[str, Any]:
    """Return the manifest of a delivery with new files and the counts of what they lost.

    If this was stopped after the manifest was written and before the tables were, the manifest has the
    hashes of the new tables, and the counts already.
    """
    manifest = delivery.manifest
    content: dict[str, Any] = manifest.model_dump(mode="json")
    content["files"] |= {name: sha256_of(data) for name, data in files.items()}
    if COMPANIES in files and content["files"] != manifest.files:
        counts = _counts((delivery.folder / COMPANIES).read_bytes(), wanted)
        counts.update({(each.status, each.tier): each.companies for each in manifest.forgotten})
        content["forgotten"] = [
            Forgotten(status=status, tier=tier, companies=number).model_dump()
            for (status, tier), number in sorted(counts.items())
        ]
    return content


def _counts(companies: bytes, wanted: Wanted) -> Counter[tuple[str, str]]:
    table = verified_parquet(BytesIO(companies), ["id", "status", "tier"])
    gone = table[[wanted.is_in("id", each) for each in table["id"]]]
    return Counter(zip(gone["status"], gone["tier"], strict=True))


def write_delivery(changed: ChangedDelivery) -> None:
    """Write a delivery without the company: the manifest first, so that a repetition counts nothing twice."""
    folder = changed.delivery.folder
    write_json(folder / MANIFEST, sealed(changed.manifest))
    for name, content in changed.files.items():
        write_bytes(folder / name, content)


def write_tombstones(root: Path) -> None:
    """Write the counts of all deliveries that lost companies into one file; no file if none did."""
    lost = {
        f"{each.folder.parent.name}/{each.folder.name}": [
            count.model_dump() for count in each.manifest.forgotten
        ]
        for each in read_deliveries(root)
        if each.manifest.forgotten
    }
    if lost:
        write_json(root / FOLDER / TOMBSTONES, lost)
