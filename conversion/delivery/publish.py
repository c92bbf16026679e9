"""What the service and the reps read: the delivered list, under ``data/published/current``.

A publication is a folder laid out like the project: the model, the list and the track record that belong
together, and beside them a file for each rep. It is written under a temporary name, renamed, and then
``current``, a symbolic link, is replaced: readers see the old publication or the new one, never a mixture.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from conversion.config.params import Score
from conversion.delivery.ledger import COLUMNS, Delivery
from conversion.delivery.standing import standing
from conversion.leads.converted import ConvertedCompanies
from conversion.leads.lead_files import (
    DELIVERED_COLUMNS,
    EVIDENCE,
    FOLDER,
    USAGE,
    LeadFiles,
    RankedBlocks,
    Sources,
    write_lead_files,
)
from conversion.leads.lead_list import RankedLeads
from conversion.runtime.errors import OutputError
from conversion.runtime.files import copy_file, is_leftover, reading, sha256, writing

PUBLISHED: Final = "data/published"
CURRENT: Final = "current"
BEFORE: Final = ("rank_before", "probability_before")
COPIES: Final = (
    "models/model.joblib",
    "models/model.json",
    "data/track_record.json",
    "data/contract.json",
)
_AGAIN: Final = "_again="
_PUBLICATION: Final = re.compile(rf"as_of=.*_delivery=(\d+)({_AGAIN}\d+)?")


@dataclass(frozen=True)
class Publication:
    """What goes out.

    Attributes
    ----------
    delivery
        Of the ledger.
    files
        The project's lead list.
    facts
        The facts of its reasons, from `conversion.leads.lead_files.read_reason_facts`.
    score
        Of params.yaml.
    write_more
        Writes more files into the folder that it is given: those of reps and CRMs.
    """

    delivery: Delivery
    files: LeadFiles
    facts: pd.DataFrame
    score: Score
    write_more: Callable[[Path], None]


def publish(root: Path, publication: Publication) -> Path:
    """Write a publication and make it the current one.

    Parameters
    ----------
    root
        The project's root.
    publication
        What goes out.

    Returns
    -------
    pathlib.Path
        Its folder. If the delivery is published already, with the same files, that one. The publication
        before stays too; older ones are removed.
    """
    published, delivery = root / PUBLISHED, publication.delivery
    name = _name(delivery)
    temporary = published / f".{name}.{os.getpid()}.tmp"
    with writing(published / name):
        published.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(published)
        temporary.mkdir()
    try:
        _write(root, temporary, publication)
        with writing(published / name):
            target = _moved_into_place(temporary, published, name)
            before = current(root)
            _point_to(published, target)
            if before is not None and before.name != target.name:
                _remove_old(published, {target.name, before.name})
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def require_copies(root: Path) -> None:
    """Check that the files to copy are there, before anything is frozen.

    Raises
    ------
    InputError
        One is missing or cannot be read.
    """
    for name in COPIES:
        with reading(root / name), (root / name).open("rb"):
            pass


def current(root: Path) -> Path | None:
    """Return the folder of the current publication; None if nothing was published."""
    link = root / PUBLISHED / CURRENT
    return link.resolve() if link.is_dir() else None


def is_of(folder: Path, delivery: Delivery) -> bool:
    """Return whether a publication is of a delivery."""
    return folder.name.partition(_AGAIN)[0] == _name(delivery)


def number_of(folder: Path) -> int | None:
    """Return the number of the delivery that a publication is of; None: the folder is no publication."""
    found = _PUBLICATION.fullmatch(folder.name)
    return None if found is None else int(found[1])


def _name(delivery: Delivery) -> str:
    return f"as_of={delivery.as_of}_delivery={delivery.number}"


def _write(root: Path, folder: Path, publication: Publication) -> None:
    for name in COPIES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy_file(root / name, folder / name)
    _write_list(root, folder, publication, publication.delivery.companies())
    publication.write_more(folder)


def _write_list(root: Path, folder: Path, publication: Publication, companies: pd.DataFrame) -> None:
    """Write the lead list without those who must not be called, the call list first."""
    files, manifest = publication.files, publication.files.manifest
    order = standing(companies).dropna().astype("int64").sort_values().index
    rows = pd.Index(files.leads["id"]).get_indexer(order)
    leads, contributions, facts = (
        table.iloc[rows].reset_index(drop=True)
        for table in (files.leads, files.contributions, publication.facts)
    )
    delivered = _delivered(companies.set_index("id").loc[order].reset_index(), leads)
    leads = leads.drop(columns=["rep", "moved"]).assign(
        rank=np.arange(1, len(leads) + 1), **{name: delivered[name] for name in BEFORE}
    )
    about = {
        "as_of": manifest.as_of.isoformat(),
        "model_sha256": manifest.model_sha256,
        "inputs": dict(manifest.inputs),
    }
    calls = publication.score.model_copy(update={"top_n": max(int(delivered["place"].notna().sum()), 1)})
    write_lead_files(
        folder,
        RankedBlocks.of(RankedLeads(leads, contributions, facts, manifest.tier_cuts)),
        ConvertedCompanies(files.converted, files.converted_contributions),
        calls,
        Sources(root / FOLDER / USAGE, root / FOLDER / EVIDENCE),
        about,
        delivered,
    )


def _delivered(companies: pd.DataFrame, leads: pd.DataFrame) -> pd.DataFrame:
    """Return what the delivery knows of each lead.

    Where nothing went out before, a lead is compared with what this model would have said a week before.
    """
    delivered = companies[["id", *DELIVERED_COLUMNS]]
    if companies["rank_before"].isna().all():
        own = leads[list(BEFORE)].astype({name: COLUMNS[name] for name in BEFORE})
        return delivered.assign(**own)
    return delivered


def _moved_into_place(temporary: Path, published: Path, name: str) -> Path:
    """Rename a publication to its name; if one of other files has it, to the next one that is free."""
    wanted, again = published / name, 1
    hashes = _hashes(temporary)
    while wanted.is_dir():
        if _hashes(wanted) == hashes:
            return wanted
        again += 1
        wanted = published / f"{name}{_AGAIN}{again}"
    return temporary.rename(wanted)


def _hashes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*") if path.is_file()}


def _point_to(published: Path, target: Path) -> None:
    """Replace the link ``current``."""
    link = published / f".{CURRENT}.{os.getpid()}.tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(target.name, target_is_directory=True)
    try:
        link.replace(published / CURRENT)
    except IsADirectoryError as error:
        link.unlink()
        raise OutputError(
            f"{published / CURRENT}: is a folder, should be a link to what is published; move it away"
        ) from error


def _remove_leftovers(published: Path) -> None:
    """Remove what killed processes left."""
    for path in published.iterdir():
        if is_leftover(path):
            path.unlink() if path.is_symlink() else shutil.rmtree(path)


def _remove_old(published: Path, kept: set[str]) -> None:
    """Remove publications but for the kept ones; each is renamed first, so that none is there in part."""
    for path in published.iterdir():
        if path.name.startswith("as_of=") and path.name not in kept:
            path.rename(doomed := published / f".{path.name}.{os.getpid()}.tmp")
            shutil.rmtree(doomed)
