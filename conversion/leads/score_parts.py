"""Making a list part by part: the probabilities of all prospects first, then rows in the order of ranks.

What is global is little: the ranks, the cuts of the tiers, and the MRR to expect of a conversion. A first
pass writes the probability of each prospect of a part and the key that breaks its ties. All of these are
ranked together. A second pass makes the rows of a part and puts them aside in pieces, one for each block of
the list, from which the list is put together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.attribute_kinds import Category
from conversion.config.attribute_names import encoded_names
from conversion.config.data_contract import Contract
from conversion.config.params import Featurize
from conversion.data import counts
from conversion.data.attribute_encoding import levels_of
from conversion.data.clean_tables import CleanTables
from conversion.features.feature_tables import read_clean
from conversion.features.snapshots import recipe_of, with_encoded_histories
from conversion.leads.batches import PieceWriter, read_pieces, table_batches
from conversion.leads.converted import ConvertedCompanies, converted_companies, last_conversions
from conversion.leads.lead_list import (
    LeadRows,
    ListPlan,
    Standing,
    before_columns,
    lead_rows,
    rounded_probability,
)
from conversion.leads.lead_writers import BLOCK_ROWS, quoting_of
from conversion.modelling.model import ConversionModel
from conversion.runtime.files import writing
from conversion.runtime.parts import part_path
from conversion.stats.hashing import tie_break
from conversion.stats.numeric import Floats
from conversion.stats.rank_order import order_by, places_of

TRAIN: Final = "data/features/train.parquet"
LATEST: Final = "data/features/latest.parquet"
PREVIOUS: Final = "data/features/previous.parquet"
_LISTS: Final = {"latest": LATEST, "previous": PREVIOUS}
_TABLES: Final = ("leads", "contributions", "facts")


@dataclass(frozen=True)
class Parts:
    """The parts of the tables, and where what is known of each is put aside.

    Attributes
    ----------
    count
        How many there are.
    folder
        For what is put aside.
    """

    count: int
    folder: Path

    def of(self, table: str | Path, part: int) -> Path:
        """Return the file of a part of a table."""
        return part_path(table, part, self.count)

    def aside(self, name: str, part: int) -> Path:
        """Return the file that something about a part is put aside in."""
        return self.folder / f"{part:05d}-{name}"


# The first pass


def score_part(part: int, model: ConversionModel, parts: Parts) -> dict[str, Any]:
    """Put the probabilities of a part's prospects aside, of the list and of that of a week before.

    Returns
    -------
    dict
        ``unseen``, see `ConversionModel.unseen_levels`.
    """
    names = [feature.name for feature in model.features]
    unseen: dict[str, dict[str, int]] = {}
    for name, table in _LISTS.items():
        probabilities, ties = [], []
        for batch in table_batches(parts.of(table, part), ["id", *names], BLOCK_ROWS):
            probabilities.append(rounded_probability(model, batch))
            ties.append(tie_break(batch["id"]))
            if name == "latest":
                unseen = added(unseen, model.unseen_levels(batch))
        _save(parts.aside(f"{name}-probability.npy", part), np.concatenate(probabilities))
        _save(parts.aside(f"{name}-ties.npy", part), np.concatenate(ties))
    return {"unseen": unseen}


def _save(path: Path, values: NDArray[Any]) -> None:
    content = BytesIO()  # into a file of its own numpy may write less, on a full disk, without an error
    np.save(content, values)
    with writing(path):
        path.write_bytes(content.getbuffer())


def added(one: dict[str, dict[str, int]], other: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Add up counts by attribute and level, most frequent first."""
    return {
        column: dict(sorted(levels.items(), key=lambda item: -item[1]))
        for column, levels in counts.added([one, other]).items()
    }


def rank_all(parts: Parts, name: str) -> Floats:
    """Rank the prospects of all parts, and put the ranks of each part aside.

    Parameters
    ----------
    parts
        Of which `score_part` is done.
    name
        Of the list: ``latest`` or ``previous``.

    Returns
    -------
    numpy.ndarray of float64
        The probabilities of all prospects, part by part.
    """
    probability, ties = (
        np.concatenate([np.load(parts.aside(f"{name}-{what}.npy", part)) for part in range(parts.count)])
        for what in ("probability", "ties")
    )
    ranks, start = places_of(order_by(probability, ties)), 0
    for part in range(parts.count):
        rows = len(np.load(parts.aside(f"{name}-probability.npy", part), mmap_mode="r"))
        _save(parts.aside(f"{name}-ranks.npy", part), ranks[start : start + rows])
        start += rows
    return probability


# The second pass


def list_part(
    part: int, plan: ListPlan, parts: Parts, prospects: int, featurize: Featurize
) -> dict[str, Any]:
    """Put the rows of a part's prospects aside, in pieces for the blocks of the list.

    Parameters
    ----------
    part
        Its number.
    plan
        Of the list.
    parts
        Of which ranks are put aside.
    prospects
        Of all parts.
    featurize
        Section ``featurize``.

    Returns
    -------
    dict
        ``tiers``: its prospects by tier. ``quoting`` of its rows in CSV. ``levels`` of the columns of groups.
        ``batches``: how often each block of the list has a piece.
    """
    contract = plan.model.data_contract
    clean = read_clean(part, parts.count, contract)
    tables = with_encoded_histories(clean, recipe_of(clean.companies, featurize, contract))
    _put_converted_aside(part, plan.model, parts, tables)
    ends = np.arange(1, block_count(prospects) + 1) * BLOCK_ROWS
    tiers: dict[str, int] = {}
    quoting, batches = 0, 0
    writers = [PieceWriter(parts.aside(f"{name}.arrow", part)) for name in _TABLES]
    with writers[0], writers[1], writers[2]:
        for snapshots, standing in _standings(part, plan.model, parts):
            some = _of_companies(tables, snapshots["id"])
            rows = lead_rows(plan, snapshots, standing, some).by_rank()
            cuts = np.searchsorted(rows.leads["rank"].to_numpy(), ends, side="right").tolist()
            for writer, table in zip(writers, (rows.leads, rows.contributions, rows.facts), strict=True):
                writer.write(table, cuts)
            for tier, count in rows.leads["tier"].value_counts().items():
                tiers[str(tier)] = tiers.get(str(tier), 0) + int(count)
            quoting, batches = max(quoting, quoting_of(rows.leads)), batches + 1
    return {
        "tiers": tiers,
        "quoting": quoting,
        "levels": _levels(tables.companies, contract),
        "batches": batches,
    }


def _standings(part: int, model: ConversionModel, parts: Parts) -> Iterator[tuple[pd.DataFrame, Standing]]:
    """Yield the snapshots of a part, some at a time, and where they stand."""

    def aside(name: str) -> Any:
        return np.load(parts.aside(f"{name}.npy", part))

    ids = pd.concat(list(table_batches(parts.of(PREVIOUS, part), ["id"], BLOCK_ROWS)))["id"]
    before = before_columns(aside("previous-probability"), aside("previous-ranks")).set_axis(pd.Index(ids))
    probability, rank, start = aside("latest-probability"), aside("latest-ranks"), 0
    names = [feature.name for feature in model.features]
    for snapshots in table_batches(parts.of(LATEST, part), ["id", *names], BLOCK_ROWS):
        rows = slice(start, start + len(snapshots))
        earlier = before.reindex(snapshots["id"]).reset_index(drop=True)
        yield snapshots, Standing(probability[rows], rank[rows], earlier)
        start = rows.stop


def _of_companies(tables: CleanTables, ids: pd.Series[Any]) -> CleanTables:
    """Return the companies and the usage of some companies; all tables are sorted by id."""
    if not len(ids):
        return tables._replace(companies=tables.companies.head(0), usage=tables.usage.head(0))
    first, last = ids.min(), ids.max()

    def between(table: pd.DataFrame) -> pd.DataFrame:
        found = table["id"]
        return table.iloc[found.searchsorted(first) : found.searchsorted(last, side="right")]

    return tables._replace(companies=between(tables.companies), usage=between(tables.usage))


def _put_converted_aside(part: int, model: ConversionModel, parts: Parts, tables: CleanTables) -> None:
    names = [feature.name for feature in model.features]
    batches = table_batches(parts.of(TRAIN, part), ["id", "as_of", "label", *names], BLOCK_ROWS)
    train = last_conversions(batches)
    found = converted_companies(model, train, tables.companies, tables.periods)
    for name, table in (("companies", found.companies), ("contributions", found.contributions)):
        with PieceWriter(parts.aside(f"converted-{name}.arrow", part)) as writer:
            writer.write(table, [len(table)])


def _levels(companies: pd.DataFrame, contract: Contract) -> dict[str, list[str]]:
    """Return the levels of the columns of groups that are categoricals."""
    return {
        column: companies[column].cat.categories.tolist()
        for column in contract.group_columns
        if isinstance(companies[column].dtype, pd.CategoricalDtype)
    }


# The list


class Listed(NamedTuple):
    """What the second pass put aside.

    Attributes
    ----------
    parts
        Of the tables.
    summaries
        From `list_part`.
    contract
        Of the model.
    """

    parts: Parts
    summaries: Sequence[dict[str, Any]]
    contract: Contract

    def blocks(self, prospects: int) -> Iterator[LeadRows]:
        """Yield the rows of the list, block by block, in the order of ranks."""
        count = block_count(prospects)
        for block in range(count):
            pieces: dict[str, list[pd.DataFrame]] = {name: [] for name in _TABLES}
            for part, summary in enumerate(self.summaries):
                numbers = range(block, summary["batches"] * count, count)
                for name in _TABLES:
                    pieces[name].append(read_pieces(self.parts.aside(f"{name}.arrow", part), numbers))
            yield LeadRows(*(self._joined(each) for each in pieces.values())).by_rank()

    def converted(self) -> ConvertedCompanies:
        """Return the companies of all parts that converted, sorted by id."""

        def joined(name: str) -> pd.DataFrame:
            files = [self.parts.aside(f"converted-{name}.arrow", part) for part in range(self.parts.count)]
            return self._joined([read_pieces(file, [0]) for file in files])

        companies, contributions = joined("companies"), joined("contributions")
        order = np.argsort(companies["id"].to_numpy(), kind="stable")
        return ConvertedCompanies(
            companies.iloc[order].reset_index(drop=True), contributions.iloc[order].reset_index(drop=True)
        )

    def _joined(self, pieces: list[pd.DataFrame]) -> pd.DataFrame:
        """Join pieces, whose categories may differ from part to part."""
        if len(pieces) == 1:
            return pieces[0]
        kinds = {name: kind for name, kind in self._categories().items() if name in pieces[0]}
        filled = [each for each in pieces if len(each)] or pieces[:1]
        return pd.concat([each.astype(kinds) for each in filled], ignore_index=True)

    def _categories(self) -> dict[str, pd.CategoricalDtype]:
        attributes = self.contract.attributes_of(Category)
        kinds = {}
        for column in self.summaries[0]["levels"]:
            each = [summary["levels"][column] for summary in self.summaries]
            levels = each[0]
            if any(other != levels for other in each):
                attribute = next(
                    one for name, one in attributes.items() if column in encoded_names(name, one)
                )
                levels = levels_of(attribute, [level for some in each for level in some])
            kinds[column] = pd.CategoricalDtype(levels)
        return kinds


def block_count(prospects: int) -> int:
    """Return how many blocks a list has."""
    return max(math.ceil(prospects / BLOCK_ROWS), 1)
