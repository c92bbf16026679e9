from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conversion.delivery.ledger import (
    COLUMNS,
    COMPANIES,
    DESCRIPTION,
    MANIFEST,
    MODEL,
    last_before,
    latest_deliveries,
    read_deliveries,
)
from conversion.runtime.errors import ArtifactError, DeliveryError
from conversion.runtime.files import write_json
from conversion.runtime.seals import sealed
from conversion.stats.rank_order import rank_order
from tests.ledgers import deliver, small_design
from tests.pipeline import Pipeline
from tests.serving import projects_pipeline, small_pipeline

EARLIER = "2019-09-16"


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("pipeline", [small_pipeline(), projects_pipeline()], ids=["hubspot", "projects"])
def test_a_delivery_keeps_what_the_list_said(tmp_path: Path, pipeline: Pipeline) -> None:
    delivery = deliver(tmp_path, pipeline, small_design(6, holdout=0.3, explore=0.2))
    companies, features, leads = delivery.companies(), delivery.features(), pipeline.leads

    assert companies["id"].tolist() == features["id"].tolist() == leads["id"].tolist()
    assert list(companies)[: len(COLUMNS) + 1] == ["id", *COLUMNS]
    assert companies["probability"].tolist() == leads["probability"].tolist()
    on_list = companies["place"].notna()
    assert on_list.sum() == 6
    assert companies.loc[on_list, "reason_1"].equals(leads.loc[on_list, "reason_1"])
    for sentence in ("reason_1", "fact_1", "evidence", *pipeline.contract.companies.attributes):
        assert companies.loc[~on_list, sentence].isna().all()
    has_reason = companies.loc[on_list, "reason_1"].notna()
    facts = {fact.key for fact in _facts(pipeline)}
    assert set(companies.loc[on_list, "fact_1"][has_reason]) <= facts
    model = delivery.model()
    logs = model.base_log_odds_ + model.contributions(model.values(features)).sum(axis=1)
    np.testing.assert_allclose(companies["log_odds"], logs, atol=1e-7)
    assert np.round(model.probability(model.values(features)), 9).tolist() == leads["probability"].tolist()
    assert delivery.contract() == pipeline.contract


def _facts(pipeline: Pipeline) -> tuple:  # type: ignore[type-arg]
    from conversion.features.facts import facts_of

    return facts_of(pipeline.model.features, pipeline.contract)


def test_the_rule_ranks_by_users_of_the_last_four_weeks() -> None:
    pipeline = small_pipeline()
    from tests.ledgers import tables_of

    companies = tables_of(pipeline).companies
    features = pipeline.latest.set_index("id").loc[companies["id"]].reset_index()
    order = rank_order(features["users_max_4w"], features["id"])

    assert companies["rule_rank"].iloc[order].tolist() == list(range(1, len(companies) + 1))


def test_the_same_list_twice_writes_nothing_and_gives_the_same_bytes(tmp_path: Path) -> None:
    pipeline = small_pipeline()

    first = deliver(tmp_path / "a", pipeline)
    before = contents(tmp_path / "a" / "ledger")
    again = deliver(tmp_path / "a", pipeline)
    deliver(tmp_path / "b", pipeline)

    assert first == again
    assert contents(tmp_path / "a" / "ledger") == before == contents(tmp_path / "b" / "ledger")


def test_another_list_for_a_week_is_refused_without_a_reason_and_both_stay_with_one(tmp_path: Path) -> None:
    pipeline = small_pipeline()
    deliver(tmp_path, pipeline)
    before = contents(tmp_path / "ledger")

    with pytest.raises(DeliveryError, match=r"delivery 1 went out already .*its calls, companies.parquet"):
        deliver(tmp_path, pipeline, small_design(7))
    assert contents(tmp_path / "ledger") == before
    corrected = deliver(tmp_path, pipeline, small_design(7), correction="three reps are ill")
    again = deliver(tmp_path, pipeline, small_design(7), correction="three reps are ill")

    assert (corrected.number, corrected.manifest.reason) == (2, "three reps are ill")
    assert again == corrected
    after = contents(tmp_path / "ledger")
    assert {name: after[name] for name in before} == before
    assert latest_deliveries(read_deliveries(tmp_path)) == (corrected,)


def test_nothing_can_be_corrected_before_it_was_delivered(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="nothing was delivered yet"):
        deliver(tmp_path, small_pipeline(), correction="why not")
    assert read_deliveries(tmp_path) == ()


def test_the_ledger_is_one_table(tmp_path: Path) -> None:
    early, late = small_pipeline(as_of=EARLIER), small_pipeline()
    deliver(tmp_path, late)
    deliver(tmp_path, early, small_design(4, holdout=0.4))
    deliver(tmp_path, late, small_design(5), correction="shorter")

    table = pd.read_parquet(tmp_path / "ledger")

    assert len(table) == 2 * len(late.leads) + len(early.leads)
    calls = table[table["place"].notna()].groupby(["as_of", "delivery"], observed=True).size()
    assert calls.to_dict() == {(EARLIER, 1): 4, ("2019-10-14", 1): 10, ("2019-10-14", 2): 5}
    read = read_deliveries(tmp_path)
    assert [(f"{each.as_of}", each.number) for each in read] == [*calls.index]
    assert last_before(read, dt.date(2019, 10, 14)) == read[0]
    assert last_before(read, dt.date(2019, 10, 21)) == read[2]
    assert last_before(read, dt.date(2019, 9, 16)) is None


def test_a_changed_file_is_refused_by_name(tmp_path: Path) -> None:
    delivery = deliver(tmp_path, small_pipeline())
    companies = delivery.folder / COMPANIES
    companies.write_bytes(companies.read_bytes()[:-1] + b"?")

    with pytest.raises(ArtifactError, match=r"companies.parquet: sha256 is .*dvc checkout ledger.dvc"):
        delivery.companies()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content | {"calls": 99}, "it was edited"),
        (lambda content: sealed({**_unsealed(content), "number": 2}), "its folder was renamed"),
        (
            lambda content: sealed({**_unsealed(content), "calls": "ten"}),
            "calls: Input should be a valid integer",
        ),
    ],
)
def test_a_manifest_that_was_edited_is_refused(tmp_path: Path, change: object, message: str) -> None:
    path = deliver(tmp_path, small_pipeline()).folder / MANIFEST
    write_json(path, change(json.loads(path.read_text(encoding="utf-8"))))  # type: ignore[operator]

    with pytest.raises(ArtifactError, match=message):
        read_deliveries(tmp_path)


def _unsealed(content: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in content.items() if name != "sha256"}


def test_a_tracked_ledger_that_was_not_pulled_is_not_begun_anew(tmp_path: Path) -> None:
    deliver(tmp_path, small_pipeline())
    (tmp_path / "ledger.dvc").write_text("outs: []\n", encoding="utf-8")
    shutil.rmtree(tmp_path / "ledger")

    with pytest.raises(ArtifactError, match="dvc pull ledger"):
        deliver(tmp_path, small_pipeline())
    assert not (tmp_path / "ledger").exists()


def test_what_a_killed_delivery_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "ledger" / ".as_of=2019-10-14_delivery=1.9999999.tmp"
    left.mkdir(parents=True)
    (left / COMPANIES).write_bytes(b"half")
    (tmp_path / "ledger" / "as_of=2019-10-14").mkdir()

    assert read_deliveries(tmp_path) == ()
    delivery = deliver(tmp_path, small_pipeline())

    assert not left.exists()
    assert read_deliveries(tmp_path) == (delivery,)


@pytest.mark.parametrize("content", [b"[1", b"\xff\xfe", None], ids=["no JSON", "no text", "no file"])
def test_a_broken_ledger_is_restored_not_made_again(tmp_path: Path, content: bytes | None) -> None:
    delivery = deliver(tmp_path, small_pipeline())
    for name in (MODEL, DESCRIPTION, MANIFEST):
        path = delivery.folder / name
        whole = path.read_bytes()
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(ArtifactError, match=r"'dvc checkout ledger\.dvc' restores it"):
            read_deliveries(tmp_path)[0].model()
        path.write_bytes(whole)


def test_files_beside_the_deliveries_are_passed_over(tmp_path: Path) -> None:
    deliver(tmp_path, small_pipeline())
    (tmp_path / "ledger/as_of=2030-01-07").touch()
    assert len(read_deliveries(tmp_path)) == 1
