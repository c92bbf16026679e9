from __future__ import annotations

from typing import get_args

import numpy as np
import pandas as pd
import pytest

from conversion.config.model_params import MemberType
from conversion.modelling.calibration import calibrated
from conversion.modelling.ensemble import raw_probability
from conversion.stats.losses import log_odds
from tests.conversion.modelling.fits import export, fitted, mixed_up, scores

FAMILY_NAMES = get_args(MemberType)


@pytest.mark.parametrize(
    "members", [("logistic_regression", "xgboost"), ("xgboost", "random_forest"), FAMILY_NAMES]
)
def test_an_ensemble_is_the_mean_of_its_members_log_odds(members: tuple[str, ...]) -> None:
    latest = export().latest
    ensemble = fitted(model__type="ensemble", model__ensemble__members=members)
    alone = [fitted(model__type=name) for name in members]
    assert list(ensemble.members_) == list(members)
    expected = np.mean([log_odds(scores(member, latest)) for member in alone], axis=0)
    np.testing.assert_allclose(log_odds(scores(ensemble, latest)), expected, rtol=0, atol=1e-9)
    shares = np.mean([member.explain(latest) for member in alone], axis=0)
    np.testing.assert_allclose(ensemble.explain(latest), shares, rtol=0, atol=1e-12)
    importance = sum(member.get_feature_importance() for member in alone) / len(members)
    found = ensemble.get_feature_importance()
    pd.testing.assert_series_equal(found, importance[found.index], check_names=False, rtol=1e-12)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_rows_score_the_same_in_blocks_of_any_size(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(model__type=family)
    (member,) = model.members_.values()
    values = mixed_up(model, export().latest)
    raw, scored = member.raw_probability(values), member.scores(values)
    for rows in (70, 100, 149, 299, 300):
        monkeypatch.setattr(type(member.scorer), "rows_at_once", rows)
        assert member.raw_probability(values).tobytes() == raw.tobytes()
        for found, expected in zip(member.scores(values), scored, strict=True):
            assert found.tobytes() == expected.tobytes()


def test_the_order_of_members_is_of_no_account() -> None:
    one, other = (
        fitted(model__type="ensemble", model__ensemble__members=members)
        for members in (("logistic_regression", "xgboost"), ("xgboost", "logistic_regression"))
    )
    np.testing.assert_allclose(scores(one, export().latest), scores(other, export().latest), rtol=1e-12)


def test_members_are_not_calibrated_but_their_mean_is() -> None:
    model = fitted(model__type="ensemble", train__calibration="sigmoid", train__threshold="f1")
    values = model.values(export().latest)
    members = list(model.members_.values())
    for member in members:
        assert set(vars(member)) == {"preprocessor", "scorer", "base_log_odds"}
        assert not hasattr(member.scorer, "calibrator_")
    raw = raw_probability(members, values)
    np.testing.assert_array_equal(model.probability(values), calibrated(model.calibrator_, raw))
    assert not np.allclose(raw, model.probability(values))


def test_an_ensemble_of_summaries_is_of_its_members_summary_models() -> None:
    ensemble = fitted(model__type="ensemble").summary_
    parts = [fitted(model__type=name).summary_ for name in ensemble.scorers]
    expected = np.mean([log_odds(scores(part, export().latest)) for part in parts], axis=0)
    np.testing.assert_allclose(log_odds(scores(ensemble, export().latest)), expected, rtol=0, atol=1e-9)
