"""The generated blocks of pages: what makes each of them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import leakage_page, modelling_page, other_companies_page
from conversion.runtime.errors import InputError
from conversion.runtime.files import read_json
from tools.docs import contract_blocks
from tools.docs.markdown import Json, code, fill, table
from tools.docs.pages import stages_of, stages_table
from tools.docs.results import results_block, share_of_oracle_block, slices_block

LEADS: Final = {
    "rank": "rank",
    "id": "id",
    "probability": "probability",
    "tier": "tier",
    "expected_mrr": "expected MRR",
    "EMPLOYEE_RANGE": "employees",
    "reason_1": "first reason",
}
LEAD_ROWS: Final = 10
LEAKAGE: Final = "docs/explanation/random_splits.json"
MODELLING: Final = "docs/explanation/modelling.json"
OTHERS: Final = "docs/explanation/other_companies.json"
# Beside the wings, in the order in which a reader of the modules wants them.
OTHER_FOLDERS: Final = ("stages", "commands", "examples", "benchmarks", "tools/docs")
HAZARD: Final = "The hazard\n----------\n"


def makers(root: Path) -> dict[str, Callable[[], str]]:
    """Return what makes each generated block, by its name."""
    return {
        "results": partial(results_block, root),
        "slices": partial(slices_block, root),
        "share-of-oracle": partial(share_of_oracle_block, root),
        "leads": partial(leads_block, root),
        **{name: partial(_measured, root / LEAKAGE, make) for name, make in leakage_page.BLOCKS.items()},
        **{name: partial(_measured, root / MODELLING, make) for name, make in modelling_page.BLOCKS.items()},
        **{
            name: partial(_measured, root / OTHERS, make)
            for name, make in other_companies_page.BLOCKS.items()
        },
        **contract_blocks.makers(root),
        "hazard": partial(hazard_block, root),
        "flow": partial(flow_block, root),
        "stages": partial(stages_table, root),
        "wings": partial(wings_block, root),
        "modules": partial(modules_block, root),
        "make-targets": partial(make_targets_block, root),
    }


def filled(root: Path, page: str, name: str) -> tuple[str, list[str]]:
    """Return a page with its generated blocks made again, and the files that do not exist yet.

    Blocks that need one of those stay as they are; ``name`` is the page's, for messages.
    """
    text, errors = fill(page, name, makers(root), (FileNotFoundError, InputError))
    return text, [getattr(error, "filename", None) or str(error).partition(":")[0] for error in errors]


def _measured(path: Path, make: Callable[[Json], str]) -> str:
    """Make a block of a benchmark's page from the figures that the benchmark last measured."""
    return make(read_json(path))


def leads_block(root: Path) -> str:
    """Return the first rows of the lead list, with those of the columns in `LEADS` that it has."""
    import pandas as pd  # needed here alone, and slow to import

    leads = pd.read_csv(root / "data/leads/top_leads.csv", dtype="str", keep_default_na=False)
    leads["probability"] = leads["probability"].astype(float).map("{:.3f}".format)
    if "expected_mrr" in leads:
        leads["expected_mrr"] = leads["expected_mrr"].astype(float).map("{:,.2f}".format)
    shown = [name for name in LEADS if name in leads]
    rows = leads.head(LEAD_ROWS)[shown].to_numpy().tolist()
    return table([LEADS[name] for name in shown], rows)


def hazard_block(root: Path) -> str:
    """Quote how the sample is made from the docstring that defines it."""
    paths = [*(root / "conversion/simulation").glob("*.py"), root / "stages/simulate.py"]
    (hazard,) = [text.partition(HAZARD)[2] for text in map(_docstring, paths) if HAZARD in text]
    return f"```text\n{hazard.strip()}\n```\n"


def flow_block(root: Path) -> str:
    """Return the flow between the stages as `dvc dag` draws it, one line for all that a stage feeds."""
    dag = subprocess.run(
        [sys.executable, "-m", "dvc", "dag", "--md"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    names = dict(re.findall(r'(node\d+)\["(.+?)"\]', dag))
    arrows = [(names[start], names[end]) for start, end in re.findall(r"(node\d+)-->(node\d+)", dag)]
    lines = []
    for stage in stages_of(root):
        fed = [other for other in stages_of(root) if (stage, other) in arrows]
        lines += [f"    {stage} --> {' & '.join(fed)}\n"] if fed else []
    return f"```mermaid\nflowchart TD\n{''.join(lines)}```\n"


def wings_block(root: Path) -> str:
    """Return the floors of conversion/, the highest first, with what each wing holds."""
    rows = [
        [str(floor), code(wing), _summary(root / "conversion" / wing / "__init__.py")]
        for floor, wings in reversed(list(enumerate(floors(root), start=1)))
        for wing in wings
    ]
    return table(["floor", "wing", "what is in it"], rows)


def floors(root: Path) -> list[list[str]]:
    """Return the wings of each floor, the lowest first, from the contract that import-linter holds."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["conversion"]]
    return [layer.split(" | ") for layer in reversed(layers)]


def modules_block(root: Path) -> str:
    """Return every module by its folder, each with the first line of its docstring."""
    folders = [f"conversion/{wing}" for wings in floors(root) for wing in wings] + list(OTHER_FOLDERS)
    return "\n".join(f"## {folder}\n\n{_modules(root / folder)}" for folder in folders)


def _modules(folder: Path) -> str:
    paths = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
    return table(["module", "what is in it"], [[code(path.name), _summary(path)] for path in paths])


def _summary(path: Path) -> str:
    return _docstring(path).partition("\n")[0].removesuffix(".")


def _docstring(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, f"{path} has no docstring"
    return docstring


def make_targets_block(root: Path) -> str:
    """Return the targets of the Makefile with what they say about themselves."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*## (.*)$", makefile, flags=re.MULTILINE)
    return table(["command", "does"], [[code(f"make {name}"), does] for name, does in targets])
