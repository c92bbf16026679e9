"""A list made as of an earlier week equals the list that would have been made in that week."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from conversion.data.timeline import WEEK
from conversion.evaluation import backtest
from conversion.ingest import export
from conversion.leads.lead_writers import write_leads
from tests.contract_files import hubspot
from tests.exports import CUSTOMERS, MEASURES, NONCUSTOMERS, USAGE_ACTIONS, tiny_export, write_export
from tests.pipeline import MODEL_TYPES, Pipeline, Tables, cut_at, dirty_export, small_params, typed

AS_OF = pd.Timestamp("2019-07-08")
DATES = ("2019-06-03", "2019-07-22", "2019-09-09")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_in_memory_have_the_types_that_load_gives(suffix: str, tmp_path: Path) -> None:
    tables = dirty_export()
    read = export.read_export(write_export(tables, tmp_path, suffix), hubspot()).tables
    for name, table in typed(tables).items():
        pd.testing.assert_frame_equal(read[name], table)


# Rows that are not known yet


@functools.cache
def small_export() -> Tables:
    return tiny_export(seed=5, companies=60, weeks=32)


@functools.cache
def listed() -> Pipeline:
    return travelled(small_export())


def travelled(tables: Tables) -> Pipeline:
    return Pipeline(tables, small_params(data__as_of=f"{AS_OF:%Y-%m-%d}"))


counts = st.lists(st.integers(-5, 60_000), min_size=len(MEASURES), max_size=len(MEASURES))
later_weeks = st.integers(0, 30).map(lambda weeks: AS_OF + weeks * WEEK)
later_days = st.integers(0, 500).map(lambda days: AS_OF + pd.Timedelta(days=days))


@st.composite
def other_futures(draw: st.DrawFn) -> Tables:
    """Draw exports that agree with `small_export` on what is known at `AS_OF`, and differ in the rest."""
    tables = small_export()
    customers, others, usage = (tables[name] for name in (CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS))

    later = usage.index[usage["WHEN_TIMESTAMP"] + WEEK > AS_OF]
    deleted = draw(st.sets(st.sampled_from(list(later))) | st.just(set(later)))
    usage = usage.drop(index=list(deleted))
    for row in draw(st.sets(st.sampled_from(list(later)), max_size=5)) - deleted:
        usage.loc[row, list(MEASURES)] = draw(counts)
    ids = [*customers["id"], *others["id"], 1]
    added = [
        [draw(st.sampled_from(ids)), draw(later_weeks), *draw(counts)] for _ in range(draw(st.integers(0, 5)))
    ]
    if added:
        usage = pd.concat([usage, pd.DataFrame(added, columns=list(usage))], ignore_index=True)

    free = pd.concat([customers[customers["CLOSEDATE"] >= AS_OF], others], ignore_index=True)
    converts = draw(st.lists(st.booleans(), min_size=len(free), max_size=len(free)))
    converting, staying = free[converts], free[~np.array(converts)]
    known = customers[customers["CLOSEDATE"] < AS_OF]
    again = converting.assign(
        CLOSEDATE=[draw(later_days) for _ in range(len(converting))],
        MRR=[draw(st.floats(-10, 1e6)) for _ in range(len(converting))],
    )
    returning = known[draw(st.lists(st.booleans(), min_size=len(known), max_size=len(known)))]
    returning = returning.assign(CLOSEDATE=draw(later_days), MRR=50.0, EMPLOYEE_RANGE="1", ALEXA_RANK=7.0)
    return {
        CUSTOMERS: pd.concat([returning, again, known], ignore_index=True),
        NONCUSTOMERS: staying[list(others)].reset_index(drop=True),
        USAGE_ACTIONS: usage.reset_index(drop=True),
    }


# An example takes half a second, so a failing one is not shrunk.
@settings(max_examples=15, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(tables=other_futures())
def test_what_is_not_known_changes_no_feature_no_label_and_no_score(tables: Tables) -> None:
    expected, found = listed(), travelled(tables)
    pd.testing.assert_frame_equal(found.latest, expected.latest)
    pd.testing.assert_frame_equal(found.train, expected.train)
    pd.testing.assert_frame_equal(found.backtest, expected.backtest)
    pd.testing.assert_frame_equal(found.previous, expected.previous)
    assert found.evidence == expected.evidence
    pd.testing.assert_frame_equal(found.leads, expected.leads)
    pd.testing.assert_frame_equal(found.converted.companies, expected.converted.companies)


def test_what_is_known_does_change_the_list() -> None:
    """The property above does not hold merely because the list ignores its input."""
    tables = small_export()
    usage = tables[USAGE_ACTIONS].copy()
    known = usage.index[usage["WHEN_TIMESTAMP"] == AS_OF - WEEK]
    usage.loc[known, "ACTIONS_EMAIL"] += 500
    found = travelled(tables | {USAGE_ACTIONS: usage})
    assert not found.latest.equals(listed().latest)
    assert not found.leads.equals(listed().leads)


# Cut by hand


# Calibration and threshold are fitted on out-of-time predictions; time travel covers them too.
OUT_OF_TIME = {
    "logistic_regression": {},
    "random_forest": {"train__calibration": "isotonic"},
    "xgboost": {"train__calibration": "sigmoid", "train__threshold": "f1"},
    "ensemble": {"train__calibration": "auto", "train__recency_half_life_weeks": 9},
}


@functools.cache
def whole(model_type: str, as_of: str | None) -> Pipeline:
    return Pipeline(
        dirty_export(),
        small_params(
            data__as_of=as_of,
            model__type=model_type,
            **OUT_OF_TIME[model_type],
            evaluate__first_cutoff=DATES[0],
            evaluate__refit_weeks=7,
        ),
    )


@functools.cache
def then(model_type: str, as_of: str) -> Pipeline:
    return Pipeline(
        dirty_export(), small_params(data__as_of=as_of, model__type=model_type, **OUT_OF_TIME[model_type])
    )


@pytest.mark.parametrize("as_of", DATES)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_time_travel_writes_the_bytes_of_an_export_cut_by_hand(
    model_type: str, as_of: str, tmp_path: Path
) -> None:
    travelled = then(model_type, as_of)
    tables = cut_at(dirty_export(), pd.Timestamp(as_of))
    cut = Pipeline(tables, small_params(model__type=model_type, **OUT_OF_TIME[model_type]))
    assert cut.as_of == travelled.as_of == pd.Timestamp(as_of)
    assert len(tables[CUSTOMERS]) < len(dirty_export()[CUSTOMERS])
    for suffix in (".csv", ".json", ".parquet"):
        write_leads(travelled.leads, tmp_path / f"travelled{suffix}")
        write_leads(cut.leads, tmp_path / f"cut{suffix}")
        written = (tmp_path / f"travelled{suffix}").read_bytes()
        assert written == (tmp_path / f"cut{suffix}").read_bytes()
        assert len(written) > 1000
    pd.testing.assert_frame_equal(cut.previous, travelled.previous)
    assert cut.evidence == travelled.evidence
    for now, by_hand in zip(beside_the_list(travelled), beside_the_list(cut), strict=True):
        pd.testing.assert_frame_equal(by_hand, now, check_exact=True)
        assert len(now) > 5


def beside_the_list(pipeline: Pipeline) -> tuple[pd.DataFrame, ...]:
    converted = pipeline.converted
    return pipeline.ranked.contributions, converted.companies, converted.contributions


# The backtest measures the lists that would have been made


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_backtest_predicts_what_time_travel_lists(model_type: str) -> None:
    """On an export with quarantined conversions: rows with open labels are left out, the rest is the list."""
    pipeline = whole(model_type, None)
    predictions = backtest.backtest(pipeline.train, pipeline.backtest, pipeline.params, pipeline.contract)
    refits = predictions["fitted_as_of"].unique()
    assert tuple(f"{refit:%Y-%m-%d}" for refit in refits) == DATES
    converted = pipeline.companies.set_index("id")
    left_out = 0
    for refit in refits:
        leads = then(model_type, f"{refit:%Y-%m-%d}").leads.set_index("id")
        measured = predictions[predictions["as_of"] == refit].set_index("id")
        listed_too = leads.loc[measured.index, "probability"]
        np.testing.assert_allclose(measured["probability"], listed_too, rtol=0, atol=1e-9)
        missing = converted.loc[leads.index.difference(measured.index)]
        assert not missing["conversion_valid"].any()
        assert (missing["CLOSEDATE"] >= refit).all()
        assert (missing["CLOSEDATE"] < refit + pd.Timedelta(days=30)).all()
        left_out += len(missing)
    assert left_out > 0, "the export has quarantined conversions to leave out"
