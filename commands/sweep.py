"""Try hyperparameters of every model family as queued DVC experiments, and apply the best: `make sweep`.

python -m commands.sweep                        # the grid below
python -m commands.sweep --random 20 --seed 1   # draws from the same spaces as train.search
"""

from __future__ import annotations

import csv
import io
import itertools
import logging
import math
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from conversion.config.model_params import Span, model_types, search_space
from conversion.runtime.cli import CommandLine, run, whole_number
from conversion.runtime.errors import UserError
from conversion.runtime.progress import counting_bar, progress_bar

Number = int | float
Settings = Mapping[str, Sequence[Number | str]]
"""What to set in params.yaml, by dotted key; DVC queues an experiment for each combination of the values."""

# A family that is not listed is tried once, as it stands in params.yaml.
GRID: Final[dict[str, dict[str, tuple[Number, ...]]]] = {
    "logistic_regression": {"C": (0.003, 0.01, 0.03)},
    "random_forest": {"max_depth": (6, 9), "min_samples_leaf": (10, 20)},
    "xgboost": {"max_depth": (2, 3, 4), "learning_rate": (0.03, 0.06)},
}
AVERAGE_PRECISION: Final = "average_precision"
MEASURES: Final = (
    AVERAGE_PRECISION,
    "roc_auc",
    "recall_at_50",
    "log_loss_ratio",
)
PENDING: Final = frozenset({"Queued", "Running"})
POLL_SECONDS: Final = 10  # asking takes dvc itself a second of a processor that the workers need
STARTS_IN_VAIN: Final = 5

log = logging.getLogger(__name__)


def grid() -> list[Settings]:
    """Give the default grid, one entry a family."""
    return [_settings(family, GRID.get(family, {})) for family in model_types()]


def draws(count: int, seed: int) -> list[Settings]:
    """Draw hyperparameters from `conversion.config.model_params.search_space`, the families in turn.

    Parameters
    ----------
    count
        Number of draws.
    seed
        Another seed gives other draws; a larger count adds to them.

    Returns
    -------
    list
        One entry a draw, each key with one value of three significant digits.
    """
    random = np.random.default_rng(seed)
    families = itertools.cycle(family for family in model_types() if search_space(family))
    return [
        _settings(family, {name: (_draw(span, random),) for name, span in search_space(family).items()})
        for family in itertools.islice(families, count)
    ]


def _settings(family: str, hyperparameters: Mapping[str, Sequence[Number]]) -> Settings:
    return {"model.type": (family,)} | {
        f"model.{family}.{name}": values for name, values in hyperparameters.items()
    }


def _draw(span: Span, random: np.random.Generator) -> Number:
    if span.whole and not span.log:
        return int(random.integers(int(span.low), int(span.high), endpoint=True))
    if span.log:
        value = math.exp(random.uniform(math.log(span.low), math.log(span.high)))
    else:
        value = random.uniform(span.low, span.high)
    return round(value) if span.whole else float(f"{value:.3g}")


def sweep(settings: Sequence[Settings], jobs: int) -> None:
    """Queue the experiments, run them to the end, show the results, and apply the best to the workspace.

    Parameters
    ----------
    settings
        See `grid` and `draws`.
    jobs
        Experiments at once.

    Raises
    ------
    UserError
        The workspace is not committed, the queue is not empty, some experiment failed, or the workers died.
    """
    commit = _require_a_clean_workspace()
    _require_an_empty_queue()
    _reproduce()
    names: list[str] = []
    try:
        for each in progress_bar(settings, what="queue", unit="commands"):
            names += enqueue(each)
        log.info("queued", extra={"experiments": len(names), "jobs": jobs})
        failed = run_queue(names, jobs)
    except BaseException:  # Ctrl-C too
        _abandon_queue()
        raise
    selection = _selection(commit, settings)
    _run("dvc", "exp", "show", "--md", *selection, captured=False)
    if failed:
        raise UserError(
            f"{len(failed)} of {len(names)} experiments failed: {', '.join(failed)}; see why with "
            f"'dvc queue logs {failed[0]}'. Nothing was applied"
        )
    apply_best(names, commit, selection)


def enqueue(settings: Settings) -> list[str]:
    """Queue the experiments of one entry; give their names."""
    options = [f"{key}={','.join(map(str, values))}" for key, values in settings.items()]
    said = _dvc("exp", "run", "--queue", *itertools.chain.from_iterable(("-S", option) for option in options))
    return re.findall(r"Queued experiment '([^']+)'", said)


def run_queue(names: Sequence[str], jobs: int) -> list[str]:
    """Start workers and wait until all is done and they are gone; name the experiments that did not succeed.

    Workers end by themselves soon after the queue is empty. ``dvc queue stop`` without any stays for
    the next ones, which then end early: it is not used here, and workers that ended early are started again.

    Raises
    ------
    UserError
        The workers stop again and again without finishing anything.
    """
    done = starts_in_vain = 0
    with counting_bar(what="sweep", unit="experiments", total=len(names)) as bar:
        while True:
            said = _dvc("queue", "status")
            status, idle = queue_status(said), "Worker status: 0 active, 0 idle" in said
            pending = [name for name in names if status.get(name) in PENDING]
            if finished := len(names) - len(pending) - done:
                done += finished
                starts_in_vain = 0
                bar.update(finished)
            if idle and not pending:
                return [name for name in names if status.get(name) != "Success"]
            if idle:
                if starts_in_vain == STARTS_IN_VAIN:
                    raise UserError(f"the queue's workers stop without finishing {', '.join(pending)}")
                _dvc("queue", "start", "--jobs", str(jobs))
                starts_in_vain += 1
            time.sleep(POLL_SECONDS)


def _abandon_queue() -> None:
    """Leave nothing queued or running; the workers end by themselves then."""
    _dvc("queue", "remove", "--queued")
    status = queue_status(_dvc("queue", "status"))
    if running := [name for name in status if status[name] == "Running"]:
        _dvc("queue", "kill", "--force", *running)


def queue_status(said: str) -> dict[str, str]:
    """Read the table of ``dvc queue status``: each experiment's status by its name.

    Examples
    --------
    >>> queue_status('''Task     Name        Created    Status
    ... e0e8964  perky-puke  09:42 PM   Queued
    ...
    ... Worker status: 0 active, 0 idle''')
    {'perky-puke': 'Queued'}
    """
    rows = re.findall(r"(?m)^[0-9a-f]{7}\s+(\S+)\s.*\s(\w+)\s*$", said)
    return dict(rows)


def apply_best(names: Sequence[str], commit: str, selection: Sequence[str]) -> None:
    """Apply the experiment of the highest average precision, unless the commit itself is as good.

    Parameters
    ----------
    names
        The experiments that were run.
    commit
        What they started from.
    selection
        Options of ``dvc exp show`` that show them.
    """
    shown = list(csv.DictReader(io.StringIO(_dvc("exp", "show", "--csv", *selection))))
    scores = {row["Experiment"]: float(row[AVERAGE_PRECISION] or "-inf") for row in shown}
    committed = scores.get("", -math.inf)  # the row of the commit has no experiment's name
    best = max(names, key=scores.__getitem__)
    if scores[best] <= committed:
        log.info("nothing applied: the last commit is as good", extra={"average_precision": committed})
        return
    if _head() != commit or _changed_files():
        raise UserError(
            "nothing was applied, as the workspace or the last commit changed during the sweep; the best "
            f"experiment is applied by 'dvc exp apply {best}'"
        )
    _dvc("exp", "apply", best)
    log.info("applied", extra={"experiment": best, "average_precision": scores[best], "committed": committed})
    log.info("'git checkout . && dvc checkout' goes back to the last commit")


def _selection(commit: str, settings: Sequence[Settings]) -> tuple[str, ...]:
    """Choose what ``dvc exp show`` shows: the best first, with the headline measures and what was set."""
    swept = dict.fromkeys(key for each in settings for key in each)
    columns = "|".join(re.escape(name) for name in ("Experiment", *MEASURES, *swept))
    order = ("--sort-by", AVERAGE_PRECISION, "--sort-order", "desc")
    hidden = ("--hide-failed", "--hide-queued", "--hide-workspace")
    return ("--rev", commit, *order, *hidden, "--drop", ".*", "--keep", f"^({columns})$")


def _require_a_clean_workspace() -> str:
    """Refuse changes that are not committed; give the commit."""
    if changed := _changed_files():
        raise UserError(
            f"changed since the last commit: {', '.join(changed)}; commit or stash it first, as experiments "
            "are compared with the last commit and the best one is applied over the workspace"
        )
    return _head()


def _reproduce() -> None:
    """Make what the experiments start from: the results of the last commit, whose data a fresh clone lacks.

    Raises
    ------
    UserError
        The commit's dvc.lock is behind, which is told before anything runs, or its results are others.
    """
    _run(sys.executable, "-m", "commands.check_lock")
    _run("dvc", "repro", captured=False)
    _require_a_clean_workspace()


def _require_an_empty_queue() -> None:
    status = queue_status(_dvc("queue", "status"))
    if waiting := [name for name in status if status[name] in PENDING]:
        raise UserError(
            f"in the queue already: {', '.join(waiting)}; run them first ('dvc queue start') or remove them "
            "('dvc queue remove --queued', 'dvc queue kill')"
        )


def _changed_files() -> list[str]:
    status = _run("git", "status", "--porcelain", "--untracked-files=no")
    return [line[3:] for line in status.splitlines()]


def _head() -> str:
    return _run("git", "rev-parse", "HEAD").strip()


def _dvc(*arguments: str) -> str:
    return _run("dvc", *arguments)


def _run(program: str, *arguments: str, captured: bool = True) -> str:
    """Run a command; give what it said on stdout, unless that is to be seen."""
    # The dvc of this environment, whatever is on the path.
    command = [sys.executable, "-m", "dvc"] if program == "dvc" else [program]
    stdout = subprocess.PIPE if captured else None
    done = subprocess.run(  # noqa: S603
        [*command, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"{program} {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}".strip())
    return done.stdout or ""


def main() -> None:
    """Read the command line and sweep."""
    parser = CommandLine(prog="python -m commands.sweep", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--random", type=whole_number(1), metavar="N", help="N random draws in place of the grid"
    )
    parser.add_argument("--seed", type=whole_number(0), default=0, help="seed of the draws (default: 0)")
    parser.add_argument("--jobs", type=whole_number(1), default=2, help="experiments at once (default: 2)")
    chosen = parser.parse_args()
    try:
        sweep(draws(chosen.random, chosen.seed) if chosen.random else grid(), chosen.jobs)
    except KeyboardInterrupt:
        log.warning("stopped; the experiments that were done by then stay, see 'dvc exp show'")
        sys.exit(130)


if __name__ == "__main__":
    run(main)
