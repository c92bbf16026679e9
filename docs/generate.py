"""Write docs/features.md and the generated blocks of README.md: `make docs`.

    python -m docs.generate              from params.yaml, dvc.yaml, metrics/, data/leads/ and docs/output/
    python -m docs.generate --commands   first run the documented commands in a copy, into docs/output/

A block whose source has not been made yet is left as it is.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from conversion.features import FeatureSettings, feature_definitions
from conversion.files import read_json, write_text
from conversion.params import load_params

ROOT: Final = Path(__file__).resolve().parents[1]
README: Final = "README.md"
FEATURES: Final = "docs/features.md"
OUTPUT: Final = "docs/output"
BLOCK: Final = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[\w-]+) -->\n)(?P<body>.*?)(?P<end><!-- end -->)", re.DOTALL
)

RANKERS: Final = {
    "probability": "**model**",
    "summary_only": "model, from lifetime totals only",
    "users_rule": "rule: most users, last 4 weeks",
    "actions_rule": "rule: most actions, last 4 weeks",
    "random": "random order",
    "oracle": "oracle (the sample's truth)",
}
MEASURES: Final = {
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
    "precision_at_10": "precision at 10",
    "recall_at_50": "recall at 50",
    "recall_at_250": "recall at 250",
}
ORACLE_SHARE: Final = "share of the oracle's average precision"
LOG_LOSS: Final = "log loss over the base rate's"
LOG_LOSS_OF: Final = {"probability": "probability", "summary_only": "summary_only_probability"}
SLICES: Final = {
    "slice": "prospects",
    "share_of_prospects": "share of all prospects",
    "share_of_conversions": "share of all conversions",
    "expected_over_observed": "expected over observed conversions",
    "log_loss_ratio": LOG_LOSS,
    "roc_auc": "ROC AUC among them",
    "recall_at_50": "recall at 50 of the whole list",
    "recall_at_250": "recall at 250 of the whole list",
}
LEADS: Final = {
    "rank": "rank",
    "id": "id",
    "probability": "probability",
    "tier": "tier",
    "expected_mrr": "expected MRR",
    "EMPLOYEE_RANGE": "employees",
    "last_active_week": "last active week",
    "reason_1": "first reason",
}
LEAD_ROWS: Final = 10

SHOWN: Final = "average_precision|roc_auc|precision_at_10|recall_at_50|recall_at_250"
COMMANDS: Final = {
    "repro": "dvc repro",
    "exp-run": "dvc exp run --name boosted -S model.type=xgboost",
    "exp-run-second": "dvc exp run --quiet --name linear -S model.type=logistic_regression",
    "params-diff": "dvc params diff linear boosted",
    "metrics-diff": (
        "dvc metrics diff linear boosted --no-path | grep -E "
        f"'^Metric|^ranking.probability.({SHOWN}).value|^probability.log_loss_ratio.value'"
    ),
    "plots-diff": "dvc plots diff linear boosted",
    "compare": "python -m commands.compare linear boosted",
    "exp-show": (
        "dvc exp show --md --drop '.*' --keep "
        "'Experiment|model[.]type|ranking.probability.(average_precision|roc_auc|recall_at_50).value'"
    ),
    "fault": "dvc exp run -S data.dir=my-export load",
}
PORT: Final = 8000
FIRMOGRAPHICS: Final = '"ALEXA_RANK": 50000, "EMPLOYEE_RANGE": "26 to 50", "INDUSTRY": "COMPUTER_SOFTWARE"'
WEEK: Final = (
    '"ACTIONS_CRM_CONTACTS": 42, "ACTIONS_CRM_COMPANIES": 7, "ACTIONS_CRM_DEALS": 0, "ACTIONS_EMAIL": 12,\n'
    '   "USERS_CRM_CONTACTS": 4, "USERS_CRM_COMPANIES": 2, "USERS_CRM_DEALS": 0, "USERS_EMAIL": 3'
)


def curl(path: str, body: str) -> str:
    """Give the command that posts a body to the service."""
    return (
        f"curl -s -X POST http://localhost:{PORT}{path} -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}' | python -m json.tool"
    )


SERVED: Final = {
    "predict-summary": curl(
        "/predict/single",
        f'{{"id": 123, {FIRMOGRAPHICS},\n'
        '  "total_actions": 150, "total_users": 5, "days_active": 30, "activity_frequency": 5.0}',
    ),
    "predict-history": curl(
        "/predict/single",
        f'{{"id": 123, {FIRMOGRAPHICS},\n  "usage": [{{"WHEN_TIMESTAMP": "2020-04-20", {WEEK}}}]}}',
    ),
    "predict-refused": curl(
        "/predict", '{"companies": [{"id": 123}, {"id": 124, "EMPLOYEE_RANGE": "about 30"}]}'
    ),
}
"""Commands that are run while the service runs."""

log = logging.getLogger("docs.generate")


def table(header: list[str], rows: list[list[str]], right: int = 0) -> str:
    """Lay cells out as a Markdown table, the last ``right`` columns to the right."""
    rules = ["---"] * (len(header) - right) + ["--:"] * right
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join("| " + " | ".join(row) + " |\n" for row in (header, rules, *escaped))


def features_page(root: Path) -> str:
    """List every feature that params.yaml's windows give."""
    settings = load_params(root / "params.yaml").featurize
    features = feature_definitions(FeatureSettings(settings.windows, settings.half_lives))
    direction = {1: "up", -1: "down", 0: "either"}
    rows = [
        [
            f"`{each.name}`",
            each.description,
            each.group,
            each.unit,
            each.window,
            each.kind,
            direction[each.monotone],
        ]
        for each in features
    ]
    header = ["name", "what it measures", "group", "unit", "window", "kind", "monotone"]
    return (
        "# Features\n\n"
        "Generated by `make docs` from `conversion/features.py` and `params.yaml`; do not edit.\n\n"
        f"{len(features)} features. *Window*: the weeks before `as_of` that are looked at, `lifetime` for "
        "all of them, `-` for what does not depend on usage. *Group*: `features.groups` in `params.yaml` has "
        "the groups that the model may use. *Monotone*: where a higher value may move the probability in the "
        "trees' families, with their `monotone`.\n\n" + table(header, rows)
    )


def stages_block(root: Path) -> str:
    """Tell what each stage of dvc.yaml does, reads and writes."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    rows = []
    for name, stage in stages.items():
        reads = [path for path in stage["deps"] if not path.endswith(".py")] or ["`params.yaml`"]
        writes = [path for part in ("outs", "metrics", "plots") for path in _paths(stage.get(part, []))]
        rows.append([f"`{name}`", stage["desc"], _listed(reads), _listed(writes)])
    return table(["stage", "does", "reads", "writes"], rows)


def _paths(entries: list[Any]) -> list[str]:
    """Read the paths of dvc.yaml's outputs, each text or a path with settings."""
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def _listed(paths: list[str]) -> str:
    """Join paths; plots are named by their endings, and ``data.dir`` is what it stands for."""
    named = {"${data.dir}": "the export, `data.dir`"}
    short = [f"plots/*{Path(path).suffix}" if path.startswith("plots/") else path for path in paths]
    return ", ".join(named.get(path, f"`{path.strip('`')}`") for path in dict.fromkeys(short))


def results_block(root: Path) -> str:
    """Show the backtest's headline numbers with their intervals."""
    result = read_json(root / "metrics/evaluation.json")
    ranking = result["ranking"]
    measures = [name for name in MEASURES if name in ranking["probability"]]
    oracle = ranking.get("oracle", {}).get("average_precision", {}).get("value")
    rows = []
    for ranker, name in RANKERS.items():
        if ranker not in ranking:
            continue
        cells = [_interval(ranking[ranker][measure]) for measure in measures]
        loss = _interval(result[LOG_LOSS_OF[ranker]]["log_loss_ratio"]) if ranker in LOG_LOSS_OF else "-"
        rows.append([name, *cells, loss, _share(ranking[ranker]["average_precision"]["value"], oracle)])
    header = ["list by", *(MEASURES[measure] for measure in measures), LOG_LOSS, ORACLE_SHARE]
    below = "\n".join([_margins(result), *_ceiling(result)])
    return f"{_setting(result)}\n{table(header, rows, right=len(header) - 1)}\n{below}"


def slices_block(root: Path) -> str:
    """Show where the model is good and where it is not."""
    with (root / "metrics/slices.csv").open(newline="", encoding="utf-8") as file:
        slices = list(csv.DictReader(file))
    everyone = int(slices[0]["prospects"])
    for each in slices:
        each["share_of_prospects"] = str(int(each["prospects"]) / everyone)
    shown = [name for name in SLICES if name in slices[0]]
    rows = [[_slice_cell(each, name) for name in shown] for each in slices]
    return table([SLICES[name] for name in shown], rows, right=len(shown) - 1)


def _slice_cell(measures: dict[str, str], name: str) -> str:
    if name == "slice" or not measures[name]:
        return measures[name] or "-"
    if name.startswith("share"):
        return f"{100 * float(measures[name]):.1f} %"
    low, high = measures.get(f"{name}_low"), measures.get(f"{name}_high")
    return _interval({"value": float(measures[name]), "low": _float(low), "high": _float(high)})


def _float(text: str | None) -> float | None:
    return float(text) if text else None


def _setting(result: dict[str, Any]) -> str:
    return (
        f"`{result['model_type']}`, {result['cutoffs']} lists from {result['first_cutoff']} to "
        f"{result['last_cutoff']}; {result['converters']:,} companies converted within the horizon of one, "
        f"{100 * result['prevalence']:.2f} % of the prospects on a list. Means over the lists; in brackets "
        "95 % intervals by resampling companies.\n"
    )


def _margins(result: dict[str, Any]) -> str:
    parts = [
        f"{RANKERS[name].removeprefix('rule: ')}: {_interval(margins['average_precision'], 'difference')}"
        for name, margins in result["model_minus_baseline"].items()
        if name != "oracle" and "average_precision" in margins
    ]
    return f"Average precision of the model minus that of the list by {'; by '.join(parts)}.\n"


def _ceiling(result: dict[str, Any]) -> list[str]:
    """Say how much of the log loss that can be saved is saved, where the truth is known."""
    if "share_of_oracle" not in result:
        return []
    saved = _interval(result["share_of_oracle"]["log_loss_reduction"])
    return [f"Of what the oracle's log loss is below the base rate's, the model's is below it by {saved}.\n"]


def _interval(measure: dict[str, float | None], key: str = "value") -> str:
    value, low, high = measure[key], measure["low"], measure["high"]
    if value is None:
        return "-"
    if low is None or high is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _share(value: float | None, oracle: float | None) -> str:
    return "-" if value is None or not oracle else f"{value / oracle:.2f}"


def leads_block(root: Path) -> str:
    """Show the first rows of the lead list, with some of its columns."""
    import pandas as pd  # needed here alone, and slow to import

    leads = pd.read_csv(root / "data/leads/top_leads.csv", dtype="str", keep_default_na=False)
    leads["probability"] = leads["probability"].astype(float).map("{:.3f}".format)
    leads["expected_mrr"] = leads["expected_mrr"].astype(float).map("{:,.2f}".format)
    rows = leads.head(LEAD_ROWS)[list(LEADS)].to_numpy().tolist()
    return table(list(LEADS.values()), rows)


def output_block(root: Path, name: str) -> str:
    """Show a command as it was run, and what it said."""
    return f"```console\n{(root / OUTPUT / f'{name}.txt').read_text(encoding='utf-8')}```\n"


def blocks(root: Path) -> dict[str, Callable[[], str]]:
    """Name what makes each generated block of the README."""
    return {
        "stages": partial(stages_block, root),
        "results": partial(results_block, root),
        "slices": partial(slices_block, root),
        "leads": partial(leads_block, root),
        **{f"output-{name}": partial(output_block, root, name) for name in (*COMMANDS, *SERVED)},
    }


def readme(root: Path, text: str) -> str:
    """Fill in every generated block of the README's text that has a source."""
    makers = blocks(root)

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in makers:
            raise SystemExit(f"{README}: unknown block {name}; known: {', '.join(makers)}")
        try:
            body = makers[name]()
        except FileNotFoundError as error:
            log.warning("block left as it is name=%s missing=%s", name, error.filename)
            return match[0]
        return f"{match['begin']}{body}{match['end']}"

    return BLOCK.sub(fill, text)


def run_commands(root: Path) -> None:
    """Run the documented commands in a copy of the project and keep what they say in docs/output/."""
    with tempfile.TemporaryDirectory(prefix="docs-") as temporary:
        folder = Path(temporary) / "project"
        _copy_project(root, folder)
        for name, command in COMMANDS.items():
            if name == "fault":
                _write_broken_export(folder)
            log.info("running command=%r", command)
            text = _said(command, folder, fails=name == "fault")
            text = text.replace(f"file://{folder}", "file:///path/to/project").replace(f"{folder}/", "")
            write_text(root / OUTPUT / f"{name}.txt", f"$ {command}\n{text}")
            if name == "repro":
                _commit(folder)
                run_served_commands(root, folder)


def run_served_commands(root: Path, folder: Path) -> None:
    """Run the commands that ask the service, while it serves the project in ``folder``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = _environment() | {"BENTOML_PORT": str(port), "BENTOML_HOME": str(folder.parent)}
    command = [str(Path(sys.executable).with_name("bentoml")), "serve"]
    server = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        _said(f"curl -s -o /dev/null --retry 60 --retry-connrefused http://127.0.0.1:{port}/readyz", folder)
        for name, command in SERVED.items():
            log.info("running command=%r", command)
            text = _said(command.replace(f"localhost:{PORT}", f"127.0.0.1:{port}"), folder)
            write_text(root / OUTPUT / f"{name}.txt", f"$ {command}\n{text}")
    finally:
        server.terminate()
        server.wait()


def _copy_project(root: Path, folder: Path) -> None:
    """Copy what git tracks or would track, committed or not, into a repository of its own."""
    listing = _said("git ls-files --cached --others --exclude-standard -z", root)
    for name in listing.split("\0"):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    _said("git init --quiet --initial-branch=main", folder)
    _commit(folder)


def _commit(folder: Path) -> None:
    who = "-c user.name=docs -c user.email=docs@example.com"
    _said(f"git add --all && git {who} commit --quiet --allow-empty --message docs", folder)


def _write_broken_export(folder: Path) -> None:
    """Make an export with three faults out of the sample's first rows."""
    faults = {
        "customers": ("CLOSEDATE", 0, "CloseDate"),
        "noncustomers": ("EMPLOYEE_RANGE", 3, "about 30"),
        "usage_actions": ("ACTIONS_EMAIL", 5, "many"),
    }
    (folder / "my-export").mkdir()
    for name, (column, line, cell) in faults.items():
        with (folder / f"data/sample/{name}.csv").open(newline="", encoding="utf-8") as file:
            lines = list(itertools.islice(csv.reader(file), 200))
        lines[line][lines[0].index(column)] = cell
        with (folder / f"my-export/{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)


def _said(command: str, folder: Path, fails: bool = False) -> str:
    """Run a shell command with this environment's tools first; stop if it ends otherwise than it should."""
    done = subprocess.run(  # noqa: S602 - the commands are those above
        command,
        shell=True,
        cwd=folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if bool(done.returncode) != fails:
        raise SystemExit(f"{command}: exit {done.returncode}\n{done.stdout}")
    return "\n".join(line.rstrip() for line in done.stdout.rstrip().splitlines()) + "\n"


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    off = {"DVC_NO_ANALYTICS": "1", "BENTOML_DO_NOT_TRACK": "True"}
    return os.environ | off | {"PATH": path, "COLUMNS": "110"}


def main() -> None:
    """Read what the pipeline wrote, write the documents."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    parser = argparse.ArgumentParser(description="regenerate docs/features.md and the README's blocks")
    parser.add_argument("--commands", action="store_true", help="run the documented commands anew (minutes)")
    if parser.parse_args().commands:
        run_commands(ROOT)
    write_text(ROOT / FEATURES, features_page(ROOT))
    path = ROOT / README
    write_text(path, readme(ROOT, path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
