"""What a command and all processes that it starts use: time, CPU seconds, peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

EVERY_SECONDS = 0.2
# ru_maxrss is in bytes on macOS and in kilobytes elsewhere.
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
PROC = Path("/proc")


@dataclass(frozen=True)
class Used:
    """What a command used, and how it ended."""

    exit_code: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int


def run_tree(command: list[str], folder: Path, log: Path) -> Used:
    """Run a command in a folder; what it says goes to the log.

    The memory of several processes at once is their proportional set size, which counts shared pages once;
    it is looked at five times a second. Without /proc only the largest process counts, and this one: until
    the command starts, a child has its parent's memory.
    """
    start = time.perf_counter()
    with log.open("wb") as said:
        child = subprocess.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        peak, ticks = 0, {}
        try:
            while not (ended := os.wait4(child.pid, os.WNOHANG))[0]:
                family = descendants(child.pid)
                together = sum(memory_of(pid) for pid in family) if len(family) > 1 else 0
                peak = max(peak, together, *(highest_of(pid) for pid in family))
                ticks.update({pid: spent for pid in family if (spent := cpu_of(pid)) is not None})
                time.sleep(EVERY_SECONDS)
        except KeyboardInterrupt:
            child.kill()
            raise
    _, status, usage = ended
    child.returncode = os.waitstatus_to_exitcode(status)
    # wait4 counts the processes that the command waited for; those that it left alone were looked at.
    cpu = max(usage.ru_utime + usage.ru_stime, sum(ticks.values()))
    if not PROC.is_dir():
        peak = usage.ru_maxrss * MAXRSS_UNIT
    return Used(child.returncode, time.perf_counter() - start, cpu, peak)


def descendants(pid: int) -> list[int]:
    """Return a process and all that it started, as far as they run."""
    children: dict[int, list[int]] = {}
    for path in PROC.glob("[0-9]*") if PROC.is_dir() else ():
        if (fields := stat_of(int(path.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(path.name))
    found, new = [], [pid]
    while new:
        found += new
        new = [child for parent in new for child in children.get(parent, [])]
    return found


def stat_of(pid: int) -> list[str] | None:
    """Return what /proc says about a process after its name, None if it has ended."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def cpu_of(pid: int) -> float | None:
    fields = stat_of(pid)
    return None if fields is None else (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> int:
    """Return the proportional set size in bytes, 0 if the process has ended."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def highest_of(pid: int) -> int:
    """Return the most memory that a process has had so far in bytes, 0 if it has ended."""
    try:
        lines = (PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
