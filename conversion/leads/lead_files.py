"""The lead list as files: written with a manifest of hashes, and read only if the files match it.

``data/leads`` has the list, its top, what each fact adds to each lead's score, the same of companies of the
past that converted, the evidence and the usage behind the list, and the manifest. A list that went out also
has who calls whom, and what moved since the list before. The manifest is written last and has the date of
the list, the cuts of its tiers, and the hashes of the model, each input and each file. A folder that was
written in part, or edited, does not match its manifest.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Final, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from conversion.config.data_contract import Contract
from conversion.config.params import Score
from conversion.leads.converted import ConvertedCompanies
from conversion.leads.lead_columns import BASE, FACT_COLUMNS, converted_columns
from conversion.leads.lead_list import LeadRows, RankedLeads
from conversion.leads.lead_tables import AGAIN, checked_converted, parsed_leads
from conversion.leads.lead_writers import (
    BLOCK_ROWS,
    Quoting,
    lead_writer,
    parquet_writer,
    quoting_of,
    write_leads,
)
from conversion.leads.usage_file import copy_usage
from conversion.modelling.evidence import Evidence
from conversion.modelling.tiers import TierCuts
from conversion.runtime.errors import ArtifactError, InputError
from conversion.runtime.files import (
    copy_file,
    read_json,
    reading,
    require_columns,
    sha256,
    verified_parquet,
    write_json,
    write_parquet,
)
from conversion.runtime.seals import sealed, sha256_of, unsealed
from conversion.runtime.validation import first_fault

FOLDER: Final = "data/leads"
LIST: Final = "leads."
"""How the name of the list's own file begins; its format follows."""
MANIFEST: Final = "manifest.json"
USAGE: Final = "usage.parquet"
EVIDENCE: Final = "evidence.json"
CONTRIBUTIONS: Final = "contributions.parquet"
REASON_FACTS: Final = "reason_facts.parquet"
DELIVERED: Final = "delivered.parquet"
CONVERTED: Final = "converted.parquet"
CONVERTED_CONTRIBUTIONS: Final = "converted_contributions.parquet"

DELIVERED_COLUMNS: Final = ("place", "rep", "moved", "rank_before", "probability_before")
"""Columns of what is known of the leads of a list that went out, but for the id."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """What a lead list is, and what it was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    as_of: dt.date = Field(description="moment of the list")
    prospects: int = Field(ge=0, description="its rows")
    tier_cuts: TierCuts = Field(description="least probability of each tier")
    model_sha256: Sha256 = Field(description="of the model file that scored it")
    inputs: dict[str, Sha256] = Field(description="sha256 of each file that it was made from")
    files: dict[str, Sha256] = Field(description="sha256 of each file beside the manifest")

    @property
    def leads(self) -> str:
        """The file of the list itself: its format is that of the params of its day, not of today's."""
        return next(name for name in self.files if name.startswith(LIST))


@dataclass(frozen=True, kw_only=True)
class BesideList:
    """What belongs to a lead list, as read: it is small, however many leads there are.

    Attributes
    ----------
    manifest
        Of the list.
    converted
        Companies of the past that converted: `conversion.leads.lead_columns.converted_columns`.
    converted_contributions
        Of each of these, in the same order: ``id``, ``base``, and a column of float64 for each fact.
    evidence
        Of the backtest.
    """

    manifest: Manifest
    converted: pd.DataFrame
    converted_contributions: pd.DataFrame
    evidence: Evidence


@dataclass(frozen=True, kw_only=True)
class LeadFiles(BesideList):
    """A lead list, as read.

    Attributes
    ----------
    leads
        `conversion.leads.lead_columns.lead_columns`, ``rep`` and ``moved``. In a list that went out,
        ``rank_before`` and ``probability_before`` are those of the list that went out before.
    usage
        Clean usage rows, sorted by ``id`` and week.
    contributions
        Of each lead, in the same order, as those of `BesideList`.
    """

    leads: pd.DataFrame
    usage: pd.DataFrame
    contributions: pd.DataFrame


# Writing


@dataclass(frozen=True)
class Sources:
    """Files that are copied, so that this list is never shown with what the next export gives.

    Attributes
    ----------
    usage
        Clean usage rows; those of a table in parts are merged.
    evidence
        Of the backtest.
    """

    usage: Path
    evidence: Path


@dataclass(frozen=True)
class RankedBlocks:
    """A lead list, block by block.

    Attributes
    ----------
    blocks
        Of `BLOCK_ROWS` rows but for the last, in the order of ranks; at least one.
    prospects
        Rows of all blocks.
    cuts
        Of the tiers.
    quoting
        The strictest that any row needs, from `conversion.leads.lead_writers.quoting_of`.
    """

    blocks: Iterable[LeadRows]
    prospects: int
    cuts: TierCuts
    quoting: Quoting

    @classmethod
    def of(cls, ranked: RankedLeads) -> Self:
        """Split a list that is in memory."""
        rows = len(ranked.leads)
        starts = range(0, max(rows, 1), BLOCK_ROWS)
        blocks = (ranked.rows(start, start + BLOCK_ROWS) for start in starts)
        return cls(blocks, rows, ranked.cuts, quoting_of(ranked.leads))


def write_lead_files(
    root: Path,
    ranked: RankedBlocks,
    converted: ConvertedCompanies,
    score: Score,
    sources: Sources,
    about: Mapping[str, Any],
    delivered: pd.DataFrame | None = None,
) -> None:
    """Write the list, its first ``score.top_n`` rows, what belongs to it, and the manifest last.

    Parameters
    ----------
    root
        The project's root.
    ranked
        The list.
    converted
        Companies of the past that converted.
    score
        Of params.yaml.
    sources
        Files to copy.
    about
        ``as_of``, ``model_sha256`` and ``inputs`` of `Manifest`.
    delivered
        `DELIVERED_COLUMNS` of each lead, in the same order, of a list that goes out.
    """
    folder = root / FOLDER
    leads, top_leads = (f"{name}.{score.format}" for name in ("leads", "top_leads"))
    write_leads(_write_blocks(folder, leads, ranked, score.top_n), folder / top_leads)
    tables = {
        CONVERTED: converted.companies,
        CONVERTED_CONTRIBUTIONS: converted.contributions,
        **({} if delivered is None else {DELIVERED: delivered}),
    }
    for name, table in tables.items():
        write_parquet(folder / name, table)
    copy_usage(sources.usage, folder / USAGE)
    copy_file(sources.evidence, folder / EVIDENCE)
    names = (leads, top_leads, CONTRIBUTIONS, REASON_FACTS, *tables, USAGE, EVIDENCE)
    hashes = {name: sha256(folder / name) for name in names}
    of_list = {"prospects": ranked.prospects, "tier_cuts": ranked.cuts.model_dump(), "files": hashes}
    write_json(folder / MANIFEST, sealed({**about, **of_list}))


def _write_blocks(folder: Path, leads: str, ranked: RankedBlocks, top_n: int) -> pd.DataFrame:
    """Write the files with a row for each lead; return the leads at the top."""
    top: list[pd.DataFrame] = []
    left = top_n
    with (
        lead_writer(folder / leads, ranked.quoting) as write,
        parquet_writer(folder / CONTRIBUTIONS) as write_contributions,
        parquet_writer(folder / REASON_FACTS) as write_facts,
    ):
        for block in ranked.blocks:
            write(block.leads)
            write_contributions(block.contributions)
            write_facts(block.facts)
            if left > 0 or not top:
                top.append(block.leads.head(left))
                left -= len(top[-1])
    return top[0] if len(top) == 1 else pd.concat(top, ignore_index=True)


# Reading


def read_lead_files(root: Path, contract: Contract) -> LeadFiles | None:
    """Read a lead list in the format it has, each file once, so that the bytes hashed are the bytes parsed.

    Parameters
    ----------
    root
        The project's root, or a publication.
    contract
        Of the model that scored the list: names its columns.

    Returns
    -------
    LeadFiles, or None if there is no list

    Raises
    ------
    ArtifactError
        A file is missing, does not match the manifest, or is not a lead list of this contract.
    """
    manifest = read_list_manifest(root)
    if manifest is None:
        return None
    folder, name = root / FOLDER, manifest.leads
    leads = parsed_leads(folder / name, _read_verified(folder, name, manifest), contract)
    usage_columns = ["id", contract.usage.time, *contract.counts, *contract.usage.measures]
    return LeadFiles(
        **vars(read_beside_list(root, manifest, contract)),
        leads=_with_delivery(folder, manifest, leads),
        usage=_read_table(folder, USAGE, manifest, usage_columns),
        contributions=_read_contributions(folder, CONTRIBUTIONS, manifest, leads),
    )


def read_list_of_model(root: Path, contract: Contract, model_sha256: str) -> LeadFiles:
    """Read the project's lead list, after checking that a model scored it; see `read_lead_files`.

    Raises
    ------
    InputError
        There is no list.
    ArtifactError
        Another model scored it, or what `read_lead_files` raises.
    """
    files = read_lead_files(root, contract)
    if files is None:
        raise InputError(f"{FOLDER}: has no list; the stage score writes it: run 'dvc repro score'")
    if files.manifest.model_sha256 != model_sha256:
        raise ArtifactError(
            f"{FOLDER}: another model scored the list than models/model.joblib: they are of different runs; "
            "run 'dvc repro score'"
        )
    return files


def read_list_manifest(root: Path) -> Manifest | None:
    """Read what the list is; None: there is no list.

    Raises
    ------
    ArtifactError
        The manifest was edited, names no list, or a list is there without one.
    """
    folder = root / FOLDER
    if not (folder / MANIFEST).is_file():
        if found := sorted(folder.glob(f"{LIST}*")):
            raise ArtifactError(
                f"{folder / MANIFEST}: not found, but {found[0]} is there: 'score' did not end, or "
                f"another version wrote it; {AGAIN}"
            )
        return None
    manifest = _read_manifest(folder / MANIFEST)
    if not any(name.startswith(LIST) for name in manifest.files):
        raise ArtifactError(f"{folder / MANIFEST}: names no file {LIST}*; {AGAIN}")
    return manifest


def read_beside_list(root: Path, manifest: Manifest, contract: Contract) -> BesideList:
    """Read the small files that belong to a list; see `read_lead_files` for errors."""
    folder = root / FOLDER
    found = _read_table(folder, CONVERTED, manifest, converted_columns(contract))
    converted = checked_converted(folder / CONVERTED, found, contract)
    return BesideList(
        manifest=manifest,
        converted=converted,
        converted_contributions=_read_contributions(folder, CONVERTED_CONTRIBUTIONS, manifest, converted),
        evidence=_read_evidence(folder, manifest),
    )


def _read_table(folder: Path, name: str, manifest: Manifest, columns: Iterable[str]) -> pd.DataFrame:
    content = _read_verified(folder, name, manifest)
    with reading(folder / name):
        table = verified_parquet(BytesIO(content))
        require_columns(table.columns, columns)
    return table


def read_reason_facts(root: Path, files: LeadFiles) -> pd.DataFrame:
    """Read ``id`` and the facts that the reasons of each lead state, in the order of the leads."""
    return _read_beside(root / FOLDER, REASON_FACTS, files.manifest, FACT_COLUMNS, files.leads)


def _with_delivery(folder: Path, manifest: Manifest, leads: pd.DataFrame) -> pd.DataFrame:
    """Add who calls each lead and what moved, where the list went out."""
    if DELIVERED not in manifest.files:
        nothing = pd.Series(None, index=leads.index, dtype="str")
        return leads.assign(rep=nothing, moved=nothing)
    delivered = _read_beside(folder, DELIVERED, manifest, DELIVERED_COLUMNS, leads)
    return leads.assign(**{name: delivered[name] for name in DELIVERED_COLUMNS if name != "place"})


def _read_beside(
    folder: Path, name: str, manifest: Manifest, columns: Iterable[str], leads: pd.DataFrame
) -> pd.DataFrame:
    """Read a table that has a row for each lead, in the same order."""
    table = _read_table(folder, name, manifest, ["id", *columns])
    if len(table) != len(leads) or not table["id"].eq(leads["id"]).all():
        raise ArtifactError(
            f"{folder / name}: should have the ids of the leads beside it, in the same order; {AGAIN}"
        )
    return table


def _read_contributions(folder: Path, name: str, manifest: Manifest, of: pd.DataFrame) -> pd.DataFrame:
    """Read what the facts add to the score of each row of a table."""
    table = _read_table(folder, name, manifest, ["id", BASE])
    numbers = [table[column] for column in table if column != "id"]
    are_numbers = all(each.dtype == np.float64 and np.isfinite(each).all() for each in numbers)
    if not are_numbers or len(table) != len(of) or not table["id"].eq(of["id"]).all():
        raise ArtifactError(
            f"{folder / name}: should have numbers for the ids of the table that it belongs to, in the same "
            f"order; {AGAIN}"
        )
    return table


def _read_evidence(folder: Path, manifest: Manifest) -> Evidence:
    content = _read_verified(folder, EVIDENCE, manifest)
    try:
        return Evidence.model_validate_json(content)
    except ValidationError as error:
        raise ArtifactError(f"{folder / EVIDENCE}: {_what_is_wrong(error)}; {AGAIN}") from error


def _read_manifest(path: Path) -> Manifest:
    content = unsealed(read_json(path), str(path), AGAIN)
    try:
        return Manifest.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise ArtifactError(f"{path}: {_what_is_wrong(error)}; {AGAIN}") from error


def _what_is_wrong(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    if fault["type"] == "missing":
        return f"has no {'.'.join(map(str, fault['loc']))}: another version of the project wrote it"
    return first_fault(error)


def verify_file(root: Path, name: str, manifest: Manifest) -> None:
    """Refuse a file, or a folder of parts, that is not the one of the manifest."""
    path = root / FOLDER / name
    if name not in manifest.files or not path.exists():
        raise ArtifactError(f"{path}: not found, but {path.with_name(MANIFEST)} is there; {AGAIN}")
    with reading(path):
        found = sha256(path)
    _check_hash(path, found, manifest)


def _read_verified(folder: Path, name: str, manifest: Manifest) -> bytes:
    path = folder / name
    if name not in manifest.files or not path.is_file():
        raise ArtifactError(f"{path}: not found, but {folder / MANIFEST} is there; {AGAIN}")
    with reading(path):
        content = path.read_bytes()
    _check_hash(path, sha256_of(content), manifest)
    return content


def _check_hash(path: Path, found: str, manifest: Manifest) -> None:
    folder, name = path.parent, path.name
    if found != manifest.files[name]:
        raise ArtifactError(
            f"{path}: sha256 is {found}, but {folder / MANIFEST} says {manifest.files[name]}: the file was "
            f"changed or is of another run; {AGAIN}"
        )
