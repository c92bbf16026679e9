from __future__ import annotations

from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from commands import first_leads
from conversion.leads.lead_files import write_leads
from conversion.runtime.errors import InputError
from conversion.runtime.files import write_json

LEADS = pd.DataFrame(
    {"rank": range(1, 13), "probability": [0.5] * 12, "reason_1": ["Eight people, up from 3"] * 12}
)
FIRST = "rank,probability,reason_1\n" + "".join(
    f'{rank},0.5,"Eight people, up from 3"\n' for rank in range(1, 11)
)


@pytest.mark.parametrize("how", ["csv", "json", "parquet"])
def test_the_first_ten_leads_are_text_in_every_format(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_leads(LEADS, Path(f"data/leads/top_leads.{how}"))
    write_json("data/leads/manifest.json", {"files": {f"leads.{how}": "", f"top_leads.{how}": ""}})
    first_leads.main()
    assert capsys.readouterr().out == FIRST


def test_fewer_leads_than_ten_are_all_of_them(tmp_path: Path) -> None:
    write_leads(LEADS.head(2), tmp_path / "leads.csv")
    assert first_leads.first_rows(tmp_path / "leads.csv", 10).count("\n") == 1 + 2


def test_a_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        first_leads.first_rows(tmp_path / "leads.parquet", 10)


@pytest.mark.parametrize("name", ["Food\nand drink", "Food\n\nand drink", "Food\rand drink"])
def test_a_name_on_several_lines_is_one_lead(name: str, tmp_path: Path) -> None:
    leads = LEADS.assign(name=name)
    write_leads(leads, tmp_path / "leads.csv")
    first = first_leads.first_rows(tmp_path / "leads.csv", 10)
    # A lone carriage return would write over the line in a terminal.
    assert pd.read_csv(StringIO(first))["name"].tolist() == [name.replace("\r", "\n")] * 10


def test_a_line_separator_in_a_name_ends_no_line(tmp_path: Path) -> None:
    leads = LEADS.assign(name="Food\u2028and drink")
    write_leads(leads, tmp_path / "leads.csv")
    first = first_leads.first_rows(tmp_path / "leads.csv", 10)
    assert first.count("Food\u2028and drink\n") == 10
    assert first.count("\n") == 1 + 10
