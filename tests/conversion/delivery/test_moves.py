from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conversion.delivery.call_list import call_list
from conversion.delivery.move_path import ThisWeek
from conversion.delivery.moves import PARTS, moves
from tests.contract_files import projects
from tests.exports import USAGE_ACTIONS, projects_export, tiny_export
from tests.ledgers import small_design
from tests.pipeline import Pipeline, small_params

LAST, NOW = "2019-09-23", "2019-09-30"
SPLIT = [f"moved_{part}" for part in PARTS]


def companies_of(pipeline: Pipeline) -> pd.DataFrame:
    leads = pipeline.leads
    nobody = leads["id"].head(0)
    drawn = call_list(leads["id"], pipeline.as_of.date(), small_design(8), nobody, nobody)
    return leads[["id", "rank", "probability", "reason_1"]].assign(
        status=drawn["status"].array, place=drawn["place"].array
    )


@dataclasses.dataclass
class LastList:
    """A delivery as moves read it."""

    pipeline: Pipeline

    @property
    def as_of(self) -> dt.date:
        return self.pipeline.as_of.date()

    def companies(self) -> pd.DataFrame:
        return companies_of(self.pipeline)

    def features(self) -> pd.DataFrame:
        names = [feature.name for feature in self.pipeline.model.features]
        return self.pipeline.latest[["id", *names]]

    def model(self) -> Any:
        return self.pipeline.model


def this_week(pipeline: Pipeline) -> ThisWeek:
    return ThisWeek(
        pipeline.as_of.date(),
        companies_of(pipeline),
        pipeline.latest,
        pipeline.model,
        pipeline.encoded,
        pipeline.recipe.settings,
    )


@functools.cache
def pipeline_at(as_of: str, family: str = "logistic_regression", contract: str = "hubspot") -> Pipeline:
    overrides = {"model__logistic_regression__quadratic": ["auto"]} if contract == "projects" else {}
    params = small_params(model__type=family, data__as_of=as_of, **overrides)
    if contract == "hubspot":
        return Pipeline(tiny_export(), params)
    return Pipeline(projects_export(weeks=40), params, projects())


def log_odds(pipeline: Pipeline, ids: pd.Series) -> np.ndarray:
    model = pipeline.model
    rows = pipeline.latest.set_index("id").loc[ids].reset_index()
    return model.base_log_odds_ + model.contributions(model.values(rows)).sum(axis=1)


FAMILIES = ("logistic_regression", "random_forest", "xgboost", "ensemble")


@pytest.mark.parametrize("contract", ["hubspot", "projects"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_parts_add_up_to_the_change_of_log_odds(family: str, contract: str) -> None:
    then, now = (pipeline_at(day, family, contract) for day in (LAST, NOW))
    found = moves(LastList(then), this_week(now)).dropna(subset="log_odds_change")
    assert len(found) >= 8
    difference = log_odds(now, found["id"]) - log_odds(then, found["id"])
    np.testing.assert_allclose(found["log_odds_change"], difference, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found[SPLIT].sum(axis=1), difference, rtol=0, atol=1e-9)


def test_the_same_model_moves_nothing_and_attributes_that_stay_the_same_move_nothing() -> None:
    then, now = pipeline_at(LAST), pipeline_at(NOW)
    found = moves(LastList(then), dataclasses.replace(this_week(now), model=then.model))
    found = found.dropna(subset="log_odds_change")
    assert (found["moved_model"] == 0).all()
    assert (found["moved_attributes"] == 0).all()
    assert (found["moved_activity"] != 0).any()
    assert (found["moved_windows"] != 0).any()


def test_a_corrected_row_of_an_old_week_is_activity_not_windows() -> None:
    then, now = pipeline_at(LAST), pipeline_at(NOW)
    tables = tiny_export()
    usage = tables[USAGE_ACTIONS].copy()
    company = companies_of(then)["id"].iloc[0]
    old = usage["id"].eq(company) & (usage["WHEN_TIMESTAMP"] < pd.Timestamp(LAST) - pd.Timedelta(weeks=1))
    usage.loc[old, "ACTIONS_EMAIL"] += 500
    corrected = Pipeline({**tables, USAGE_ACTIONS: usage}, now.params)
    plain, other = (
        moves(LastList(then), dataclasses.replace(this_week(each), model=then.model))
        .set_index("id")
        .loc[company]
        for each in (now, corrected)
    )
    assert plain["moved_activity"] != other["moved_activity"]
    assert other[SPLIT].sum() == pytest.approx(other["log_odds_change"], abs=1e-9)


def test_a_company_that_is_new_has_no_split_and_says_so() -> None:
    then, now = LastList(pipeline_at(LAST)), this_week(pipeline_at(NOW))
    first = now.companies["id"].iloc[0]
    whole = then.companies
    then.companies = lambda: whole()[lambda table: table["id"] != first]  # type: ignore[method-assign]
    found = moves(then, now).set_index("id").loc[first]
    assert found[["rank_before", "probability_before", "log_odds_change", *SPLIT]].isna().all()
    assert found["moved"].startswith("New on the list")


def test_models_that_read_other_features_have_a_total_and_no_split() -> None:
    then, now = pipeline_at(LAST), this_week(pipeline_at(NOW))
    frozen = LastList(then)
    fewer = frozen.features().drop(columns=now.model.features[0].name)
    frozen.features = lambda: fewer  # type: ignore[method-assign]
    small = then.model.of_features({feature.name for feature in then.model.features[1:]})
    train = then.train
    fitted = small.fit(train, train["label"].to_numpy(), train["weight"].to_numpy(), train["as_of"])
    frozen.model = lambda: fitted  # type: ignore[method-assign]
    found = moves(frozen, now)
    called = found.dropna(subset="log_odds_change")
    assert len(called)
    assert called[SPLIT].isna().all(axis=None)
    assert called["moved"].dropna().str.contains("reads other data").all()


def test_a_list_of_the_same_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="not before"):
        moves(LastList(pipeline_at(NOW)), this_week(pipeline_at(NOW)))


def test_no_sentence_tells_a_company_that_a_draw_chose_from_the_others() -> None:
    """Neither an explorer, nor one that leaves, nor one that left the control group."""
    then, now = LastList(pipeline_at(LAST)), this_week(pipeline_at(NOW))
    whole, companies = then.companies(), now.companies
    stays = [each for each in whole.loc[whole["place"].notna(), "id"] if each in set(companies["id"])]
    below = [each for each in companies["id"] if each not in stays and each in set(whole["id"])]
    gone, held_back, rested = stays[-1], below[0], below[1]
    drawn, other = below[5], below[6]
    whole.loc[whole["id"] == gone, "status"] = "explored"
    whole.loc[whole["id"].isin([held_back, rested, drawn, other]), "place"] = None
    whole.loc[whole["id"] == held_back, "status"] = "held_back"
    whole.loc[whole["id"] == rested, "status"] = "suppressed"
    then.companies = lambda: whole  # type: ignore[method-assign]
    called = [*(each for each in stays if each != gone), held_back, rested, other, drawn]
    place = companies["id"].map({each: at for at, each in enumerate(called, 1)}).astype("Int64")
    status = np.where(place.notna(), "listed", "below")
    now = dataclasses.replace(now, companies=companies.assign(place=place, status=status))
    now.companies.loc[companies["id"] == drawn, "status"] = "explored"
    found = moves(then, now).set_index("id")["moved"]
    assert found[called].notna().all()
    assert found[gone] == "Off the call list: others moved ahead"
    assert found[held_back].startswith("New on the list")
    assert found[rested].startswith("Back on the list after a pause")
    assert all(found[each].startswith("New on the call list") for each in (drawn, other))
