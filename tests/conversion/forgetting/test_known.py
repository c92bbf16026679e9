from __future__ import annotations

from pathlib import Path

import pandas as pd

from conversion.config.params import Params
from conversion.forgetting.known import CLEAN, with_former_ids, with_keys, with_names
from conversion.forgetting.wanted import wanted_company
from conversion.runtime.files import write_csv, write_parquet
from tests.contract_files import hubspot, projects
from tests.ledgers import deliver
from tests.pipeline import small_params
from tests.serving import projects_pipeline


def with_deliver_key(params: Params, key: str) -> Params:
    crm = params.deliver.crm
    file = crm.hubspot.model_copy(update={"key": key, "key_header": "Company Domain Name"})
    deliver_params = params.deliver.model_copy(update={"crm": crm.model_copy(update={"hubspot": file})})
    return params.model_copy(update={"deliver": deliver_params})


def test_names_are_what_no_other_company_shows(tmp_path: Path) -> None:
    contract = projects()
    companies = pd.DataFrame(
        {"id": ["A", "B"], "name": ["Smith Works", "Jones"], "owner": ["Ann Onymous", "Ann Onymous"]}
    )
    write_parquet(tmp_path / CLEAN, companies)
    wanted = with_names(tmp_path, wanted_company("A", contract), contract)
    assert wanted.names == {"Smith Works"}


def test_ids_that_became_the_companys_are_its_own(tmp_path: Path) -> None:
    aliases = {"table": "merged", "id": "old", "into": "new"}
    values = hubspot().model_dump(mode="json")
    values["companies"]["aliases"] = aliases
    contract = type(hubspot()).model_validate(values)
    table = pd.DataFrame({"old": [1, 2, 10, 5], "new": [12, 1, 13, 120]})
    write_csv(tmp_path / "merged.csv", table)
    params = small_params(data__dir=".")
    wanted = with_former_ids(tmp_path, wanted_company("12", contract), params, contract)
    assert wanted.ids == {"12", "1", "2"}


def test_keys_are_those_of_the_deliveries(tmp_path: Path) -> None:
    pipeline = projects_pipeline()
    companies = deliver(tmp_path, pipeline).companies().set_index("place")
    params = with_deliver_key(small_params(), "name")
    wanted = with_keys(tmp_path, wanted_company(companies.loc[1, "id"], projects()), params)
    assert wanted.keys["Company Domain Name"] == {companies.loc[1, "name"]}
    assert companies.loc[1, "id"] in set().union(*wanted.keys.values())
