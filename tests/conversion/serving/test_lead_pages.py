from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from conversion.leads.lead_columns import REASON_COLUMNS
from conversion.leads.lead_tables import DECIMALS
from conversion.pages.list_query import ListQuery
from conversion.serving.lead_pages import LeadList, find_lead, lead_page, read_lead_list
from conversion.serving.messages import LeadWithUsage
from tests.exports import MEASURES
from tests.lead_files import write_list
from tests.pipeline import Pipeline
from tests.serving import MESSAGES, VERSION, UsageWeek, history, known, small_pipeline

FORMATS = ("csv", "json", "parquet")
# An export may say any of these; pandas reads them as missing unless it is told not to.
LABELS = ("NA", "None", "null", "nan", "N/A", "-", "true", "007", "1e5", "2020-01-01", 'a, "b"', "Café")


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return small_pipeline()


def write(folder: Path, leads: pd.DataFrame, pipeline: Pipeline, file_format: str) -> None:
    write_list(folder, pipeline, file_format, leads.assign(rank=range(1, len(leads) + 1)))


def read(folder: Path) -> LeadList:
    lead_list = read_lead_list(folder, MESSAGES)
    assert lead_list is not None
    return lead_list


@pytest.fixture(scope="module", params=FORMATS)
def lead_list(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pipeline: Pipeline
) -> LeadList:
    folder = tmp_path_factory.mktemp(request.param)
    write(folder, pipeline.leads, pipeline, request.param)
    return read(folder)


# Pages


def test_every_format_shows_what_the_list_says(lead_list: LeadList, pipeline: Pipeline) -> None:
    whole = lead_page(lead_list, ListQuery(), 1000, 0)
    assert (whole.total, whole.limit, whole.offset) == (len(pipeline.leads), 1000, 0)
    assert (whole.as_of, whole.model_version) == (pipeline.as_of.date(), VERSION)
    assert len(whole.leads) == len(pipeline.leads)
    rows = pipeline.leads.astype(object).to_dict("records")
    for lead, row in zip(whole.leads, rows, strict=True):
        reasons = [reason for name in REASON_COLUMNS if (reason := known(row.pop(name))) is not None]
        expected = {str(name): known(value) for name, value in row.items()} | {"reasons": reasons}
        expected |= {"rep": None, "moved": None}
        for name, decimals in DECIMALS.items():
            if expected[name] is not None:
                expected[name] = pytest.approx(expected[name], rel=0, abs=10.0**-decimals)
        assert lead.model_dump() == expected
    for name in ("ALEXA_RANK", "EMPLOYEE_RANGE", "INDUSTRY", "last_active_week", "last_week_users"):
        given = [getattr(lead, name) for lead in whole.leads]
        assert None in given, f"some {name} is missing"
        assert set(given) - {None}


def test_pages_are_cut_in_order(lead_list: LeadList) -> None:
    whole = lead_page(lead_list, ListQuery(), 1000, 0).leads
    assert [lead.rank for lead in whole] == list(range(1, len(whole) + 1))
    for limit, offset in ((1, 0), (7, 0), (7, 7), (50, len(whole) - 3)):
        cut = lead_page(lead_list, ListQuery(), limit, offset)
        assert cut.leads == whole[offset : offset + limit]
        assert (cut.total, cut.limit, cut.offset) == (len(whole), limit, offset)
    assert lead_page(lead_list, ListQuery(), 5, len(whole)).leads == []
    assert lead_page(lead_list, ListQuery(), 5, 10**9).total == len(whole)


def test_pages_of_a_tier(lead_list: LeadList) -> None:
    whole = lead_page(lead_list, ListQuery(), 1000, 0).leads
    assert len({lead.tier for lead in whole}) > 1
    for tier in ("very_high", "high", "medium", "low"):
        of_tier = [lead for lead in whole if lead.tier == tier]
        cut = lead_page(lead_list, ListQuery(filters={"tier": tier}), 3, 1)
        assert cut.leads == of_tier[1:4]
        assert cut.total == len(of_tier)


# Labels


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("label", LABELS)
def test_labels_stay_text(tmp_path: Path, pipeline: Pipeline, file_format: str, label: str) -> None:
    leads = pipeline.leads.head(3).assign(INDUSTRY=pd.Series([label, None, label], dtype="str"))
    write(tmp_path, leads, pipeline, file_format)
    found = lead_page(read(tmp_path), ListQuery(), 3, 0).leads
    assert [lead.INDUSTRY for lead in found] == [label, None, label]


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("ranges", [["1", "1", "1"], ["1", None, "1"], [None, None, None]])
def test_a_list_of_one_person_companies(
    tmp_path: Path, pipeline: Pipeline, file_format: str, ranges: list[str | None]
) -> None:
    leads = pipeline.leads.head(3).assign(EMPLOYEE_RANGE=pd.Series(ranges, dtype="str"))
    write(tmp_path, leads, pipeline, file_format)
    found = lead_page(read(tmp_path), ListQuery(), 3, 0).leads
    assert [lead.EMPLOYEE_RANGE for lead in found] == ranges


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_list_of_companies_never_seen(tmp_path: Path, pipeline: Pipeline, file_format: str) -> None:
    never = pipeline.leads[pipeline.leads["last_active_week"].isna()].head(3)
    write(tmp_path, never, pipeline, file_format)
    found = lead_page(read(tmp_path), ListQuery(), 3, 0).leads
    assert [(lead.last_active_week, lead.last_week_actions, lead.last_week_users) for lead in found] == [
        (None, None, None)
    ] * 3


@pytest.mark.parametrize("file_format", FORMATS)
def test_long_ids(tmp_path: Path, pipeline: Pipeline, file_format: str) -> None:
    ids = [2**53 + 1, -(10**18) + 1, 10**18 - 1]
    write(tmp_path, pipeline.leads.head(3).assign(id=ids), pipeline, file_format)
    lead_list = read(tmp_path)
    assert [lead.id for lead in lead_page(lead_list, ListQuery(), 3, 0).leads] == ids
    assert find_lead(lead_list, ids[0]) is not None
    assert find_lead(lead_list, ids[0] - 1) is None


# One lead


def test_a_lead_with_its_usage(lead_list: LeadList, pipeline: Pipeline) -> None:
    whole = {lead.id: lead for lead in lead_page(lead_list, ListQuery(), 1000, 0).leads}
    for company, lead in list(whole.items())[::4]:
        found = find_lead(lead_list, company)
        assert isinstance(found, LeadWithUsage)
        assert found.model_dump(exclude={"usage"}) == lead.model_dump()
        usage = [week.model_dump(mode="json") for week in found.usage]
        assert usage == history(pipeline, company)["usage"]
        assert usage == sorted(usage, key=lambda week: week["WHEN_TIMESTAMP"])
    never = next(lead.id for lead in whole.values() if lead.last_active_week is None)
    found = find_lead(lead_list, never)
    assert found is not None
    assert found.usage == []
    assert list(UsageWeek.model_fields)[1:] == list(MEASURES)


@pytest.mark.parametrize("company", [0, -1, 999_999_999, 10**18 - 1, 10**30])
def test_who_is_not_on_the_list(lead_list: LeadList, company: int) -> None:
    assert find_lead(lead_list, company) is None


def test_a_customer_is_not_on_the_list(lead_list: LeadList, pipeline: Pipeline) -> None:
    customers = pipeline.companies.loc[pipeline.companies["CLOSEDATE"].notna(), "id"]
    assert len(customers)
    for company in customers:
        assert find_lead(lead_list, company) is None
