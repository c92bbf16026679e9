from __future__ import annotations

from pathlib import Path

import pandas as pd

from conversion.delivery.ledger import Delivery
from conversion.delivery.publish import CURRENT, PUBLISHED, Publication, current, publish
from conversion.leads.lead_files import read_lead_files, read_reason_facts
from conversion.runtime.files import read_json, write_json
from tests.lead_files import write_list
from tests.ledgers import deliver, small_design
from tests.pipeline import Pipeline
from tests.serving import projects_pipeline, small_pipeline

HELD = small_design(6, holdout=0.4, explore=0.2)


def delivered(root: Path, pipeline: Pipeline, **more: str) -> Delivery:
    """Freeze a pipeline's list, with the project's files around it."""
    delivery = deliver(root, pipeline, HELD, **more)  # type: ignore[arg-type]
    write_list(root, pipeline, "csv", model_sha256=read_json(root / "models/model.json")["sha256"])
    write_json(root / "data/track_record.json", {})
    return delivery


def publication(root: Path, pipeline: Pipeline, delivery: Delivery, text: str = "calls") -> Publication:
    files = read_lead_files(root, pipeline.contract)
    assert files is not None
    score = pipeline.params.score.model_copy(update={"format": "csv"})

    def write_more(folder: Path) -> None:
        (folder / "calls.txt").write_text(text, encoding="utf-8")

    return Publication(delivery, files, read_reason_facts(root, files), score, write_more)


def test_what_is_published_is_the_list_without_those_who_must_not_be_called(tmp_path: Path) -> None:
    for name, pipeline in (("hubspot", small_pipeline()), ("projects", projects_pipeline())):
        root = tmp_path / name
        delivery = delivered(root, pipeline)
        folder = publish(root, publication(root, pipeline, delivery))

        published = read_lead_files(folder, pipeline.contract)
        assert published is not None
        companies, leads = delivery.companies(), published.leads
        held = companies.loc[companies["status"] == "held_back", "id"]
        assert len(held)
        assert set(leads["id"]) == set(companies["id"]) - set(held)
        called = companies.dropna(subset="place").sort_values("place")["id"].tolist()
        assert leads["id"].head(len(called)).tolist() == called
        top = pd.read_csv(folder / "data/leads/top_leads.csv", dtype={"id": leads["id"].dtype})
        assert len(top) == len(called)
        # Nothing was delivered before: the list compares with a week before by the same model.
        own = pipeline.leads.set_index("id")["rank_before"].loc[leads["id"]]
        assert leads["rank_before"].tolist() == own.tolist()
        facts = read_reason_facts(folder, published).set_index("id")
        assert facts.loc[called, "fact_1"].equals(companies.set_index("id").loc[called, "fact_1"])


def test_the_same_again_changes_nothing_and_other_files_get_a_folder_of_their_own(tmp_path: Path) -> None:
    pipeline = small_pipeline()
    delivery = delivered(tmp_path, pipeline)

    first = publish(tmp_path, publication(tmp_path, pipeline, delivery))
    again = publish(tmp_path, publication(tmp_path, pipeline, delivery))
    other = publish(tmp_path, publication(tmp_path, pipeline, delivery, "other calls"))

    assert first == again
    assert other.name == f"{first.name}_again=2"
    assert current(tmp_path) == other.resolve()
    assert (tmp_path / PUBLISHED / CURRENT / "calls.txt").read_text(encoding="utf-8") == "other calls"
    assert (first / "calls.txt").read_text(encoding="utf-8") == "calls"


def test_the_publication_before_stays_and_older_ones_and_leftovers_go(tmp_path: Path) -> None:
    pipeline = small_pipeline()
    delivery = delivered(tmp_path, pipeline)
    left = tmp_path / PUBLISHED / ".as_of=2019-10-14_delivery=1.9999999.tmp"
    left.mkdir(parents=True)

    folders = [publish(tmp_path, publication(tmp_path, pipeline, delivery, text)) for text in ("1", "2", "3")]

    assert [folder.is_dir() for folder in folders] == [False, True, True]
    assert {path.name for path in (tmp_path / PUBLISHED).iterdir()} == {
        CURRENT,
        *(folder.name for folder in folders[1:]),
    }


def test_nothing_is_current_before_the_first_publication(tmp_path: Path) -> None:
    assert current(tmp_path) is None
