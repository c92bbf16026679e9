"""The generated blocks of the page about the data contract, made from the models that check a contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from conversion.config.attribute_kinds import Attribute, GroupsFile, Number
from conversion.config.attribute_names import feature_name, flag_name, missing_name
from conversion.config.contract_file import load_contract
from conversion.config.contract_types import TableName
from conversion.config.data_contract import LISTED, RESERVED, TOTALS, Contract
from conversion.config.usage_names import OF_MODULES, SUMMARY_NAMES, WINDOWED_NAMES
from tools.docs.markdown import allowed, code, table

Json = dict[str, Any]

EXAMPLES: Final = {
    "contract-example": "tools/docs/contract_example.yaml",
    "contract-example-weekly": "tools/docs/contract_example_weekly.yaml",
}
"""Contracts that together have every key."""
NAMES: Final = "contract-names"
TABLE_NAME: Final[str] = TypeAdapter(TableName).json_schema()["pattern"]


def makers(root: Path) -> dict[str, Callable[[], str]]:
    """Return what makes each block: the examples, the names of features, and the keys of each model."""
    return {
        **{name: partial(_example, root / path) for name, path in EXAMPLES.items()},
        NAMES: partial(names_block, root / EXAMPLES["contract-example"]),
        "contract-reserved": reserved_block,
        **{f"contract-{name.lower()}": partial(keys_block, model) for name, model in models().items()},
    }


def models() -> dict[str, Json]:
    """Return the schema of each section of a contract, and of a groups file, by the name of its model."""
    others = {model.__name__: model.model_json_schema() for model in (Attribute, GroupsFile)}
    sections: dict[str, Json] = Contract.model_json_schema()["$defs"]
    return sections | others


def _example(path: Path) -> str:
    return f"```yaml\n{path.read_text(encoding='utf-8')}```\n"


def names_block(path: Path) -> str:
    """Return the names of the features that are made of the attributes of a contract."""
    rows = [
        [
            code(column),
            each.kind,
            code(feature_name(column, each)),
            code(flag_name(column, each)) if isinstance(each, Number) and each.not_applicable else "-",
            code(missing_name(column, each)),
        ]
        for column, each in load_contract(path).companies.attributes.items()
    ]
    return table(["attribute", "kind", "feature", "not applicable", "missing"], rows)


def reserved_block() -> str:
    """Return the names that columns and features of companies may not have, and what is called so."""
    windowed = [*(f"{name}_4w" for name in WINDOWED_NAMES), *(f"{name}_email_4w" for name in OF_MODULES)]
    rows: list[tuple[str, Sequence[str]]] = [
        ("columns of the project, no column of companies", RESERVED),
        ("columns of the lead list and of the HTTP API, no attribute and no `shown` column", LISTED),
        ("what requests may send of usage, no attribute", [*TOTALS]),
        ("features of all usage, no feature of an attribute", SUMMARY_NAMES),
        (
            "features with a window of weeks or `lifetime`, such as these, no feature of an attribute",
            windowed,
        ),
    ]
    return table(["of", "names"], [[of, ", ".join(map(code, names))] for of, names in rows])


def keys_block(model: Json) -> str:
    """Return what a section is, and each key of it: its default, what is allowed and what it means.

    The keys that all kinds of attributes have are left out where the kind is one of the keys.
    """
    required = model.get("required", [])
    elsewhere = {"kind", *Attribute.model_fields} if "kind" in model["properties"] else set()
    rows = [
        [
            code(key),
            "required" if key in required else code(json.dumps(part.get("default", {}))),
            allowed(part).replace(f", of the form {code(TABLE_NAME)}", ", no path"),
            part["description"].replace("``", "`"),
        ]
        for key, part in model["properties"].items()
        if key not in elsewhere
    ]
    about = model["description"].replace("``", "`")
    return f"{about}\n\n{table(['key', 'default', 'allowed', 'meaning'], rows)}"
