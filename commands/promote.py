"""Make a tracked run's model the champion if it beats the current one: ``python -m commands.promote``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from conversion.config.params import Params, Registry
from conversion.config.params_file import load_params
from conversion.evaluation.comparison import (
    LOG_LOSS,
    Comparison,
    compare,
    comparison_text,
    measure_words,
)
from conversion.evaluation.ranking_metrics import middle
from conversion.modelling.artifact import EXPECTED, verify_model
from conversion.modelling.registered_versions import registry_key, write_registered
from conversion.runtime.cli import CommandLine, run
from conversion.runtime.errors import ComparisonError, PromotionError, TrackingError
from conversion.tracking import model_registry
from conversion.tracking.mlflow_runs import Store, open_store
from conversion.tracking.model_registry import Champion, TrackedRun
from conversion.tracking.outbox import project_root


def shortfall(comparison: Comparison, rule: Registry) -> str | None:
    """Describe how B falls short of the rule; None if it does not.

    Parameters
    ----------
    comparison
        A is the champion, B the candidate; has ``rule.measure``.
    rule
        The measure on which B must be better, and the probability required.
    """
    reached = comparison.measures[rule.measure].probability_better
    if reached >= rule.least_probability:
        return None
    better = "lower" if rule.measure == LOG_LOSS else "higher"
    return (
        f"probability of a {better} {measure_words(rule.measure)} {reached:.3f}, "
        f"required {rule.least_probability:g} (registry.least_probability)"
    )


def recall_length(params: Params) -> int:
    """Return the k of the recall to compare: the rule's, else the default of ``commands.compare``."""
    _, is_recall, length = params.registry.measure.partition("recall_at_")
    return int(length) if is_recall else middle(params.evaluate.top_k)


def judge(
    store: Store, candidate: TrackedRun, champion: Champion | None, params: Params, reason: str | None
) -> dict[str, str]:
    """Compare a run's model with the champion and print the comparison.

    Parameters
    ----------
    store
        From `conversion.tracking.mlflow_runs.open_store`.
    candidate
        The run to promote.
    champion
        None: there is no champion, so any model is promoted.
    params
        ``registry`` has the rule.
    reason
        Why to promote it even if it is not better; None: do not.

    Returns
    -------
    dict
        Tags of the new version that describe the promotion.

    Raises
    ------
    PromotionError
        It is not better, or cannot be compared, and no reason was given.
    """
    rule = params.registry
    if champion is None:
        _say(f"{rule.model_name} has no champion yet, nothing to compare with\n")
        return {"compared_with": "nothing"}
    tags = {"compared_with": champion.version}
    missed: str | None
    try:
        comparison = compare(
            model_registry.read_predictions(store, champion.run_id),
            model_registry.read_predictions(store, candidate.run_id),
            recall_length(params),
            params.evaluate.bootstrap_samples,
            params.seed,
        )
    except (ComparisonError, TrackingError) as error:
        missed = f"run (B) and version {champion.version} (A) cannot be compared: {error}"
    else:
        names = (f"{rule.model_name} version {champion.version}, the champion", f"run {candidate.run_id}")
        _say(f"{comparison_text(comparison, *names)}\n")
        better = comparison.measures[rule.measure].probability_better
        tags |= {"measure": rule.measure, "probability_better": f"{better:g}"}
        missed = shortfall(comparison, rule)
    if missed is None:
        return tags
    if reason is None:
        raise PromotionError(
            f'run {candidate.run_id} is not promoted: {missed}; --force "why" promotes it anyway'
        )
    _say(f"Forced: {missed}\nReason: {reason}\n")
    return tags | {"forced": reason}


def main() -> None:
    """Find the run and the champion, compare them, and register the run's model or report why not."""
    arguments = _arguments()
    params = load_params()
    name = params.registry.model_name
    key = registry_key(os.environ)
    store = open_store(project_root())
    candidate = (
        model_registry.tracked_run(store, arguments.run)
        if arguments.run
        else model_registry.run_of_model(store, verify_model()["sha256"])
    )
    champion = model_registry.champion_of(store, name)
    if champion is not None and champion.model_sha256 == candidate.model_sha256:
        outcome = f"run {candidate.run_id} is the champion already: {name} version {champion.version}"
    else:
        tags = judge(store, candidate, champion, params, arguments.force)
        version = model_registry.register(store, name, candidate, tags)
        outcome = f"promoted: run {candidate.run_id} is now {name} version {version}, the champion"
    write_registered(model_registry.registered_versions(store, name), Path(), key)
    _say(f"{outcome}\nto serve only this model: {EXPECTED}={candidate.model_sha256}\n")


def _arguments() -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m commands.promote",
        description="Register a tracked run's model as the champion if it beats the current champion on the "
        "backtest by the rule in params.yaml (registry).",
    )
    parser.add_argument(
        "--run",
        metavar="RUN",
        help="the run's id or name, or the name of its DVC experiment; default: the run that tracked "
        "models/model.joblib",
    )
    parser.add_argument(
        "--force",
        metavar="WHY",
        type=_reason,
        help="promote it even if it is not better; the reason is recorded",
    )
    return parser.parse_args()


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("given nothing, should say why")
    return text.strip()


def _say(text: str) -> None:
    sys.stdout.write(text)


if __name__ == "__main__":
    run(main)
