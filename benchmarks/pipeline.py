"""Wall time, import time and peak memory of each stage, in a copy of the project: `make bench`.

    python -m benchmarks.pipeline [--data-dir FOLDER]

This process imports nothing heavy: a child's peak memory starts at what its parent had when it forked.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.process_tree import MAXRSS_UNIT

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    "conversion",
    "stages",
    "contracts",
    ".dvc/plots",
    ".dvc/config",
    ".dvcignore",
    "dvc.yaml",
    "params.yaml",
)
TIME_IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


@dataclass(frozen=True)
class Run:
    """One finished process."""

    seconds: float
    peak_bytes: int


def measure(command: list[str], folder: Path) -> Run:
    """Run a command; if it fails, show what it said and stop."""
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        child = subprocess.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        # wait4, not getrusage(RUSAGE_CHILDREN): that is the largest of all children so far.
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
            sys.exit(f"{' '.join(command)}: exit {child.returncode}")
    return Run(seconds, usage.ru_maxrss * MAXRSS_UNIT)


def import_seconds(module: str, folder: Path) -> float:
    """Time a module's import in a fresh process whose files have been read before."""
    command = [sys.executable, "-c", TIME_IMPORT.format(module)]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return float(said.stdout)


def copy_project(folder: Path, data_dir: Path | None) -> None:
    """Copy what the stages need, with params.yaml as it is but for ``data.dir``."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    if data_dir is not None:
        params = folder / "params.yaml"
        quoted = "'" + str(data_dir).replace("'", "''") + "'"
        text, replaced = re.subn(r"(?m)^  dir:.*$", lambda _: f"  dir: {quoted}", params.read_text())
        if replaced != 1:
            sys.exit(f"params.yaml: found {replaced} lines of data.dir, should be one")
        params.write_text(text)


def stage_lines(folder: Path) -> list[str]:
    """Run the stages in the order of dvc.yaml; one line of the table each, then the totals."""
    names = list(yaml.safe_load((folder / "dvc.yaml").read_text())["stages"])
    lines = [f"{'stage':<12}{'wall s':>10}{'import s':>10}{'peak MB':>10}"]
    wall, imports, peak = 0.0, 0.0, 0
    for name in names:
        run = measure([sys.executable, "-m", f"stages.{name}"], folder)
        loading = import_seconds(f"stages.{name}", folder)
        lines.append(f"{name:<12}{run.seconds:>10.2f}{loading:>10.2f}{run.peak_bytes / 1e6:>10.0f}")
        wall, imports, peak = wall + run.seconds, imports + loading, max(peak, run.peak_bytes)
    return [*lines, f"{'total, peak':<12}{wall:>10.2f}{imports:>10.2f}{peak / 1e6:>10.0f}"]


def dvc_lines(folder: Path, repeats: int) -> list[str]:
    """Time a ``dvc repro`` with nothing to do beside two commands that do nothing: the best of some runs."""
    measure(["git", "init", "--quiet"], folder)
    measure(["dvc", "commit", "--force", "--quiet"], folder)  # takes what the stages wrote as it is
    commands = (["dvc", "repro"], ["dvc", "status"], ["dvc", "--version"])
    times = [min(measure(command, folder).seconds for _ in range(repeats)) for command in commands]
    lines = [f"{'no-op of':<14}{'wall s':>8}{'repro is':>12}"]
    for command, seconds in zip(commands, times, strict=True):
        lines.append(f"{' '.join(command):<14}{seconds:>8.2f}{times[0] / seconds:>10.2f} x")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="time, import time and peak memory of each stage")
    parser.add_argument("--data-dir", type=Path, help="your own export in place of the sample")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each no-op; the best counts")
    arguments = parser.parse_args()
    data_dir = arguments.data_dir.resolve() if arguments.data_dir else None
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        folder = Path(temporary)
        copy_project(folder, data_dir)
        sys.stdout.write("\n".join([*stage_lines(folder), "", *dvc_lines(folder, arguments.repeats)]) + "\n")


if __name__ == "__main__":
    main()
