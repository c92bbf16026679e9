from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.attribute_kinds import AnyAttribute, Category, Date, Flag, Number, Ordered
from conversion.config.attribute_names import encoded_names, missing_name
from conversion.config.contract_file import load_contract
from conversion.config.data_contract import TAKEN, Contract
from conversion.ingest.draft import draft_contract
from conversion.ingest.draft_tables import Sample
from conversion.runtime.errors import ExportError
from tests.contract_files import hubspot, projects
from tests.drafts import Tables, drafted, projects_export
from tests.exports import tiny_export

ROLES = ("tables", "id", "ids", "signed_up", "converted", "ended", "value", "shown")


def kind(attribute: AnyAttribute) -> tuple[object, ...]:
    match attribute:
        case Number():
            return "number", attribute.whole, attribute.minimum, attribute.log, attribute.not_applicable
        case Ordered():
            return "ordered", attribute.levels
        case _:
            return (attribute.kind,)


def assert_same(found: Contract, expected: Contract) -> None:
    """Compare all but the names of modules, of features and of what reps call things."""
    for role in ROLES:
        assert getattr(found.companies, role) == getattr(expected.companies, role), role
    kinds = [
        {name: kind(each) for name, each in contract.companies.attributes.items()}
        for contract in (found, expected)
    ]
    # The day of signing up is drafted as an attribute, too.
    age = {} if expected.companies.signed_up is None else {expected.companies.signed_up: ("date",)}
    assert kinds[0] == kinds[1] | age
    usages = [(c.usage.table, c.usage.id, c.usage.time, c.usage.week_starts) for c in (found, expected)]
    assert usages[0] == usages[1]
    columns = [[(m.actions, m.users) for m in c.usage.modules.values()] for c in (found, expected)]
    assert columns[0] == columns[1]


def accounts(**columns: object) -> Tables:
    """The accounts of `projects_export` with other columns beside those with a role, and the usage."""
    tables = projects_export()
    kept = tables["accounts"][["account_id", "created", "paid_since"]]
    return {**tables, "accounts": pd.concat([kept, pd.DataFrame(columns)], axis=1)}


def attribute_of(folder: Path, values: object, name: str = "thing") -> AnyAttribute | None:
    contract, _ = drafted(folder, accounts(**{name: values}))
    return contract.companies.attributes.get(name)


def cycled(*values: object, rows: int = 200) -> list[object]:
    return list(np.random.default_rng(1).permutation(np.array((values * rows)[:rows], dtype=object)))


def test_the_default_export(tmp_path: Path) -> None:
    contract, _ = drafted(tmp_path, tiny_export(companies=600))
    assert_same(contract, hubspot())
    assert contract.modules == hubspot().modules


def test_the_projects_export(tmp_path: Path) -> None:
    contract, _ = drafted(tmp_path, projects_export())
    assert_same(contract, projects())
    flag = contract.companies.attributes["is_partner"]
    assert isinstance(flag, Flag)
    assert {"yes"} <= set(flag.yes)
    assert {"no"} <= set(flag.no)
    assert contract.modules == ("projects", "automation", "invoices")


def test_parquet_gives_the_same_draft_as_csv(tmp_path: Path) -> None:
    tables = projects_export()
    _, of_csv = drafted(tmp_path / "csv", tables)
    typed = tables["accounts"].assign(
        **{name: pd.to_datetime(tables["accounts"][name]) for name in ("created", "paid_since", "cancelled")}
    )
    (tmp_path / "parquet").mkdir()
    typed.to_parquet(tmp_path / "parquet/accounts.parquet")
    tables["weekly_usage"].to_parquet(tmp_path / "parquet/weekly_usage.parquet", index=False)
    _, of_parquet = drafted(tmp_path / "parquet")
    assert of_parquet.text == of_csv.text


def test_no_name_or_address_is_in_the_draft(tmp_path: Path) -> None:
    tables = accounts(
        contact=[f"ann{number}@example.com" for number in range(200)],
        known_as=[f"Shy Company {number}" for number in range(200)],
        owner=cycled("Ann Private", "Bob Hidden"),
        city=cycled("Lima", "Oslo", "Kyoto"),
    )
    contract, draft = drafted(tmp_path, tables)
    assert set(contract.companies.shown) == {"contact", "known_as", "owner"}
    for secret in ("example.com", "Shy", "Private", "Hidden", "Lima", "Oslo", "Kyoto"):
        assert secret not in draft.text
        assert not any(secret in note for note in draft.notes)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (("11-50", "2 to 5", "1000+", "1"), ("1", "2 to 5", "11-50", "1000+")),
        (("over 500", "<10", "10 – 500"), ("<10", "10 – 500", "over 500")),  # noqa: RUF001
        (("1k-5k", "500-1k", "5k+"), ("500-1k", "1k-5k", "5k+")),
        (("$1M or more", "$10,000 - $1M", "less than $10,000"),
         ("less than $10,000", "$10,000 - $1M", "$1M or more")),
        (("Enterprise", "Free", "Pro"), ("Free", "Pro", "Enterprise")),
        (("high", "low", "medium"), ("low", "medium", "high")),
    ],
)  # fmt: skip
def test_levels_in_an_order(levels: tuple[str, ...], expected: tuple[str, ...], tmp_path: Path) -> None:
    found = attribute_of(tmp_path, cycled(*levels))
    assert isinstance(found, Ordered)
    assert found.levels == expected


@pytest.mark.parametrize(
    "levels",
    [
        ("north", "south", "west"),
        ("2 to 5", "6 to 10", "many"),  # one level is no range
        ("free", "pro", "legacy"),
        ("Free", "free", "pro"),  # two spellings of one level
        ("5 to 2", "6 to 10"),  # not a range
        ("2-May", "6-Oct", "11-25"),  # what a spreadsheet made of ranges
    ],
)
def test_levels_in_no_order(levels: tuple[str, ...], tmp_path: Path) -> None:
    assert isinstance(attribute_of(tmp_path, cycled(*levels)), Category)


@pytest.mark.parametrize("pair", [("yes", "no"), ("TRUE", "FALSE"), ("1", "0"), ("Y", "N"), ("ja", "nein")])
def test_flags(pair: tuple[str, str], tmp_path: Path) -> None:
    found = attribute_of(tmp_path, cycled(*pair))
    assert isinstance(found, Flag)
    assert pair[0].casefold() in [each.casefold() for each in found.yes]
    assert pair[1].casefold() in [each.casefold() for each in found.no]


def test_two_other_values_are_no_flag(tmp_path: Path) -> None:
    assert isinstance(attribute_of(tmp_path, cycled("web", "app")), Category)


def test_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    long_tail = np.ceil(rng.lognormal(3, 2, 200)).astype(int)
    ranks = np.where(np.arange(200) % 5 == 0, 9_999_999, 1 + long_tail)
    columns = {
        "seats": long_tail,
        "score": np.round(rng.normal(0, 1, 200), 3),
        "age": rng.integers(20, 60, 200),
        "tickets": rng.integers(0, 9, 200),
        "ranking": rng.permutation(ranks),
    }
    contract, _ = drafted(tmp_path, accounts(**columns))
    assert {name: kind(each) for name, each in contract.companies.attributes.items()} == {
        "created": ("date",),
        "seats": ("number", True, 1, True, None),
        "score": ("number", False, None, False, None),
        "age": ("number", True, 1, False, None),
        "tickets": ("number", True, 0, False, None),
        "ranking": ("number", True, 1, True, 9_999_999),
    }


def test_words_for_missing_say_nothing(tmp_path: Path) -> None:
    tables = accounts(sector=cycled("Food", "Mining", "n/a"), size=cycled("1-5", "6-9", "unknown"))
    contract, draft = drafted(tmp_path, tables)
    sector, size = (contract.companies.attributes[name] for name in ("sector", "size"))
    assert isinstance(sector, Category)
    assert sector.says_nothing == ("n/a",)
    assert isinstance(size, Ordered)
    assert size.levels == ("1-5", "6-9")
    assert "size: leave the cell empty instead of unknown" in draft.notes


def test_what_tells_of_the_conversion_is_left_out(tmp_path: Path) -> None:
    tables = accounts()
    converted = tables["accounts"]["paid_since"].notna()
    tables["accounts"] = tables["accounts"].assign(
        seats_paid=np.where(converted, 7 + np.arange(200) % 40, 0),
        method=pd.Series(cycled("card", "invoice")).where(converted),
        tier=np.where(converted, "paying", "free"),
        industry=cycled("Food", "Mining"),
    )
    contract, draft = drafted(tmp_path, tables)
    assert list(contract.companies.attributes) == ["created", "industry"]
    for name in ("seats_paid", "method", "tier"):
        assert f"# - {name}: " in draft.text


def test_days_by_their_names(tmp_path: Path) -> None:
    tables = projects_export()
    dates = tables["accounts"][["account_id", "created", "paid_since", "cancelled"]]
    dates.columns = pd.Index(["account_id", "SignupDate", "Closed At", "contract_end"])
    tables["accounts"] = dates.assign(last_login=dates["SignupDate"], trial_ends=dates["SignupDate"])
    contract, draft = drafted(tmp_path, tables)
    companies = contract.companies
    assert (companies.signed_up, companies.converted, companies.ended) == (
        "SignupDate",
        "Closed At",
        "contract_end",
    )
    assert "# - last_login: a date" in draft.text
    assert "# - trial_ends: a date" in draft.text


def test_closed_is_the_end_where_another_day_is_the_conversion(tmp_path: Path) -> None:
    tables = projects_export()
    tables["accounts"] = tables["accounts"].rename(columns={"cancelled": "closed_at"})
    contract, _ = drafted(tmp_path, tables)
    assert (contract.companies.converted, contract.companies.ended) == ("paid_since", "closed_at")


def test_days_by_their_order(tmp_path: Path) -> None:
    tables = projects_export()
    tables["accounts"] = tables["accounts"].rename(
        columns={"created": "d1", "paid_since": "d2", "cancelled": "d3"}
    )
    contract, draft = drafted(tmp_path, tables)
    assert (contract.companies.signed_up, contract.companies.converted, contract.companies.ended) == (
        "d1",
        "d2",
        "d3",
    )
    assert "its name says nothing: check it" in " ".join(draft.text.replace("#", " ").split())


def test_days_against_their_order_are_reported(tmp_path: Path) -> None:
    tables = projects_export()
    tables["accounts"] = tables["accounts"].rename(columns={"created": "paid_since", "paid_since": "created"})
    tables["accounts"].loc[tables["accounts"].index[:3], "paid_since"] = None
    _, draft = drafted(tmp_path, tables)
    assert any(note.startswith("paid_since is before created in 100%") for note in draft.notes)


def test_a_date_that_all_have_is_no_conversion(tmp_path: Path) -> None:
    tables = accounts()
    tables["accounts"] = tables["accounts"].assign(paid_since="2024-01-01")
    contract, draft = drafted(tmp_path, tables)
    assert contract.companies.converted == "PUT_THE_COLUMN_HERE"
    assert any(note.startswith("converted: no date") for note in draft.notes)


def test_revenue_of_all_companies_is_an_attribute(tmp_path: Path) -> None:
    tables = accounts(annual_revenue=np.random.default_rng(0).integers(1, 10**7, 200))
    contract, _ = drafted(tmp_path, tables)
    assert contract.companies.value is None
    assert "annual_revenue" in contract.companies.attributes


def test_the_day_of_signing_up_is_an_attribute_too(tmp_path: Path) -> None:
    contract, _ = drafted(tmp_path, accounts())
    age = contract.companies.attributes["created"]
    assert contract.companies.signed_up == "created"
    assert isinstance(age, Date)
    assert age.sentence == "They signed up {value}"


def test_a_day_of_signing_up_that_only_customers_have_is_no_attribute(tmp_path: Path) -> None:
    tables = accounts()
    table = tables["accounts"]
    table["created"] = table["created"].where(table["paid_since"].notna())
    contract, _ = drafted(tmp_path, tables)
    assert contract.companies.signed_up == "created"
    assert contract.companies.attributes == {}


def test_ids_and_codes_are_no_attributes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tables = accounts(owner_id=rng.integers(1, 9, 200), zip=rng.integers(10000, 99999, 200), same=["x"] * 200)
    contract, draft = drafted(tmp_path, tables)
    assert list(contract.companies.attributes) == ["created"]
    for name in ("owner_id", "zip", "same"):
        assert f"# - {name}: " in draft.text


def test_whole_and_text_ids(tmp_path: Path) -> None:
    tables = projects_export()
    for how, change in {
        "whole": lambda text: str(int(text) + 1),
        "text": lambda text: f"0015{text}AAA",
    }.items():
        changed = {
            "accounts": tables["accounts"].assign(account_id=tables["accounts"]["account_id"].map(change)),
            "weekly_usage": tables["weekly_usage"].assign(
                account=tables["weekly_usage"]["account"].map(change)
            ),
        }
        contract, _ = drafted(tmp_path / how, changed)
        assert (contract.companies.ids, contract.companies.id, contract.usage.id) == (
            how,
            "account_id",
            "account",
        )


def test_small_counts_are_not_taken_for_ids(tmp_path: Path) -> None:
    tables = projects_export()
    tables["accounts"]["account_id"] = np.arange(200)
    tables["weekly_usage"]["account"] = np.random.default_rng(0).integers(0, 200, len(tables["weekly_usage"]))
    tables["weekly_usage"] = tables["weekly_usage"].rename(columns={"account": "company"})
    contract, _ = drafted(tmp_path, tables)
    assert (contract.companies.id, contract.usage.id) == ("account_id", "company")


def test_other_tables_are_reported(tmp_path: Path) -> None:
    tables = projects_export()
    ids = tables["accounts"]["account_id"]
    tables["subscriptions"] = pd.DataFrame({"account_id": [*ids[:50]] * 2, "start": "2024-05-01"})
    tables["billing"] = pd.DataFrame({"account_id": ids[:60], "terms": "monthly"})
    tables["offices"] = pd.DataFrame({"city": ["Lima", "Oslo"]})
    contract, draft = drafted(tmp_path, tables)
    assert list(contract.companies.tables) == ["accounts"]
    found = {note.split(":")[0] for note in draft.notes if note.startswith("table ")}
    assert found == {"table subscriptions", "table billing", "table offices"}


def test_a_few_merged_ids_are_not_the_companies(tmp_path: Path) -> None:
    tables = projects_export()
    ids = tables["accounts"]["account_id"]
    tables["accounts"] = tables["accounts"].rename(columns={"account_id": "id"})
    old = [f"old-{number}" for number in range(15)]
    tables["aliases"] = pd.DataFrame({"merged_id": old, "into_id": list(ids[:15])})
    usage = tables["weekly_usage"]
    tables["weekly_usage"] = usage.assign(account=[*old, *usage["account"][15:]])
    contract, _ = drafted(tmp_path, tables)
    assert (list(contract.companies.tables), contract.companies.id) == (["accounts"], "id")


@pytest.mark.parametrize("sign", ["{} €", "€ {}", "{}€"])
def test_amounts_with_a_currency_sign_and_decimal_commas_are_numbers(sign: str, tmp_path: Path) -> None:
    tables = projects_export()
    amounts = tables["accounts"]["arr"].map(
        lambda amount: sign.format(f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))), na_action="ignore"
    )
    tables["accounts"] = tables["accounts"].assign(arr=amounts)
    contract, draft = drafted(tmp_path, tables)
    assert contract.companies.value == "arr"
    note = "arr: whole values with a currency sign and with a decimal comma, which load may refuse"
    assert note in draft.notes


def test_columns_called_as_those_of_the_project_are_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(20, 60, 200) for name in TAKEN}
    contract, draft = drafted(tmp_path, accounts(**columns))
    assert not {*contract.companies.attributes, *contract.companies.shown} & {*TAKEN}
    assert draft.text.count("the project has a column of this name; rename it in the export") == len(TAKEN)


HOSTILE = (
    "a: b", "it's", 'say "hi"', "#1", "- x", "yes", "null", "1.5 x", "{a}", "[b]", "é è", "名前", "Ω", "a\\b",
    "%d", "*p", "&q", "!t", "?", "@x", "`y`", "a,b", "🦆", "<<", "=", "~", "on", "Head\u00a0count", "x" * 200,
    "head count", "Head-Count",
)  # fmt: skip


def test_hostile_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(20, 60, 200) for name in HOSTILE}
    tables = accounts(**columns)
    tables["weekly: #1 'usage'"] = tables.pop("weekly_usage").rename(
        columns={"week": "week: of 'x' #", "automation_runs": "runs: {a}"}
    )
    contract, _ = drafted(tmp_path, tables)
    assert list(contract.companies.attributes) == ["created", *HOSTILE]
    assert contract.usage.time == "week: of 'x' #"
    assert "runs: {a}" in contract.actions
    names = [
        name
        for column, each in contract.companies.attributes.items()
        for name in {*encoded_names(column, each), missing_name(column, each)} - {column}
    ]
    assert len(names) == len(set(names))


@given(st.lists(st.text(min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=4, unique=True))
def test_any_names(names: list[str]) -> None:
    tables = projects_export(companies=30)
    table = tables["accounts"][["account_id", "created", "paid_since"]].astype(object)
    table = table.where(table.notna(), None)
    table = table.assign(**{name: [str(10 + row % 13) for row in range(30)] for name in names})
    samples = [
        Sample(name, frame.astype(object).map(str, na_action="ignore"))
        for name, frame in (("accounts", table), ("weekly_usage", tables["weekly_usage"]))
    ]
    draft = draft_contract(samples)
    contract = Contract.model_validate(yaml.safe_load(draft.text))
    assert contract.companies.id == "account_id"
    assert {*contract.company_columns()} <= {*table.columns}


def test_hundreds_of_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tables = accounts(**{f"c{place}": rng.integers(0, 40, 200) for place in range(300)})
    rows = len(tables["weekly_usage"])
    more = pd.DataFrame({f"m{place}": rng.integers(0, 40, rows) for place in range(300)})
    tables["weekly_usage"] = pd.concat([tables["weekly_usage"].reset_index(drop=True), more], axis=1)
    contract, draft = drafted(tmp_path, tables)
    assert len(contract.companies.attributes) == 50
    assert len(contract.modules) == 50
    assert draft.text.count("# - c") == 251
    assert "# - c299: a contract has at most 50 attributes" in draft.text


def test_duplicate_and_nameless_columns_are_left_out(tmp_path: Path) -> None:
    tables = accounts(seats=range(20, 220), age=range(20, 220), other=range(20, 220))
    tables["accounts"].columns = [*tables["accounts"].columns[:3], "seats", "seats", ""]
    contract, draft = drafted(tmp_path, tables)
    assert list(contract.companies.attributes) == ["created"]
    assert "# - seats: 2 columns have this name; rename all but one" in draft.text
    assert "# - column 6: it has no name" in draft.text


def test_empty_tables(tmp_path: Path) -> None:
    tables = projects_export()
    contract, draft = drafted(tmp_path, {**tables, "weekly_usage": tables["weekly_usage"].head(0)})
    assert contract.usage.table == "PUT_THE_TABLE_HERE"
    assert list(contract.companies.tables) == ["accounts"]
    assert "table weekly_usage: not used: it has no rows" in draft.notes
    with pytest.raises(ExportError, match="none of the tables accounts, weekly_usage has one row a company"):
        drafted(tmp_path, {name: table.head(0) for name, table in tables.items()})


def test_a_draft_comments_each_guess(tmp_path: Path) -> None:
    _, draft = drafted(tmp_path, projects_export())
    lines = draft.text.splitlines()
    for place, line in enumerate(lines):
        if line.startswith("  ") and not line.lstrip().startswith("#") and not line.endswith(":"):
            explained = lines[place - 1].lstrip().startswith("#") or "  # " in line
            assert explained or line.startswith("  id: account"), line


def test_loading_the_draft_from_another_folder(tmp_path: Path) -> None:
    _, draft = drafted(tmp_path, projects_export())
    path = tmp_path / "elsewhere.yaml"
    path.write_text(draft.text, encoding="utf-8")
    assert load_contract(path).companies.id == "account_id"
