from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from conversion.modelling.ensemble import raw_probability
from conversion.modelling.families import make_model
from conversion.stats.losses import log_odds
from tests.contract_files import hubspot
from tests.conversion.modelling.fits import (
    SECTORS,
    export,
    fit_invented,
    fitted,
    invented,
    mixed_up,
    scores,
    short_of_the_score,
)
from tests.pipeline import MODEL_TYPES, small_params

# What preprocessing makes of gaps, scales and sectors


@pytest.mark.parametrize(
    ("model_type", "imputation"),
    [
        *[
            ("logistic_regression", how)
            for how in ("auto", "mean", "median", "most_frequent", "zero", "constant")
        ],
        *[(model_type, how) for model_type in ("random_forest", "xgboost") for how in ("auto", "constant")],
    ],
)
def test_gaps_are_filled_in_any_column(model_type: str, imputation: str) -> None:
    """Also in columns that had none in training, and in one that had nothing else."""
    model = fit_invented(
        400, ("days_active",), model__type=model_type, train__imputation=imputation, train__fill_value=-1.0
    )
    frame = invented(5)[0]
    gaps = frame.copy()
    gaps[[name for name in gaps if name != "sector"]] = np.nan
    assert np.isfinite(scores(model, gaps)).all()
    assert np.isfinite(model.explain(gaps)).all(axis=None)
    assert np.isfinite(scores(model, frame)).all(), "a value where training had none"


@pytest.mark.parametrize(
    ("imputation", "same_as"),
    [("zero", {"size": 0.0}), ("constant", {"size": 7.0}), ("mean", None), ("median", None), ("auto", None)],
)
def test_what_a_gap_is_filled_with(imputation: str, same_as: dict[str, float] | None) -> None:
    model = fit_invented(
        400,
        train__imputation=imputation,
        train__fill_value=7.0,
        model__logistic_regression__quadratic=["recency_weeks", "size"],
    )
    frame = invented(400)[0]
    fill = {"mean": frame["size"].mean(), "median": frame["size"].median(), "auto": frame["size"].mode()[0]}
    filled = frame.assign(size=(same_as or {"size": fill.get(imputation)})["size"])
    np.testing.assert_allclose(
        scores(model, frame.assign(size=np.nan)), scores(model, filled), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    ("model_type", "scaling"),
    [
        *[("logistic_regression", how) for how in ("standard", "minmax", "robust", "none")],
        ("random_forest", "robust"),
        ("xgboost", "minmax"),
    ],
)
def test_scaling(model_type: str, scaling: str) -> None:
    model = fit_invented(
        400, model__type=model_type, train__scaling=scaling, model__logistic_regression__C=1.0
    )
    frame, label, _ = invented(400, seed=2)
    assert roc_auc_score(label, scores(model, frame)) > 0.8


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_rare_sectors_are_grouped_and_ones_outside_of_the_contract_are_unknown(model_type: str) -> None:
    frame, label, as_of = invented(600)
    rare, common = SECTORS[5], SECTORS[:4]
    frame.loc[frame.index[:3], "sector"] = rare
    model = make_model(small_params(model__type=model_type), hubspot()).fit(frame, label, np.ones(600), as_of)
    expected = sorted(
        [*(f"category__sector_{sector}" for sector in common), "category__sector_infrequent_sklearn"]
    )
    for member in model.members_.values():
        names = member.preprocessor.get_feature_names_out()
        assert sorted(name for name in names if name.startswith("category")) == expected
    one = frame.iloc[[50]]
    found = {
        sector: scores(
            model, one.assign(sector=pd.Categorical([sector], categories=[*SECTORS, "Spaceflight"]))
        )[0]
        for sector in (*SECTORS, "Spaceflight")
    }
    assert found[rare] == found[SECTORS[7]]
    assert found["Spaceflight"] == found["Unknown"]
    assert model.get_feature_importance().index.tolist().count("sector") == 1


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_category_that_training_never_saw(model_type: str) -> None:
    """With no rare sector in training there is no group for it: it is none of the known ones."""
    model = fit_invented(400, model__type=model_type)
    unseen = invented(400)[0].assign(sector=pd.Categorical([SECTORS[9]] * 400, categories=list(SECTORS)))
    assert np.isfinite(scores(model, unseen)).all()


# Importance


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_one_telling_feature_is_the_most_important(model_type: str) -> None:
    model = fit_invented(model__type=model_type)
    importance = model.get_feature_importance()
    assert importance.index[0] == "actions_4w"
    assert importance.iloc[0] > 2 * importance.iloc[1]
    assert importance.sum() == pytest.approx(1)
    assert (importance >= 0).all()
    assert importance.is_monotonic_decreasing
    assert sorted(importance.index) == sorted(feature.name for feature in model.features)


# Explanations


@pytest.mark.parametrize("calibration", ["none", "sigmoid"])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_contributions_add_up_to_the_score(model_type: str, calibration: str) -> None:
    both, latest = fitted(model__type=model_type, train__calibration=calibration), export().latest
    for model in (both, both.summary_):
        contributions = model.explain(latest)
        assert list(contributions) == [feature.name for feature in model.features]
        assert np.ptp(contributions.sum(axis=1)) > 0.01, "there is something to explain"
        for values in (model.values(latest), mixed_up(model, latest)):
            np.testing.assert_allclose(short_of_the_score(model, values), 0, rtol=0, atol=1e-6)


def test_contributions_add_up_where_log_odds_are_clipped() -> None:
    """A probability below 1e-9 counts as 1e-9, in the mean of an ensemble too."""
    for model_type in ("logistic_regression", "ensemble"):
        model = fitted(model__type=model_type, model__logistic_regression__C=10.0)
        numbers = [50.0 if feature.kind != "category" else 1.0 for feature in model.features]
        far = model.values(export().latest) * numbers
        raw = raw_probability([model.members_["logistic_regression"]], far)
        assert (raw < 1e-9).any() or (raw > 1 - 1e-9).any()
        np.testing.assert_allclose(short_of_the_score(model, far), 0, rtol=0, atol=1e-6)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_base_is_the_log_odds_of_an_average_snapshot(model_type: str) -> None:
    """Contributions of training snapshots, which weigh as they do in a fit, are of both signs around it."""
    model, train = fitted(model__type=model_type), export().train
    assert log_odds(scores(model, train)).min() < model.base_log_odds_ < log_odds(scores(model, train)).max()
    contributions = model.explain(train)
    moving = contributions.loc[:, np.ptp(contributions, axis=0) > 0.1]
    assert moving.shape[1] > 0
    assert ((moving.min() < 0) & (moving.max() > 0)).all()


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_telling_feature_explains(model_type: str) -> None:
    contributions = fit_invented(model__type=model_type).explain(invented(seed=3)[0])
    frame = invented(seed=3)[0]
    strongest = contributions.abs().idxmax(axis=1)
    assert (strongest[frame["actions_4w"] >= 9] == "actions_4w").mean() > 0.8
    assert (contributions.loc[frame["actions_4w"] == 9, "actions_4w"] > 0).all()
    assert (contributions.loc[frame["actions_4w"] == 1, "actions_4w"] < 0).all()
