"""A list in files answers as the same list in memory does, and only if its files are what was written."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.leads.lead_files import FOLDER, LeadFiles
from conversion.pages.lead_filters import filter_columns
from conversion.pages.list_page import csv_of, list_page
from conversion.pages.list_query import ListQuery, Selection, select, sorts_of
from conversion.pages.stored_table import StoredTable
from conversion.runtime.errors import ArtifactError, OutputError
from conversion.runtime.files import write_parquet
from conversion.serving import lead_index
from conversion.serving.lead_index import ABOUT, INDEXES, VERIFIED, StoredFiles
from conversion.serving.lead_pages import LeadList, find_lead, lead_page, read_lead_list
from tests.lead_files import hash_anew, write_list
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
    """Return a pipeline whose list has many more leads, with other ids and numbers."""
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
    memory = read_lead_list(root, messages)
    files = read_lead_list(root, messages, root / INDEXES)
    assert memory is not None
    assert files is not None
    assert isinstance(memory.files, LeadFiles)
    assert isinstance(files.files, StoredFiles)
    return memory, files


@pytest.fixture(scope="module", params=[small_pipeline, projects_pipeline], ids=["hubspot", "projects"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LeadList, LeadList]]:
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


# Files that are not what was written


def opened(root: Path) -> LeadList | None:
    return read_lead_list(root, MESSAGES, root / INDEXES)


def index_of(root: Path) -> Path:
    """Return the folder of the one index."""
    (folder,) = (each for each in (root / INDEXES).iterdir() if each.is_dir())
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_list(tmp_path, small_pipeline(), "parquet")
    assert opened(tmp_path) is not None
    return tmp_path


def made_anew(caplog: pytest.LogCaptureFixture) -> bool:
    return "makes an index of the lead list" in caplog.messages


def test_an_index_is_made_once(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = index_of(root).stat().st_ino
    assert opened(root) is not None
    assert index_of(root).stat().st_ino == before
    assert not made_anew(caplog)


def test_files_are_not_hashed_again_as_long_as_they_look_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("verify_file", "_verify_index"):
        monkeypatch.delattr(lead_index, name)
    assert opened(root) is not None


@pytest.mark.parametrize("whose", ["list", "index"])
def test_files_that_were_touched_are_hashed_and_then_known(
    root: Path, whose: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = root / FOLDER if whose == "list" else index_of(root)
    for path in folder.iterdir():
        os.utime(path)
    assert opened(root) is not None
    assert not made_anew(caplog)
    for name in ("verify_file", "_verify_index"):
        monkeypatch.delattr(lead_index, name)
    assert opened(root) is not None


def with_a_bit_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=times)  # as whoever hides it would


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


DAMAGE = (with_a_bit_flipped, cut, emptied, Path.unlink)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["leads", "usage", "texts", "keys", "codes_0", "gram_blocks", ABOUT])
def test_an_index_that_is_damaged_is_made_anew(
    root: Path, name: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    before = lead_page(present(opened(root)), ListQuery(sort="value"), 1000, 0)
    damage(index_of(root) / name)
    found = present(opened(root))
    assert made_anew(caplog)
    assert lead_page(found, ListQuery(sort="value"), 1000, 0) == before


def present(lead_list: LeadList | None) -> LeadList:
    assert lead_list is not None
    return lead_list


@pytest.mark.parametrize("content", ["", "[]", '{"sources": {}}', "nonsense"])
def test_without_knowing_what_was_verified_files_are_hashed(
    root: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (index_of(root) / VERIFIED).write_text(content, encoding="utf-8")
    assert opened(root) is not None
    assert not made_anew(caplog)
    cut(index_of(root) / "keys")
    (index_of(root) / VERIFIED).unlink()
    assert opened(root) is not None
    assert made_anew(caplog)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["leads.parquet", "usage.parquet", "contributions.parquet"])
@pytest.mark.parametrize("has_index", [True, False])
def test_a_list_that_has_changed_is_refused(
    root: Path, name: str, damage: Callable[[Path], None], has_index: bool
) -> None:
    if not has_index:
        shutil.rmtree(root / INDEXES)
    damage(root / FOLDER / name)
    with pytest.raises(ArtifactError, match=name):
        opened(root)
    if not has_index:
        assert not any(each.is_dir() for each in (root / INDEXES).iterdir())


def change(path: Path, **columns: Any) -> None:
    table = pd.read_parquet(path)
    write_parquet(path, table.assign(**{name: make(table) for name, make in columns.items()}))


@pytest.mark.parametrize(
    ("name", "column", "make", "message"),
    [
        ("leads.parquet", "rank", lambda t: t["rank"] + (t["rank"] > 3), "given 5 in row 4"),
        ("leads.parquet", "probability", lambda t: t["probability"] + 1, "from 0 to 1"),
        ("leads.parquet", "id", lambda t: t["id"].iloc[[0, *range(len(t) - 1)]].array, "each company once"),
        ("leads.parquet", "tier", lambda _: "best", "should be a tier"),
        ("contributions.parquet", "base", lambda _: np.nan, "should have numbers"),
        ("contributions.parquet", "id", lambda t: t["id"] + 1, "in the same order"),
        ("usage.parquet", "id", lambda t: np.arange(len(t)) % 5, "rows of each company together"),
    ],
)
def test_a_list_that_is_none_is_refused_though_its_hashes_are_right(
    tmp_path: Path, name: str, column: str, make: Callable[[pd.DataFrame], Any], message: str
) -> None:
    folder = write_list(tmp_path, small_pipeline(), "parquet")
    change(folder / name, **{column: make})
    hash_anew(folder)
    with pytest.raises(ArtifactError, match=message):
        opened(tmp_path)
    assert not any(each.is_dir() for each in (tmp_path / INDEXES).iterdir())


# Another list


def test_another_list_has_another_index_and_the_one_before_stays(root: Path) -> None:
    kept = [index_of(root).name]
    for model in ("ab", "cd", "ef"):
        write_list(root, small_pipeline(), "parquet", model_sha256=model * 32)
        found = present(opened(root))
        assert found.model_version == (model * 32)[:12]
        new = {each.name for each in (root / INDEXES).iterdir() if each.is_dir()}
        assert len(new) == 2
        assert kept[-1] in new
        kept.append(next(iter(new - {kept[-1]})))


def test_who_reads_an_index_that_is_removed_goes_on(root: Path) -> None:
    found = present(opened(root))
    before = lead_page(found, ListQuery(), 100, 0)
    shutil.rmtree(root / INDEXES)
    assert lead_page(found, ListQuery(), 100, 0) == before


def test_an_index_may_be_elsewhere(tmp_path: Path) -> None:
    assert lead_index.indexes_folder(tmp_path, {}) == tmp_path / INDEXES
    assert lead_index.indexes_folder(tmp_path, {"CONVERSION_LEAD_INDEX": "/x"}) == Path("/x")


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    write_list(tmp_path, small_pipeline(), "parquet")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="is not a folder"):
        read_lead_list(tmp_path, MESSAGES, tmp_path / "file")


def test_rows_of_files_need_not_end_where_those_beside_them_do(tmp_path: Path) -> None:
    folder = write_list(tmp_path, small_pipeline(), "parquet")
    for name, rows in (("leads.parquet", 7), ("contributions.parquet", 5)):
        table = pq.read_table(folder / name)
        pq.write_table(table, folder / name, row_group_size=rows, write_page_checksum=True)
    hash_anew(folder)
    memory = present(read_lead_list(tmp_path, MESSAGES))
    assert lead_page(present(opened(tmp_path)), ListQuery(), 1000, 0) == lead_page(
        memory, ListQuery(), 1000, 0
    )


def test_a_large_list_in_another_format_is_held_in_memory_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_list(tmp_path, small_pipeline(), "csv")
    found = present(read_lead_list(tmp_path, MESSAGES, tmp_path / INDEXES))
    assert isinstance(found.files, LeadFiles)
    assert any("set score.format to parquet" in message for message in caplog.messages)


def test_a_small_list_makes_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversion.serving.lead_pages.LARGE", 10**6)
    write_list(tmp_path, small_pipeline(), "parquet")
    assert isinstance(present(opened(tmp_path)).files, LeadFiles)
    assert not (tmp_path / INDEXES).exists()
