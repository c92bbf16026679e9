"""A list in files answers as the same list in memory does, and only if its files are what was written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.leads.lead_files import LeadFiles
from conversion.pages.lead_filters import filter_columns
from conversion.pages.list_page import csv_of, list_page
from conversion.pages.list_query import ListQuery, Selection, select, sorts_of
from conversion.pages.stored_table import StoredTable
from conversion.serving.lead_index import INDEXES, StoredFiles
from conversion.serving.lead_pages import LeadList, find_lead, lead_page, read_lead_list
from tests.lead_files import write_list
from tests.lists import ABOUT as LIST
from tests.lists import SITE
from tests.pipeline import Pipeline
from tests.serving import MESSAGES, PROJECTS, projects_pipeline, small_pipeline

COUNT = 3000
NAMES = ("Zürich AG", "ACME", "acme two", "Ünïted Söftware", "a", "", None, "Straße", "x" * 90, "日本")


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversion.serving.lead_pages.LARGE", 0)


def replicated(pipeline: Pipeline, count: int) -> Pipeline:
    """Return a pipeline whose list has many more leads, with other ids and numbers, and some rows of usage."""
    generator = np.random.default_rng(5)
    ranked = pipeline.ranked
    places = np.arange(count) % len(ranked.leads)
    leads = ranked.leads.iloc[places].reset_index(drop=True)
    texts = pipeline.contract.companies.ids == "text"
    ids = generator.permutation(10 * count)[:count]
    known = ranked.leads["id"].to_numpy()
    used = dict(zip(known.tolist(), range(len(known)), strict=True))
    new = [f"c/{each} ü" if texts else int(each) + 10**9 for each in ids.tolist()]
    leads["id"] = pd.Series(new, dtype="str" if texts else "int64")
    leads["rank"] = np.arange(1, count + 1)
    leads["probability"] = np.sort(generator.random(count).round(3))[::-1]
    before = generator.random(count).round(2)
    leads["probability_before"] = np.where(generator.random(count) < 0.3, np.nan, before)
    for name in pipeline.contract.companies.shown:
        drawn = generator.integers(0, len(NAMES), count)
        leads[name] = pd.Series([NAMES[each] for each in drawn], dtype="str")
    usage = pipeline.usage[pipeline.usage["id"].isin(known)]
    copies = pd.Series(new).groupby(places).first()
    renamed = usage.assign(id=[copies.iloc[used[each]] for each in usage["id"]])
    renamed = renamed.astype({"id": leads["id"].dtype}).sort_values(
        ["id", pipeline.contract.usage.time], kind="stable"
    )
    contributions = ranked.contributions.iloc[places].reset_index(drop=True).assign(id=leads["id"])
    facts = ranked.facts.iloc[places].reset_index(drop=True).assign(id=leads["id"])
    made = dataclasses.replace(ranked, leads=leads, contributions=contributions, facts=facts)
    many = object.__new__(Pipeline)
    many.__dict__.update(pipeline.__dict__, ranked=made, usage=renamed.reset_index(drop=True))
    return many


def both_of(root: Path, pipeline: Pipeline) -> tuple[LeadList, LeadList]:
    """Write a list; return it in memory and in files."""
    messages = PROJECTS if pipeline.contract.companies.ids == "text" else MESSAGES
    write_list(root, pipeline, "parquet", pipeline.ranked.leads)
    memory = read_lead_list(root, "parquet", messages)
    files = read_lead_list(root, "parquet", messages, root / INDEXES)
    assert memory is not None
    assert files is not None
    assert isinstance(memory.files, LeadFiles)
    assert isinstance(files.files, StoredFiles)
    return memory, files


@pytest.fixture(scope="module", params=[small_pipeline, projects_pipeline], ids=["hubspot", "projects"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LeadList, LeadList]:
    make: Callable[[], Pipeline] = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("conversion.serving.lead_pages.LARGE", 0)
        # Several batches, the last one in part.
        for module in ("stored_rows", "text_search"):
            patch.setattr(f"conversion.pages.{module}.BATCH", 1024)
        patch.setattr("conversion.pages.text_search._BLOCKS", 1024 // 32)
        patch.setattr("conversion.leads.lead_batches.ROWS", 1000)
        memory, files = both_of(tmp_path_factory.mktemp("list"), replicated(make(), COUNT))
        yield memory, files


# The same answers


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_query_gives_the_same_leads_from_memory_and_from_files(
    both: tuple[LeadList, LeadList], data: st.DataObject
) -> None:
    memory, files = both
    table = memory.table
    columns = filter_columns(table.contract)
    shown = data.draw(st.lists(st.sampled_from(columns), unique=True, max_size=2))
    filters = {}
    for name in shown:
        known = table.filters.get(name)
        values = [*(known.choices if known else ()), "(none)", "unheard of", "acme two"]
        filters[name] = data.draw(st.sampled_from(values))
    words = st.sampled_from(["acme", "ÜR", "1", "12", "10000", "c/1", "straße", "日", "a two", "zzz", "nï"])
    search = " ".join(data.draw(st.lists(words | st.text("acme 12ü", max_size=4), max_size=2)))
    query = ListQuery(search, filters, data.draw(st.sampled_from(sorts_of(table))))
    offset, limit = data.draw(st.integers(0, COUNT + 10)), data.draw(st.integers(1, 100))
    one, two = (lead_page(each, query, limit, offset) for each in both)
    assert one == two
    everything = select(table, query)
    assert np.array_equal(everything, select(files.table, query))
    assert one.total == len(everything)
    for each in both:
        found = Selection(each.table, query).between(offset, offset + limit)
        assert np.array_equal(found, everything[offset : offset + limit])


@pytest.mark.parametrize("sort", ["rank", "name"])
def test_the_pages_and_the_download_are_the_same(both: tuple[LeadList, LeadList], sort: str) -> None:
    for query in (ListQuery(sort=sort), ListQuery("1", {"tier": "high"}, sort, page=2)):
        one, two = (list_page(each.table, query, LIST, SITE) for each in both)
        assert one == two
        first, second = ("".join(csv_of(each.table, query)) for each in both)
        assert first == second


def test_each_company_is_the_same(both: tuple[LeadList, LeadList]) -> None:
    memory, files = both
    assert isinstance(files.table, StoredTable)
    assert memory.table.filters.keys() == files.table.filters.keys()
    for position in (*range(0, COUNT, 97), COUNT - 1):
        company_id = memory.table.id_at(position)
        assert files.table.position(company_id) == position
        assert find_lead(files, company_id) == find_lead(memory, company_id)
        assert files.contributions_of(position) == memory.contributions_of(position)
        assert files.table.activity_of(position, 13) == memory.table.activity_of(position, 13)
        pd.testing.assert_frame_equal(
            files.table.usage_of(position), memory.table.usage_of(position).reset_index(drop=True)
        )
    for name in ("fit", "activity", "rank"):
        one, two = (each.table.ordered(name) for each in both)
        assert one is not None
        assert two is not None
        assert np.array_equal(one, two)
    for missing in ("no such", 5, 2**70, -1):
        assert files.table.position(missing) is None
        assert memory.table.position(missing) is None


def test_some_leads_of_the_test_have_usage(both: tuple[LeadList, LeadList]) -> None:
    assert sum(len(both[1].table.usage_of(position)) > 0 for position in range(COUNT)) > 10
