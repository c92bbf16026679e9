"""The files of a delivery for CRMs, spreadsheets and reps, and what they change."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Final

import pandas as pd

from conversion.config.deliver_params import Deliver
from conversion.delivery import crm_dynamics, crm_excel, crm_hubspot, crm_salesforce
from conversion.delivery.crm_table import CrmTable, called
from conversion.runtime.files import write_atomically

CRM: Final = "crm"
REPS: Final = "reps"
FIRST: Final = 5
"""Changes of each kind that a dry run shows."""
CRMS: Final = {"hubspot": crm_hubspot, "salesforce": crm_salesforce, "dynamics": crm_dynamics}


@dataclass(frozen=True)
class OutFiles:
    """What goes out beside the list.

    Attributes
    ----------
    files
        The bytes of each, by its path within the publication.
    warnings
        What the user should know of them.
    """

    files: Mapping[str, bytes]
    warnings: tuple[str, ...]


def out_files(companies: pd.DataFrame, as_of: dt.date, deliver: Deliver) -> OutFiles:
    """Make the files of ``deliver.formats``, and one for each rep.

    Parameters
    ----------
    companies
        Of a delivery.
    as_of
        Of the delivery.
    deliver
        Of params.yaml.

    Raises
    ------
    CrmError
        A CRM could not import the call list as params name its columns.
    """
    calls = called(companies, as_of)
    files: dict[str, bytes] = {}
    warnings: list[str] = []
    for name in deliver.formats:
        path = f"{CRM}/{name}.csv"
        if name == "excel":
            files[path] = crm_excel.content(crm_excel.table(calls))
            continue
        made = CRMS[name].table(calls, deliver.crm)
        files[path] = CRMS[name].content(made)
        if made.left_out:
            warnings.append(_left_out(path, made, name, getattr(deliver.crm, name).key))
    for rep, of_rep in calls.groupby("rep"):
        files[f"{REPS}/{file_name(str(rep))}.csv"] = crm_excel.content(crm_excel.table(of_rep))
    return OutFiles(files, tuple(warnings))


def _left_out(path: str, made: CrmTable, name: str, key: str) -> str:
    shown = ", ".join(made.left_out[:FIRST]) + (", ..." if len(made.left_out) > FIRST else "")
    return (
        f"{path}: {len(made.left_out)} companies of the call list are not in it, they have no {key} "
        f"(deliver.crm.{name}.key): {shown}"
    )


def file_name(rep: str) -> str:
    """Return a file's name for a rep, without what file systems refuse; different names stay different.

    Examples
    --------
    >>> file_name("Ann-Marie O'Neil"), file_name("EMEA/North"), file_name("con")
    ('Ann-Marie O%27Neil', 'EMEA%2FNorth', '%63on')
    """
    refused = r"[^\w .-]|^\.|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)"
    found = re.sub(refused, lambda each: _escaped(each[0][0]) + each[0][1:], rep, flags=re.IGNORECASE)
    return found if len(found.encode()) <= 200 else f"{found[:40]} {_digest(rep)}"


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _digest(text: str) -> str:
    from hashlib import blake2b  # of long names only

    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def write_files(folder: Path, made: OutFiles) -> None:
    """Write the files, and remove those of reps and formats that are no longer there."""
    for part in (CRM, REPS):
        for path in (folder / part).glob("*.csv"):
            if f"{part}/{path.name}" not in made.files:
                path.unlink()
    for name, content in made.files.items():
        write_atomically(folder / name, partial(_write, content))


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def changes(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    """Describe what the files of a delivery would change against those last sent, a few lines a file."""
    return "\n".join(
        file_changes(name, before.get(name), after.get(name)) for name in sorted({*before, *after})
    )


def file_changes(name: str, before: bytes | None, after: bytes | None) -> str:
    """Describe what a file would change: rows by their key, columns by their name."""
    if before is None:
        assert after is not None, "a file that is in neither delivery is not compared"
        return f"{name}: new file, {len(_rows(after)[1])} rows"
    if after is not None and before == after:
        return f"{name}: unchanged, {len(_rows(after)[1])} rows"
    try:
        old_columns, old = _rows(before)
    except ValueError:  # a spreadsheet has saved it in its own way
        how = "no longer written" if after is None else f"{len(_rows(after)[1])} rows"
        return f"{name}: {how}; the last one was edited and cannot be compared"
    if after is None:
        return f"{name}: no longer written, had {len(old)} rows"
    new_columns, new = _rows(after)
    changed = [_changed(key, old[key], new[key]) for key in new if key in old and old[key] != new[key]]
    counted = (
        f"{len(new.keys() - old.keys())} new, {len(old.keys() - new.keys())} gone, {len(changed)} changed"
    )
    lines = [f"{name}: {len(new)} rows, {counted}"]
    for what, columns in (
        ("columns new", [each for each in new_columns if each not in old_columns]),
        ("columns gone", [each for each in old_columns if each not in new_columns]),
    ):
        if columns:
            lines.append(f"  {what}: {', '.join(columns)}")
    counts = {
        column: count
        for column in new_columns
        if column in old_columns
        and (count := sum(old[key][column] != new[key][column] for key in new if key in old))
    }
    if counts:
        lines.append(f"  by column: {', '.join(f'{column} {count}' for column, count in counts.items())}")
    lines += _first("new", [crm_excel.as_shown(key) for key in new if key not in old])
    lines += _first("gone", [crm_excel.as_shown(key) for key in old if key not in new])
    lines += _first("changed", changed)
    return "\n".join(lines)


def _first(what: str, found: list[str]) -> list[str]:
    more = f" and {len(found) - FIRST} more" if len(found) > FIRST else ""
    return [f"  {what}: {'; '.join(found[:FIRST])}{more}"] if found else []


def _changed(key: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    columns = [column for column in new if old.get(column) != new[column]]
    company = crm_excel.as_shown(key)
    if not columns:
        return f"{company} (columns)"
    more = f", {len(columns) - 1} more" if len(columns) > 1 else ""
    was, now = (crm_excel.as_shown(row.get(columns[0]) or "empty") for row in (old, new))
    return f"{company} ({columns[0]}: {was} -> {now}{more})"


def _rows(content: bytes) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Read the columns of a file and its rows by key, which is the column id or the first.

    Raises
    ------
    ValueError
        It is not CSV of UTF-8, with a header and as many cells in each row.
    """
    try:
        header, *rows = csv.reader(StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        key = header.index("id") if "id" in header else 0
        return header, {row[key]: dict(zip(header, row, strict=True)) for row in rows}
    except (csv.Error, IndexError) as error:
        raise ValueError(f"not CSV: {error}") from error


def read_files(folder: Path) -> dict[str, bytes]:
    """Read the files that were last written into a publication; none if there is none."""
    return {
        f"{part}/{path.name}": path.read_bytes()
        for part in (CRM, REPS)
        for path in sorted((folder / part).glob("*.csv"))
    }
