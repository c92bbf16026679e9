"""What the service refuses to start with: its own check in this process, and what `bentoml serve` prints."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bentoml.exceptions import BentoMLException

from conversion.modelling.artifact import save_model
from conversion.runtime.files import write_json
from conversion.serving.service import ConversionService
from tests.server import copy_of, refusal_to_start, set_serve

pytestmark = pytest.mark.slow

Refuses = Callable[..., None]


@pytest.fixture
def copied(served: Path, tmp_path: Path) -> Path:
    return copy_of(served, tmp_path / "copied")


@pytest.fixture
def refuses(monkeypatch: pytest.MonkeyPatch) -> Refuses:
    """Check that the service refuses a folder with a message of one line."""

    def check(folder: Path, message: str, **env: str) -> None:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(ConversionService, "working_dir", str(folder))
        with pytest.raises(BentoMLException) as caught:
            ConversionService.inner.check()  # type: ignore[attr-defined]  # it is a Service
        assert re.fullmatch(rf".*{re.escape(message)}.*", str(caught.value)), str(caught.value)

    return check


def test_what_is_whole_is_not_refused(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConversionService, "working_dir", str(served))
    ConversionService.inner.check()  # type: ignore[attr-defined]  # it is a Service


def test_with_another_model_than_described(copied: Path, refuses: Refuses) -> None:
    with (copied / "models" / "model.joblib").open("ab") as file:
        file.write(b"\0")
    refuses(copied, "models/model.joblib: sha256 is ")


def test_with_a_broken_list_of_registered_versions(copied: Path, refuses: Refuses) -> None:
    (copied / "models" / "registered.json").write_text("{", encoding="utf-8")
    refuses(copied, "models/registered.json: not a list of registered versions (")


def test_with_another_object_than_a_model(copied: Path, refuses: Refuses) -> None:
    save_model({"weights": [1.0]}, {"model_type": "xgboost"}, copied / "models")
    refuses(copied, "models/model.joblib: holds a dict, should be a ConversionModel; run")


def test_with_a_description_that_lacks_something(copied: Path, refuses: Refuses) -> None:
    description = json.loads((copied / "models" / "model.json").read_text(encoding="utf-8"))
    del description["params"]
    write_json(copied / "models" / "model.json", description)
    refuses(copied, "models/model.json: params: field required; run")


def test_with_another_model_than_the_allowed_one(served: Path, refuses: Refuses) -> None:
    message = "but CONVERSION_MODEL_SHA256 allows " + "0" * 64
    refuses(served, message, CONVERSION_MODEL_SHA256="0" * 64)


def test_with_an_edited_lead_list(copied: Path, refuses: Refuses) -> None:
    path = copied / "data" / "leads" / "leads.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("\n1,", "\n1,9", 1), encoding="utf-8")
    refuses(copied, "data/leads/leads.csv: sha256 is ")


def test_with_a_lead_list_but_not_its_usage(copied: Path, refuses: Refuses) -> None:
    (copied / "data" / "leads" / "usage.parquet").unlink()
    refuses(copied, "data/leads/usage.parquet: not found")


def test_with_an_empty_token(served: Path, refuses: Refuses) -> None:
    refuses(served, "CONVERSION_API_TOKEN: set, but empty", CONVERSION_API_TOKEN="")


class TestWhatBentomlServePrints:
    @staticmethod
    def refuses(folder: Path, home: Path, message: str, **env: str) -> None:
        code, printed = refusal_to_start(folder, home, env)
        assert code != 0
        assert re.fullmatch(rf"Error: .*{re.escape(message)}.*\n", printed), printed

    def test_without_a_model(self, copied: Path, tmp_path: Path) -> None:
        shutil.rmtree(copied / "models")
        self.refuses(copied, tmp_path, "models/model.joblib: not found; run 'dvc repro train' to make it")

    def test_with_broken_params(self, copied: Path, tmp_path: Path) -> None:
        set_serve(copied, max_companies="many")
        self.refuses(copied, tmp_path, "params.yaml: serve.max_companies: given 'many', should be")

    def test_with_a_token_that_no_client_can_send(self, served: Path, tmp_path: Path) -> None:
        message = r"CONVERSION_API_TOKEN: has '\n' in it, which no client can send"
        self.refuses(served, tmp_path, message, CONVERSION_API_TOKEN="s3cret\n")
