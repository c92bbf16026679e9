from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from conversion.config.attribute_kinds import Category, Number, Ordered
from conversion.config.contract_file import load_contract
from conversion.runtime.errors import ParamsError

ROOT = Path(__file__).resolve().parents[3]
HUBSPOT = ROOT / "contracts/hubspot.yaml"
NOTHING = object()

Edit = Callable[[dict[str, Any]], None]


def put(*path: str | int, value: object) -> Edit:
    """Set a value at a path of keys and places, or remove the key."""

    def edit(contract: Any) -> None:
        for key in path[:-1]:
            contract = contract[key]
        if value is NOTHING:
            del contract[path[-1]]
        else:
            contract[path[-1]] = value

    return edit


def both(first: Edit, second: Edit) -> Edit:
    """Make two edits."""

    def edit(contract: Any) -> None:
        first(contract)
        second(contract)

    return edit


def attribute(**values: Any) -> Edit:
    """Add an attribute x."""
    return put("companies", "attributes", "x", value=values)


def written(folder: Path, *edits: Edit) -> Path:
    contract = copy.deepcopy(yaml.safe_load(HUBSPOT.read_text(encoding="utf-8")))
    for edit in edits:
        edit(contract)
    shutil.copy(HUBSPOT.parent / "sectors.yaml", folder)
    path = folder / "contract.yaml"
    path.write_text(yaml.safe_dump(contract, sort_keys=False), encoding="utf-8")
    return path


def test_the_default_contract_says_what_the_tables_of_the_assessment_are() -> None:
    contract = load_contract(HUBSPOT)
    assert contract.modules == ("CRM_CONTACTS", "CRM_COMPANIES", "CRM_DEALS", "EMAIL")
    assert contract.counts == tuple(
        f"{kind}_{module}" for kind in ("ACTIONS", "USERS") for module in contract.modules
    )
    assert contract.companies.tables == {"customers": "all", "noncustomers": "none"}
    assert list(contract.attributes_of(Number)) == ["ALEXA_RANK"]
    assert len(contract.attributes_of(Ordered)["EMPLOYEE_RANGE"].levels) == 9
    industry = contract.attributes_of(Category)["INDUSTRY"]
    assert {"COMPUTER_SOFTWARE", "SaaS"} <= set(industry.groups["Software and IT"])
    assert industry.says_nothing == ("Other",)
    assert contract.conversion_tables == "customers"


def test_a_contract_as_json_is_read_as_the_same(tmp_path: Path) -> None:
    contract = load_contract(HUBSPOT)
    path = tmp_path / "contract.json"
    path.write_text(contract.model_dump_json(), encoding="utf-8")
    assert load_contract(path) == contract


def test_modules_may_be_without_users_and_tables_a_list(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        put("companies", "tables", value=["accounts"]),
        put("usage", "modules", "invoices", value={"actions": "invoices"}),
    )
    contract = load_contract(path)
    assert contract.companies.tables == {"accounts": "some"}
    assert contract.conversion_tables == "accounts"
    assert contract.actions[-1] == "invoices"
    assert len(contract.users) == 4


def events(**usage: Any) -> Edit:
    """Make the usage table one of events, with keys changed or removed."""

    def edit(contract: dict[str, Any]) -> None:
        modules = {"CRM": {"events": ["crm.*", "deal won"]}, "EMAIL": {"events": ["mail.*", "crm.mailed"]}}
        table = {"table": "log", "id": "account", "time": "at", "modules": modules}
        keys = {**table, "grain": "event", "user": "who", "event": "name", **usage}
        contract["usage"] = {key: value for key, value in keys.items() if value is not NOTHING}

    return edit


def test_events_are_counted_in_columns_named_by_module(tmp_path: Path) -> None:
    path = written(
        tmp_path, events(time_zone="Europe/Berlin", exclude={"who": ["bot", 7], "internal": [True]})
    )
    contract = load_contract(path)
    assert contract.actions == ("actions_CRM", "actions_EMAIL")
    assert contract.users == ("users_CRM", "users_EMAIL")
    assert contract.counts == contract.actions + contract.users
    assert contract.usage.columns == ("account", "at", "who", "name")
    assert contract.usage.exclude == {"who": ("bot", "7"), "internal": ("true",)}
    resolved = tmp_path / "contract.json"
    resolved.write_text(contract.model_dump_json(), encoding="utf-8")
    assert load_contract(resolved) == contract


def test_events_without_a_user_have_no_users(tmp_path: Path) -> None:
    contract = load_contract(written(tmp_path, events(user=NOTHING)))
    assert contract.users == ()
    assert contract.counts == ("actions_CRM", "actions_EMAIL")


def test_days_keep_their_columns_and_may_leave_rows_out(tmp_path: Path) -> None:
    path = written(
        tmp_path, put("usage", "grain", value="day"), put("usage", "exclude", value={"kind": ["test"]})
    )
    contract = load_contract(path)
    assert contract.counts == load_contract(HUBSPOT).counts
    assert contract.usage.columns == ("id", "WHEN_TIMESTAMP", *contract.counts)


COMPANIES = {"tables": ["accounts"], "id": "id", "ids": "whole"}
LOG = {"table": "plans", "id": "id", "start": "since", "until": "next_row", "trials": {"plan": ["free"]}}
NUMBER = ("companies", "attributes", "ALEXA_RANK")
BROKEN = {
    "missing": (put("companies", "converted", value=NOTHING), "companies.converted: given nothing, add it"),
    "unknown_key": (put("usege", value=3), "usege: unknown key, given 3", "did you mean usage?"),
    "unknown_key_of_a_kind": (
        put(*NUMBER, "lgo", value=True),
        "companies.attributes.ALEXA_RANK.lgo: unknown key, given true",
        "did you mean log?",
    ),
    "wrong_kind": (
        put(*NUMBER, "kind", value="nomber"),
        "ALEXA_RANK.kind: given 'nomber', should be number, ordered, category, flag, date",
    ),
    "no_kind": (put(*NUMBER, "kind", value=NOTHING), "ALEXA_RANK.kind: given null, should be number"),
    "no_section": (
        put("companies", "attributes", "INDUSTRY", value="category"),
        "INDUSTRY: given 'category', should be a section",
    ),
    "log_of_anything": (put(*NUMBER, "minimum", value=0), "ALEXA_RANK", "log needs a minimum above 0"),
    "a_sentence_without_the_value": (
        put(*NUMBER, "sentence", value="They have a rank"),
        "ALEXA_RANK.sentence: given 'They have a rank', should have {value} once, where the value goes",
    ),
    "a_sentence_with_two_values": (
        put(
            "usage",
            "measures",
            value={"gb": {"column": "gb", "combine": "sum", "sentence": "{value}{value}"}},
        ),
        "usage.measures.gb.sentence: given '{value}{value}', should have {value} once",
    ),
    "no_modules": (put("usage", "modules", value={}), "usage.modules: given {}", "at least 1"),
    "a_module_without_columns": (
        put("usage", "modules", "EMAIL", value={}),
        "usage.modules.EMAIL.actions: given nothing, add it (column with the number of actions)",
    ),
    "a_column_named_twice": (
        put("usage", "modules", "EMAIL", "actions", value="ACTIONS_CRM_DEALS"),
        "ACTIONS_CRM_DEALS stands for two things; name each column once",
    ),
    "the_sign_up_as_a_number": (
        put("companies", "signed_up", value="ALEXA_RANK"),
        "companies: ALEXA_RANK stands for two things; the day of signing up may be an attribute, but only",
    ),
    "the_sign_up_with_a_history": (
        both(
            put("companies", "signed_up", value="JOINED"),
            put(
                "companies",
                "attributes",
                "JOINED",
                value={"kind": "date", "history": {"table": "moves", "id": "id", "valid_from": "day"}},
            ),
        ),
        "companies: JOINED stands for two things; the day of signing up may be an attribute",
    ),
    "shown_and_used": (put("companies", "shown", value=["MRR"]), "MRR stands for two things"),
    "a_level_named_twice": (
        put("companies", "attributes", "EMPLOYEE_RANGE", "levels", value=["1", "1"]),
        "EMPLOYEE_RANGE.levels: given ['1', '1'], should not name anything twice",
    ),
    "one_table_for_two": (put("usage", "table", value="customers"), "customers is a company table too"),
    "modules_by_case": (
        put("usage", "modules", "Email", value={"actions": "mails"}),
        "usage.modules: two names are the same, or differ by case alone",
    ),
    "a_module_of_digits": (put("usage", "modules", "9x", value={"actions": "a"}), "given '9x'"),
    "grain": (put("usage", "grain", value="month"), "usage.grain: given 'month'", "'week', 'day' or 'event'"),
    "no_name_of_events": (events(event=NOTHING), "usage: grain event needs event, the column"),
    "no_name_of_events_of_two_modules": (
        events(event=NOTHING, modules={"CRM": {}, "EMAIL": {}}),
        "without one, name one module without events, to which all rows belong",
    ),
    "a_module_without_events": (
        events(modules={"CRM": {"say": "CRM"}, "EMAIL": {"events": ["mail"]}}),
        "usage: grain event needs events, names or patterns such as invoice.*, in modules.CRM",
    ),
    "events_and_actions": (
        events(modules={"CRM": {"events": ["crm.*"], "actions": "n", "users": "m"}}),
        "usage: modules.CRM names actions and users, which grain event counts from events; remove them",
    ),
    "a_pattern_named_twice": (
        events(modules={"CRM": {"events": ["crm.*", "crm.*"]}}),
        "usage.modules.CRM.events: given ['crm.*', 'crm.*'], should not name anything twice",
    ),
    "events_of_weeks": (
        put("usage", "modules", "EMAIL", "events", value=["mail"]),
        "usage: grain week has no modules.EMAIL.events; remove it, or set grain to event",
    ),
    "a_user_of_weeks": (put("usage", "user", value="who"), "usage: grain week has no user; remove it"),
    "a_column_of_events_twice": (events(user="name"), "usage: name stands for two things"),
    "a_made_column_twice": (events(time="actions_CRM"), "usage: actions_CRM stands for two things"),
    "excluded_weeks": (put("usage", "exclude", value={"id": ["1"]}), "usage: grain week has no exclude"),
    "excluded_nothing": (events(exclude={"who": []}), "usage.exclude.who: given []", "at least 1"),
    "sundays_of_days": (events(week_starts="sunday"), "usage: grain event has no week_starts"),
    "no_time_zone": (
        put("usage", "time_zone", value="Berlin"),
        "usage.time_zone: given 'Berlin', should be the name of a time zone, such as Europe/Berlin",
    ),
    "a_folder_of_time_zones": (
        put("usage", "time_zone", value="Europe"),
        "should be the name of a time zone",
    ),
    "the_machines_time_zone": (put("usage", "time_zone", value="localtime"), "the name of a time zone"),
    "a_table_in_a_folder": (put("usage", "table", value="week/usage"), "usage.table: given 'week/usage'"),
    "no_conversions": (
        put("companies", "tables", value={"a": "none", "b": "none"}),
        "companies: tables: none of the companies have converted; set one of the tables to some",
    ),
    "subscriptions_and_converted": (
        put("companies", "subscriptions", value={"table": "paid", "id": "id", "start": "from"}),
        "companies: converted and value: subscriptions has these; remove one of the two",
    ),
    "a_log_with_ends": (
        put("companies", value={**COMPANIES, "subscriptions": {**LOG, "end": "to"}}),
        "companies.subscriptions: end and until: next_row: a row ends in one of the two ways; remove one",
    ),
    "a_log_without_trials": (
        put("companies", value={**COMPANIES, "subscriptions": {**LOG, "trials": {}}}),
        "companies.subscriptions: until: next_row: no row would end what is paid; name under trials the rows",
    ),
    "tables_by_case": (
        put("usage", "table", value="Customers"),
        "Customers, customers: a table stands for two",
    ),
    "one_feature_for_two": (
        put("companies", "attributes", "size", value={"kind": "number"}),
        "companies.attributes: size_missing would be the feature of two; give one of them a feature",
    ),
    "a_column_of_the_project": (put("companies", "shown", value=["rule"]), "rule is what the project calls"),
    "a_shown_column_of_the_list": (
        put("companies", "shown", value=["rank", "name", "reason_2"]),
        "companies: rank, reason_2 is what the lead list or the HTTP API calls a value of its own; rename it",
    ),
    "an_attribute_of_the_list": (
        put("companies", "attributes", "tier", value={"kind": "category"}),
        "companies: tier is what the lead list or the HTTP API calls a value of its own",
    ),
    "an_attribute_of_requests": (
        put("companies", "attributes", "total_users", value={"kind": "number"}),
        "companies: total_users is what the lead list or the HTTP API calls",
    ),
    "an_attribute_of_usage": (
        put("companies", "attributes", "users_max_1w", value={"kind": "category"}),
        "companies.attributes: users_max_1w would be a feature, but a feature of usage is called so; give",
    ),
    "a_feature_of_usage": (
        put("companies", "attributes", "Module entropy", value={"kind": "category"}),
        "companies.attributes: module_entropy would be a feature, but a feature of usage is called so; give",
    ),
    "groups_of_the_list": (
        put("companies", "attributes", "Tier", value={"kind": "category", "groups": {"a": ["b"]}}),
        "companies.attributes: tier would be a column of groups in the lead list, which has one of that name",
    ),
    "a_feature_of_the_project": (
        put("companies", "attributes", "Weight", value={"kind": "number"}),
        "companies.attributes: weight would be a feature, but that is what the project calls a column",
    ),
    "a_feature_called_id": (
        put("companies", "attributes", "ID", value={"kind": "ordered", "levels": ["a", "b"]}),
        "companies.attributes: id would be a feature, but",
    ),
    "cuts_that_fall": (
        put("companies", "attributes", "age", value={"kind": "ordered", "cuts": [3, 2]}),
        "companies.attributes.age: cuts should increase",
    ),
    "a_level_in_no_slice": (
        put("companies", "attributes", "EMPLOYEE_RANGE", "slice_levels", 4, "levels", value=["201 to 1000"]),
        "companies.attributes.EMPLOYEE_RANGE: slice_levels should have each of the levels once",
    ),
    "slices_of_one_name": (
        put("companies", "attributes", "EMPLOYEE_RANGE", "slice_levels", 1, "name", value="1 employee"),
        "slice_levels should have different names",
    ),
    "a_slice_without_levels": (
        put("companies", "attributes", "EMPLOYEE_RANGE", "slice_levels", 0, "levels", value=[]),
        "companies.attributes.EMPLOYEE_RANGE.slice_levels.0.levels: given",
        "should have at least 1 item",
    ),
    "slices_by_a_wrong_word": (
        put("companies", "attributes", "INDUSTRY", "slices", value="groups"),
        "INDUSTRY.slices: given 'groups', should be 'values', 'known' or 'none'",
    ),
    "cuts_without_names": (
        put(
            "companies",
            "attributes",
            "age",
            value={"kind": "ordered", "cuts": [2], "levels": ["a", "b", "c"]},
        ),
        "1 cuts make 2 levels, but 3 are named",
    ),
    "other_is_unknown": (
        put("companies", "attributes", "INDUSTRY", "other", value="Unknown"),
        "unknown and other are both Unknown; name them differently",
    ),
    "a_level_in_two_groups": (
        put("companies", "attributes", "INDUSTRY", "groups", value={"North": ["a", "b"], "South": ["b"]}),
        "companies.attributes.INDUSTRY: b is in North and in South; keep one of them",
    ),
    "unlisted_without_groups": (
        put("companies", "attributes", "INDUSTRY", "groups", value=NOTHING),
        "companies.attributes.INDUSTRY: unlisted unknown needs groups",
    ),
    "slices_without_their_levels": (
        put("companies", "attributes", "EMPLOYEE_RANGE", "slices", value="known"),
        "companies.attributes.EMPLOYEE_RANGE: slices known has no slice_levels; remove them, or set slices",
    ),
    "a_measure_as_a_module": (
        put("usage", "measures", value={"email": {"column": "gb", "combine": "last"}}),
        "usage.measures: two names are the same, or differ by case alone",
    ),
    "a_measure_as_a_count": (
        put("usage", "measures", value={"ACTIONS_EMAIL": {"column": "gb", "combine": "last"}}),
        "usage.measures: ACTIONS_EMAIL is what another column of usage is called; name the measure otherwise",
    ),
    "a_measure_called_id": (
        put("usage", "measures", value={"id": {"column": "gb", "combine": "last"}}),
        "usage.measures: id is what another column of usage is called",
    ),
    "a_column_of_usage_called_rule": (
        put("usage", "modules", "EMAIL", "actions", value="rule"),
        "usage: rule is what the project calls a column of its own; rename it in the export",
    ),
    "subscriptions_without_start": (
        put("companies", value={**COMPANIES, "subscriptions": {"table": "subs", "id": "id"}}),
        "companies.subscriptions.start: given nothing, add it (first day of the subscription)",
    ),
    "subscriptions_as_a_list": (
        put("companies", value={**COMPANIES, "subscriptions": ["subs"]}),
        "companies.subscriptions: given ['subs'], should be a section of keys",
    ),
    "a_grain_that_is_none": (
        events(grain="hour"),
        "usage.grain: given 'hour', should be 'week', 'day' or 'event'",
    ),
    "cuts_that_are_no_numbers": (
        put("companies", "attributes", "SEATS", value={"kind": "ordered", "cuts": ["a"]}),
        "companies.attributes.SEATS.cuts.0: given 'a', should be a valid number",
    ),
    "the_name_of_a_measure": (
        put("usage", "measures", value={"a b": {"column": "gb", "combine": "last"}}),
        "usage.measures: given 'a b', should be a name of letters, digits and underscores, with a letter",
    ),
    "tables_in_tables": (
        put("companies", "tables", value=[{"accounts": "some"}]),
        "companies.tables: given [{'accounts': 'some'}], should be a list of names",
    ),
    "a_column_called_self": (put("companies", "shown", value=["self"]), "self is what the project calls"),
    "a_number_as_a_level": (
        attribute(kind="ordered", levels=["1", 2]),
        "companies.attributes.x.levels.1: given 2, should be text: put it in quotes",
    ),
    "yes_as_a_level": (
        attribute(kind="ordered", levels=["no", True]),
        "x.levels.1: given true, should be text: put it in quotes; YAML reads yes, no, on and off as true",
    ),
    "yes_as_a_key": (
        attribute(kind="flag", no=["n"], yes=[True]),
        "companies.attributes.x.yes.0: given true, should be text: put it in quotes",
    ),
    "a_country_that_is_false": (
        attribute(kind="category", groups={"North": [False, "SE"]}),
        "companies.attributes.x.groups.North.0: given false, should be text: put it in quotes; YAML reads",
    ),
    "a_group_of_text": (
        attribute(kind="category", groups={"North": "SE"}),
        "companies.attributes.x.groups.North: given 'SE', should be a list",
    ),
    "groups_that_are_a_number": (
        attribute(kind="category", groups=3),
        "companies.attributes.x.groups: given 3, should be text",
    ),
    "a_number_as_a_column": (
        put("companies", "attributes", value={1: {"kind": "flag"}}),
        "companies.attributes: given 1 as a name, put it in quotes",
    ),
    "a_level_in_two_groups_spelled_otherwise": (
        attribute(kind="category", groups={"a": ["S.E.", "DE"], "b": ["s e"]}),
        "companies.attributes.x: s e is in a and in b; keep one of them",
    ),
    "a_group_of_missing_values": (
        attribute(kind="category", groups={"Unknown": ["?"]}),
        "companies.attributes.x: Unknown is a group and the level of missing values",
    ),
    "yes_and_no_at_once": (
        attribute(kind="flag", yes=["NO "]),
        "companies.attributes.x: NO  means yes and no; give yes and no without a value in common",
    ),
    "no_value_that_means_no": (
        attribute(kind="flag", no=[]),
        "companies.attributes.x.no: given",
        "at least 1",
    ),
    "a_range_without_numbers": (
        attribute(kind="number", minimum=5, maximum=1),
        "companies.attributes.x: minimum is 5, but maximum is 1",
    ),
    "a_marker_below_all_numbers": (
        attribute(kind="number", not_applicable=-1),
        "x: not_applicable should be above 0, as each larger value is not applicable too",
    ),
    "a_marker_below_the_least": (
        attribute(kind="number", minimum=10, not_applicable=5),
        "companies.attributes.x: not_applicable should be above 10",
    ),
    "an_example_that_is_no_number": (attribute(kind="number", example="a"), "x: example should be a number"),
    "an_example_that_is_too_small": (
        attribute(kind="number", minimum=5, example=1),
        "x: example should be within minimum and maximum",
    ),
    "an_example_that_has_no_logarithm": (
        attribute(kind="number", minimum=0.1, log=True, example=0),
        "x: example should be within minimum and maximum",
    ),
    "an_example_that_is_no_level": (
        attribute(kind="ordered", levels=["a", "b"], example="c"),
        "x: example should be one of the levels",
    ),
    "an_example_that_is_no_cut": (
        attribute(kind="ordered", cuts=[1, 2], example="c"),
        "x: example should be a number",
    ),
    "an_example_that_is_no_text": (attribute(kind="category", example=3), "x: example should be text"),
    "an_example_that_is_no_flag": (
        attribute(kind="flag", example="yes"),
        "x: example should be true or false",
    ),
    "an_example_that_is_no_day": (
        attribute(kind="date", example="2020-13-01"),
        "x: example should be a day in quotes such as '2020-01-31'",
    ),
    "ids": (put("companies", "ids", value="int"), "companies.ids: given 'int', should be 'whole' or 'text'"),
}


@pytest.mark.parametrize(
    "edit",
    [
        # Of the list, or of requests, but in no table that has the column too.
        put("companies", "value", value="expected_mrr"),
        put("companies", "converted", value="rank"),
        put("companies", "attributes", "Tier", value={"kind": "category"}),
        put("companies", "attributes", "Rank", value={"kind": "number"}),
        put("companies", "shown", value=["total_users", "Rank"]),
    ],
)
def test_a_name_that_is_in_no_table_twice_is_allowed(edit: Edit, tmp_path: Path) -> None:
    load_contract(written(tmp_path, edit))


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_one_line_that_names_the_key(name: str, tmp_path: Path) -> None:
    edit, *said = BROKEN[name]
    path = written(tmp_path, edit)
    with pytest.raises(ParamsError) as error:
        load_contract(path)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{path}: ")
    assert [part for part in said if part not in line] == []


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    path = written(
        tmp_path, put("companies", "id", value=NOTHING), put("usage", "time", value=7), put("more", value=1)
    )
    with pytest.raises(ParamsError) as error:
        load_contract(path)
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"companies: !!int abc", "not valid YAML: invalid literal for int"),
        (b"companies: !!bool abc", "not valid YAML: 'abc'"),
        ("companies: {tables: [Küche]}".encode("latin-1"), "can't decode byte 0xfc .*; save it as UTF-8"),
    ],
)
def test_a_file_that_is_no_yaml_is_one_line(text: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_bytes(text)
    with pytest.raises(ParamsError, match=said) as error:
        load_contract(path)
    assert len(str(error.value).splitlines()) == 1


def test_a_name_of_a_file_with_a_nul_is_refused(tmp_path: Path) -> None:
    edit = put("companies", "attributes", "INDUSTRY", "groups", value="a\0b")
    with pytest.raises(ParamsError, match="a name has no NUL character"):
        load_contract(written(tmp_path, edit))


def test_a_contract_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ParamsError, match=r"no\.yaml: not found; set data\.contract in params\.yaml to the file"
    ):
        load_contract(tmp_path / "no.yaml")


def test_a_groups_file_that_is_not_there_is_named_with_its_key(tmp_path: Path) -> None:
    path = written(tmp_path, put("companies", "attributes", "INDUSTRY", "groups", value="no.yaml"))
    with pytest.raises(ParamsError) as error:
        load_contract(path)
    assert str(error.value) == (
        f"{tmp_path / 'no.yaml'}: not found; correct companies.attributes.INDUSTRY.groups in {path}"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("groups: {North: [a, b], South: [b]}", "groups.yaml: b is in North and in South; keep one of them"),
        ("groups: {North: [A-B], South: [a b]}", "a b is in North and in South"),
        ("groups: {Unknown: [a]}", "groups: Unknown is what the contract calls the level of missing values"),
        ("groups: {North: a}", "groups.yaml: groups.North: should be a list"),
        ("levels: {North: [a]}", "groups: Field required"),
        ("groups: {}", "groups: Dictionary should have at least 1 item"),
    ],
)
def test_a_broken_groups_file_is_refused(text: str, said: str, tmp_path: Path) -> None:
    groups = tmp_path / "groups.yaml"
    groups.write_text(text, encoding="utf-8")
    edit = put("companies", "attributes", "INDUSTRY", "groups", value=str(groups))
    with pytest.raises(ParamsError, match=said):
        load_contract(written(tmp_path, edit))


def test_what_the_contract_says_of_levels_holds_beside_the_groups_file(tmp_path: Path) -> None:
    edit = put("companies", "attributes", "INDUSTRY", "says_nothing", value=["n/a", "Other"])
    contract = load_contract(written(tmp_path, edit))
    assert contract.attributes_of(Category)["INDUSTRY"].says_nothing == ("Other", "n/a")
    edit = put("companies", "attributes", "INDUSTRY", "says_nothing", value=["SaaS"])
    with pytest.raises(ParamsError, match=r"sectors\.yaml: SaaS is in Software and IT and in says_nothing"):
        load_contract(written(tmp_path, edit))


def test_a_log_of_changes_has_ends(tmp_path: Path) -> None:
    edits = [put("companies", name, value=NOTHING) for name in ("converted", "value")]
    path = written(tmp_path, *edits, put("companies", "subscriptions", value=LOG))
    companies = load_contract(path).companies
    assert (companies.converted, companies.ended, companies.value) == ("converted", "ended", None)
    resolved = tmp_path / "contract.json"
    resolved.write_text(load_contract(path).model_dump_json(), encoding="utf-8")
    assert load_contract(resolved).companies == companies


def test_subscriptions_name_the_columns_that_cleaning_makes(tmp_path: Path) -> None:
    edits = [put("companies", name, value=NOTHING) for name in ("converted", "value")]
    table = {
        "table": "paid",
        "id": "id",
        "start": "from",
        "end": "to",
        "trials": {"plan": ["trial"], "free": [True]},
    }
    path = written(tmp_path, *edits, put("companies", "subscriptions", value=table))
    companies = load_contract(path).companies
    assert (companies.converted, companies.ended, companies.value) == ("converted", "ended", None)
    assert companies.subscriptions is not None
    assert load_contract(path).conversion_tables == "paid"
    assert companies.subscriptions.trials == {"plan": ("trial",), "free": ("true",)}
    resolved = tmp_path / "contract.json"
    resolved.write_text(load_contract(path).model_dump_json(), encoding="utf-8")
    assert load_contract(resolved).companies == companies


def test_every_table_is_listed_once(tmp_path: Path) -> None:
    history = {"table": "plans", "id": "id", "valid_from": "day"}
    attributes = {
        name: {"kind": "category", "history": history | {"value": name}} for name in ("plan", "team")
    }
    path = written(
        tmp_path,
        put("companies", "attributes", value=attributes),
        put("companies", "aliases", value={"table": "merged", "id": "old", "into": "new"}),
    )
    assert load_contract(path).tables == ("customers", "noncustomers", "usage_actions", "merged", "plans")


def test_levels_between_cuts_are_named(tmp_path: Path) -> None:
    path = written(
        tmp_path, put("companies", "attributes", value={"staff": {"kind": "ordered", "cuts": [10, 250.5]}})
    )
    levels = load_contract(path).companies.attributes["staff"].levels  # type: ignore[union-attr]
    assert levels == ("below 10", "10 to below 250.5", "250.5 or more")


def test_all_names_that_clash_are_listed_at_once(tmp_path: Path) -> None:
    names = ("label", "as_of", "moved", "total_actions", "Trend", "seen", "users_max_1w")
    change = put("companies", "attributes", value={name: {"kind": "category"} for name in names})
    with pytest.raises(ParamsError) as error:
        load_contract(written(tmp_path, change))
    lines = str(error.value).splitlines()
    assert all(
        ": the contract: companies" in line and ("rename it" in line or "another name" in line)
        for line in lines
    )
    found = [line.split(": the contract: ")[1].split(" is what ")[0].split(" would ")[0] for line in lines]
    assert found == [
        "companies: as_of, label",
        "companies: moved, total_actions",
        "companies.attributes: seen, trend, users_max_1w",
    ]
