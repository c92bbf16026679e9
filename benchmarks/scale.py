"""What each stage costs by the size of the export: `python -m benchmarks.scale`.

    python -m benchmarks.scale [--sizes 0.1 1 10 50] [--stages load clean ...] [--engine local|dask]
        [--workers 2] [--features ours pandas duckdb polars everything] [--set train.folds=3 ...]
        [--out FOLDER] [--again] [--page docs/how-to/scale.md]

Sizes are millions of usage rows. Each stage runs as a process of its own in a copy of the project whose
sample has that size; what it used becomes a row of ``scale.csv``, from which ``scale.md`` and ``scale.png``
are made. What has a row is not run again, so the benchmark goes on where it stopped. The copies stay in
FOLDER for that; remove FOLDER at the end.

Polars has an environment of its own: `make .venv-polars/run.stamp`. Without it, it is left out.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from benchmarks.pipeline import ROOT, copy_project
from benchmarks.process_tree import Used, run_tree
from benchmarks.scale_page import FIELDS, Row, page, table, write_figure

SIZES = (0.1, 1.0, 10.0, 50.0)
STAGES = ("simulate", "load", "clean", "featurize", "train", "evaluate", "score", "report")
ROWS_A_COMPANY = 5.25  # of the sample
SIMULATE = "simulate"
EVIDENCE = "data/backtest/evidence.json"
FEATURES = ("ours", "pandas", "duckdb", "polars", "everything")
POLARS = ROOT / ".venv-polars/bin/python"


def main() -> None:
    arguments = parsed()
    out = Path(arguments.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    rows = read_rows(out / "scale.csv")
    for size in arguments.sizes:
        for row in measured(size, arguments, out, rows):
            rows = [each for each in rows if each.key != row.key] + [row]
            write_rows(out / "scale.csv", rows)
            sys.stderr.write(f"{row.said()}\n")
    (out / "scale.md").write_text(table(rows), encoding="utf-8")
    write_figure(rows, out / "scale.png")
    if arguments.page:
        path = Path(arguments.page)
        path.write_text(page(path.read_text(encoding="utf-8"), rows), encoding="utf-8")
    sys.stdout.write(table(rows))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="what each stage costs by the size of the export")
    parser.add_argument("--sizes", type=float, nargs="+", default=list(SIZES), help="millions of usage rows")
    parser.add_argument("--stages", nargs="*", choices=STAGES, default=list(STAGES))
    parser.add_argument("--engine", choices=["local", "dask"], default="local")
    parser.add_argument("--workers", type=int, default=1, help="processes of the engine")
    parser.add_argument("--features", nargs="*", choices=FEATURES, default=[], help="by these engines too")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="params, after simulate")
    parser.add_argument("--out", default="tmp/scale", help="the folder of results and copies")
    parser.add_argument("--again", action="store_true", help="measure what has a row too")
    parser.add_argument("--page", help="write the table into this page")
    return parser.parse_args()


def measured(size: float, arguments: argparse.Namespace, out: Path, known: list[Row]) -> Iterator[Row]:
    """Measure what has no row yet at one size; a stage that fails ends the size."""
    engine = arguments.engine if arguments.workers == 1 else f"{arguments.engine} {arguments.workers}"
    folder = out / f"{size:g}-{engine.replace(' ', '-')}"
    done = {row.key: row for row in known if row.exit_code == 0 and not arguments.again}
    sizes = [row for row in known if row.size == size]
    usage_rows = sizes[0].usage_rows if sizes else 0
    make_project(folder, size, arguments)
    for stage in arguments.stages:
        # The sample does not depend on the engine, and is only drawn once.
        key = (size, stage, "local" if stage == SIMULATE else engine)
        if key in done and (stage != SIMULATE or link_sample(out / f"{size:g}-local", folder)):
            continue
        if stage == "score" and not (folder / EVIDENCE).exists():
            # Without evaluate: what became of companies in this project's backtest, which is as long.
            (folder / EVIDENCE).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / EVIDENCE, folder / EVIDENCE)
        used = run_tree([sys.executable, "-m", f"stages.{stage}"], folder, folder / f"{stage}.log")
        if stage == SIMULATE:
            usage_rows = rows_said(folder / f"{stage}.log")
        yield row_of(key, usage_rows, used, folder)
        if used.exit_code:
            return
    yield from measured_features(size, arguments, folder, usage_rows, done)


def make_project(folder: Path, size: float, arguments: argparse.Namespace) -> None:
    """Copy the project once, and set its params each time."""
    if not folder.exists():
        folder.mkdir(parents=True)
        copy_project(folder, None)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["simulate"]["companies"] = max(500, round(size * 1e6 / ROWS_A_COMPANY))
    params["engine"] |= {"type": arguments.engine, "workers": arguments.workers}
    for given in arguments.set:
        key, _, value = given.partition("=")
        *sections, name = key.split(".")
        section = params
        for each in sections:
            section = section[each]
        if name not in section:
            sys.exit(f"--set {given}: params.yaml has no {key}")
        section[name] = yaml.safe_load(value)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def link_sample(source: Path, folder: Path) -> bool:
    """Give another engine's copy the same sample; return whether there is one."""
    if (folder / "data/sample").exists():
        return True
    if not (source / "data/truth.parquet").exists():
        return False
    shutil.copytree(source / "data/sample", folder / "data/sample", copy_function=link)
    link(source / "data/truth.parquet", folder / "data/truth.parquet")
    return True


def link(source: str | Path, target: str | Path) -> None:
    """Link a file: stages replace files and never change them."""
    Path(target).hardlink_to(source)


def measured_features(
    size: float,
    arguments: argparse.Namespace,
    folder: Path,
    usage_rows: int,
    done: Mapping[tuple[float, str, str], Row],
) -> Iterator[Row]:
    """Compare the engines' features on the first companies to the last bit; if they are equal, time them."""
    pythons = dict.fromkeys(arguments.features, sys.executable)
    if "polars" in pythons:
        pythons["polars"] = str(POLARS)
        if not POLARS.exists():
            sys.stderr.write("polars is left out: make .venv-polars/run.stamp\n")
            del pythons["polars"]
    new = [name for name in pythons if (size, f"features: {name}", "local") not in done]
    if not new:
        return
    commands = {
        name: [python, str(ROOT / "benchmarks/scale_features.py"), "--engine", name]
        for name, python in pythons.items()
    }
    expect_equal({name: said_by([*command, "--check"], folder) for name, command in commands.items()})
    sums = {}
    for name in new:
        log = folder / f"features-{name}.log"
        used = run_tree(commands[name], folder, log)
        row = row_of((size, f"features: {name}", "local"), usage_rows, used, folder)
        if used.exit_code == 0:
            sums[name] = log.read_text(encoding="utf-8")
            row = replace(row, start_seconds=json.loads(sums[name])["started"])
        yield row
    expect_equal(sums)


def said_by(command: list[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout


def expect_equal(said: dict[str, str]) -> None:
    """Stop where two engines have different features: what they took then means nothing."""
    found = {name: json.loads(text)["features"] for name, text in said.items()}
    for (first, expected), (name, values) in itertools.pairwise(found.items()):
        if values != expected:
            other = sorted(each for each in values if values[each] != expected.get(each))
            sys.exit(f"{name} and {first} differ in {len(other)} features: {', '.join(other[:5])}")


def rows_said(log: Path) -> int:
    """Return how many usage rows ``simulate`` says that it drew."""
    match = re.search(r"usage_rows\W+(\d+)", log.read_text(encoding="utf-8"))
    return int(match[1]) if match else 0


def row_of(key: tuple[float, str, str], usage_rows: int, used: Used, folder: Path) -> Row:
    files = (path for name in ("data", "models") for path in (folder / name).rglob("*"))
    size, stage, engine = key
    return Row(
        size=size,
        stage=stage,
        engine=engine,
        usage_rows=usage_rows,
        companies=yaml.safe_load((folder / "params.yaml").read_text())["simulate"]["companies"],
        exit_code=used.exit_code,
        wall_seconds=round(used.seconds, 2),
        cpu_seconds=round(used.cpu_seconds, 2),
        peak_bytes=used.peak_bytes,
        data_bytes=sum(path.stat().st_size for path in files if path.is_file()),
    )


def read_rows(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [Row.of(cells) for cells in csv.DictReader(file)]


def write_rows(path: Path, rows: list[Row]) -> None:
    order = {name: place for place, name in enumerate((*STAGES, *(f"features: {each}" for each in FEATURES)))}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        ranked = sorted(rows, key=lambda row: (row.engine, order.get(row.stage, math.inf), row.size))
        writer.writerows(row.cells() for row in ranked)


if __name__ == "__main__":
    main()
