"""Is B better than A? Compare the backtests of two DVC revisions: ``python -m commands.compare A [B]``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from io import BytesIO
from pathlib import Path
from typing import Final

import pandas as pd

from conversion.config.params_file import load_params
from conversion.evaluation.comparison import NEEDED, compare, comparison_text, verdict
from conversion.evaluation.ranking_metrics import middle
from conversion.runtime.cli import CommandLine, run, whole_number
from conversion.runtime.errors import ComparisonError
from conversion.runtime.files import verified_parquet

PREDICTIONS: Final = "data/backtest/predictions.parquet"
WORKSPACE: Final = "workspace"


def read_predictions(revision: str) -> pd.DataFrame:
    """Read the backtest of a revision from the workspace or DVC's cache.

    Parameters
    ----------
    revision
        A commit, branch, tag or experiment, or ``workspace``.

    Returns
    -------
    DataFrame
        The columns that `conversion.evaluation.comparison.compare` needs.

    Raises
    ------
    ComparisonError
        There is no such revision, or its backtest is neither here nor in the cache.
    """
    source = _workspace_file() if revision == WORKSPACE else BytesIO(_cached_bytes(revision))
    try:
        return verified_parquet(source, NEEDED)
    except (OSError, ValueError) as error:  # what pyarrow raises is a ValueError
        raise ComparisonError(
            f"{revision}: {PREDICTIONS} is not what 'dvc repro' writes ({error}); run it again there"
        ) from error


def _workspace_file() -> Path:
    path = Path(PREDICTIONS)
    if not path.is_file():
        raise ComparisonError(f"{WORKSPACE}: {PREDICTIONS} not found; run 'dvc repro evaluate' to make it")
    return path


def _cached_bytes(revision: str) -> bytes:
    # Imported here so that --help and mistakes in arguments need not wait for DVC.
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.scm import NoSCMError, RevError, SCMError
    from dvc_data.index import DataIndexError

    try:
        with DVCFileSystem(rev=revision).open(PREDICTIONS, "rb") as file:
            content: bytes = file.read()
    except RevError as error:
        raise ComparisonError(
            f"{revision}: there is no such commit, branch, tag or experiment; 'dvc exp show --all-commits' "
            "lists them"
        ) from error
    except (NotDvcRepoError, NoSCMError, SCMError) as error:
        raise ComparisonError(
            f"{revision}: this folder is not a Git repository with DVC ({error}); run from the root of the "
            "cloned project"
        ) from error
    except (DvcException, DataIndexError, OSError) as error:
        raise ComparisonError(
            f"{revision}: its {PREDICTIONS} is not in DVC's cache; run 'dvc fetch --all-commits' if a "
            f"remote has it, or check the revision out ('git checkout {revision}', of an experiment 'dvc exp "
            f"apply {revision}') and run 'dvc repro evaluate'"
        ) from error
    return content


def main() -> None:
    """Read the arguments and both backtests; print the comparison."""
    arguments = _arguments()
    params = load_params()
    comparison = compare(
        read_predictions(arguments.a),
        read_predictions(arguments.b),
        arguments.k or middle(params.evaluate.top_k),
        arguments.samples or params.evaluate.bootstrap_samples,
        params.seed,
    )
    if arguments.json:
        names = {"revision_a": arguments.a, "revision_b": arguments.b, "verdict": verdict(comparison)}
        text = json.dumps(names | dataclasses.asdict(comparison), indent=2, allow_nan=False) + "\n"
    else:
        text = comparison_text(comparison, arguments.a, arguments.b)
    sys.stdout.write(text)


def _arguments() -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m commands.compare",
        description="Is B better than A? Compares the backtests of two revisions on the lists and companies "
        "that both have, with 95 % intervals by resampling companies.",
    )
    revision = "commit, branch, tag or experiment, or workspace"
    parser.add_argument("a", metavar="A", help=revision)
    parser.add_argument("b", metavar="B", nargs="?", default=WORKSPACE, help=f"{revision} (default)")
    parser.add_argument(
        "--k",
        type=whole_number(1),
        help="list length of the recall; default: the middle one of evaluate.top_k",
    )
    parser.add_argument(
        "--samples", type=whole_number(20), help="bootstrap samples; default: evaluate.bootstrap_samples"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
