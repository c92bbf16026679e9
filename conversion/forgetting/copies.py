"""Copies of deliveries without a company: each loses its rows, and its manifests get the new hashes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from conversion.delivery.copies import MANIFEST, copy_folders, manifest_bytes, names_in, write_into
from conversion.forgetting.contents import Cleaned, UnreadableError, is_searched, without_company
from conversion.forgetting.places import manifest_without
from conversion.forgetting.wanted import Wanted
from conversion.ingest.folders import Place, read_all
from conversion.leads.lead_files import FOLDER as LEADS
from conversion.leads.lead_files import MANIFEST as OF_LEADS
from conversion.runtime.errors import InputError
from conversion.runtime.seals import sha256_of

LEADS_MANIFEST: Final = f"{LEADS}/{OF_LEADS}"


@dataclass(frozen=True)
class ChangedCopy:
    """A copy of a delivery, and what it is without the company.

    Attributes
    ----------
    folder
        Of the copy.
    manifests
        New content of its manifests, by path from the folder; written before the files.
    files
        New content of its files that have the company, by path from the folder.
    unreadable
        Files that stay as they are, though they have the company or could not be read, and why.
    """

    folder: Place
    manifests: dict[str, bytes]
    files: dict[str, bytes]
    unreadable: tuple[tuple[Place, str], ...]


def changed_copies(copies: Place, wanted: Wanted) -> Iterator[ChangedCopy]:
    """Search the copies for a company, without changing them.

    Parameters
    ----------
    copies
        The folder of all, from `conversion.delivery.copies.copies_at`.
    wanted
        The company.

    Yields
    ------
    ChangedCopy
        One for each copy, also of those that do not have the company: they have no files then.

    Raises
    ------
    InputError, ExportError
        A manifest is none, or a copy cannot be reached. Nothing was changed then.
    """
    for folder in copy_folders(copies):
        cleaned: dict[str, Cleaned] = {}
        unreadable: list[tuple[Place, str]] = []
        names = names_in(folder)
        for name in names:
            if not is_searched(name) or name in (MANIFEST, LEADS_MANIFEST):
                continue
            try:
                found = without_company(read_all(folder / name), wanted, name)
            except UnreadableError as error:
                unreadable.append((folder / name, str(error)))
                continue
            if found is not None and found.content is None:
                unreadable.append((folder / name, "shows the company, and no delivery has such a file"))
            elif found is not None:
                cleaned[name] = found
        files = {name: found.content for name, found in cleaned.items() if found.content is not None}
        try:
            manifests = _manifests(folder, names, cleaned) if files else {}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{folder}: has the company, and a manifest that no copy has ({error!r}): remove the folder, "
                "or move it away and remove the company from it yourself; then run this again"
            ) from error
        yield ChangedCopy(folder, manifests, files, tuple(unreadable))


def _manifests(folder: Place, names: list[str], cleaned: dict[str, Cleaned]) -> dict[str, bytes]:
    """Return the manifests of a copy and of its lead list; one that is missing stays so."""
    made: dict[str, bytes] = {}
    of_leads = {
        name.removeprefix(f"{LEADS}/"): found
        for name, found in cleaned.items()
        if name.startswith(f"{LEADS}/")
    }
    if of_leads and LEADS_MANIFEST in names:
        changed = manifest_without(json.loads(read_all(folder / LEADS_MANIFEST)), of_leads)
        made[LEADS_MANIFEST] = (json.dumps(changed, indent=2, allow_nan=False) + "\n").encode()
    if MANIFEST in names:
        about = json.loads(read_all(folder / MANIFEST))
        contents = {name: each.content for name, each in cleaned.items() if each.content is not None} | made
        about["files"] |= {name: sha256_of(content) for name, content in contents.items()}
        made = {MANIFEST: manifest_bytes(about)} | made
    return made


def write_copy(changed: ChangedCopy) -> None:
    """Write a copy without the company: the manifests first, so that a repetition counts nothing twice."""
    for name, content in (changed.manifests | changed.files).items():
        write_into(changed.folder / name, content)
