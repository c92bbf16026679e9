from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conversion.config.gate_params import Gate
from conversion.data.timeline import WEEK
from conversion.delivery.gate_volumes import check_missing, check_volumes, usual
from tests.contract_files import hubspot
from tests.exports import ACTIONS, MEASURES, USERS
from tests.pipeline import small_params

AS_OF = pd.Timestamp("2020-03-02")
CONTRACT = hubspot()


def settings() -> Gate:
    return small_params().gate


def steady(
    weeks: int = 12, rows: int = 400, as_of: pd.Timestamp = AS_OF
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give companies of which 40 are new each week, and the same usage each week but for chance."""
    rng = np.random.default_rng(0)
    monday = as_of - np.arange(weeks, 0, -1) * WEEK
    usage = pd.DataFrame(
        {
            "id": np.concatenate([40 * week + np.arange(rows) for week in range(weeks)]),
            "WHEN_TIMESTAMP": np.repeat(monday, rows),
        }
    )
    usage[list(ACTIONS)] = 1 + rng.poisson(9, (len(usage), len(ACTIONS)))
    usage[list(USERS)] = 1
    companies = pd.DataFrame({"id": np.unique(usage["id"])}).assign(
        ALEXA_RANK=np.where(rng.random(40 * (weeks - 1) + rows) < 0.3, np.nan, 5000.0),
        EMPLOYEE_RANGE="2 to 5",
        INDUSTRY=None,
        unranked=0.0,
    )
    return companies, usage


def found(companies: pd.DataFrame, usage: pd.DataFrame, as_of: pd.Timestamp = AS_OF) -> dict[str, str]:
    return {each.name: each.status for each in check_volumes(companies, usage, as_of, CONTRACT, settings())}


def in_last_week(usage: pd.DataFrame) -> pd.Series:
    return usage["WHEN_TIMESTAMP"] == usage["WHEN_TIMESTAMP"].max()


def test_steady_weeks_are_ok() -> None:
    assert set(found(*steady()).values()) == {"ok"}


def test_a_module_without_events_stops() -> None:
    companies, usage = steady()
    usage.loc[in_last_week(usage), "ACTIONS_EMAIL"] = 0
    statuses = found(companies, usage)
    assert [name for name, status in statuses.items() if status != "ok"] == ["actions_email"]
    assert statuses["actions_email"] == "stop"


def test_a_half_loaded_week_stops() -> None:
    companies, usage = steady()
    half = usage[~in_last_week(usage) | (usage["id"] % 2 == 0)]
    statuses = found(companies, half)
    assert statuses["usage_rows"] == statuses["active_companies"] == "stop"


def test_a_week_with_everything_twice_stops() -> None:
    companies, usage = steady()
    usage.loc[in_last_week(usage), list(MEASURES)] *= 2
    assert found(companies, usage)["actions_crm_deals"] == "stop"
    twice = pd.concat([usage, usage[in_last_week(usage)]])
    assert found(companies, twice)["usage_rows"] == "stop"


def test_no_usage_at_all_stops() -> None:
    companies, usage = steady()
    assert found(companies, usage[~in_last_week(usage)])["usage_rows"] == "stop"


def test_at_the_turn_of_the_year_a_volume_is_only_watched() -> None:
    as_of = pd.Timestamp("2019-12-30")  # the week that begins on 2019-12-23 is ISO week 52
    companies, usage = steady(as_of=as_of)
    half = usage[~in_last_week(usage) | (usage["id"] % 2 == 0)]
    assert set(found(companies, half, as_of).values()) == {"ok", "watch"}


def test_one_odd_week_before_changes_little() -> None:
    companies, usage = steady()
    odd = usage[(usage["WHEN_TIMESTAMP"] != AS_OF - 4 * WEEK) | (usage["id"] % 10 == 0)]
    assert set(found(companies, odd).values()) == {"ok"}


def test_few_weeks_tell_nothing() -> None:
    companies, usage = steady(weeks=4)
    checks = list(check_volumes(companies, usage, AS_OF, CONTRACT, settings()))
    assert {each.status for each in checks} == {"ok"}
    assert all("only 4 weeks" in each.sentence for each in checks)


def test_usual_by_hand() -> None:
    # Logarithms 0, 1, 2, 4: the middle is 1.5, deviations .5, .5, 1.5, 2.5, their median 1.
    values = np.exp([0.0, 1.0, 2.0, 4.0])
    middle, spread = usual(values, np.full(4, 1e12), 0.1)
    assert middle == pytest.approx(1.5)
    assert spread == pytest.approx(1.4826)
    assert usual(np.full(4, 100.0), np.full(4, 100.0), 0.1)[1] == pytest.approx(np.sqrt(0.01 + 0.01))


class TestMissing:
    def statuses(self, companies: pd.DataFrame, usage: pd.DataFrame) -> dict[str, str]:
        checks = check_missing(companies, usage, AS_OF, CONTRACT, settings())
        return {each.name: each.status for each in checks}

    def test_of_all_companies(self) -> None:
        companies, usage = steady()
        statuses = self.statuses(companies, usage)
        assert statuses["missing_industry"] == "stop"
        assert statuses["missing_alexa_rank"] == statuses["missing_employee_range"] == "ok"

    def test_of_the_new_companies_of_the_last_week(self) -> None:
        companies, usage = steady()
        new = companies["id"] >= companies["id"].max() - 39
        assert self.statuses(companies, usage)["missing_employee_range_new"] == "ok"
        companies.loc[new, "EMPLOYEE_RANGE"] = None
        statuses = self.statuses(companies, usage)
        assert statuses["missing_employee_range_new"] == "stop"
        assert statuses["missing_employee_range"] == "ok"

    def test_not_applicable_is_not_missing(self) -> None:
        companies, usage = steady()
        companies = companies.assign(ALEXA_RANK=np.nan)
        assert self.statuses(companies, usage)["missing_alexa_rank"] == "stop"
        assert self.statuses(companies.assign(unranked=1.0), usage)["missing_alexa_rank"] == "ok"
