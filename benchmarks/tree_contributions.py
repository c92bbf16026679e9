"""How far a forest's contributions are from SHAP values: `python -m benchmarks.tree_contributions`.

    python -m benchmarks.tree_contributions [--data-dir FOLDER] [--rows N]

It fits the forest of params.yaml on the training snapshots in ``data/features``, and compares its
contributions (Saabas) with exact SHAP values (TreeSHAP), by fact and in log-odds. Half of the companies are
those of the list with the highest scores, half are spread over it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from conversion.config.contract_file import load_contract
from conversion.config.params_file import load_params
from conversion.features.facts import fact_places, facts_of, sum_by_fact
from conversion.modelling.ensemble import Member
from conversion.modelling.model import ConversionModel
from conversion.modelling.training import fit_at
from conversion.modelling.tree_paths import Trees
from conversion.modelling.tree_shap import twigs_of, ways_to_leaves
from conversion.runtime.files import VERIFIED
from conversion.stats.losses import log_odds
from conversion.stats.numeric import Floats

FAMILY = "random_forest"
ROWS_AT_ONCE = 16


def fitted_forest(folder: Path) -> ConversionModel:
    """Fit the forest of params.yaml as train does."""
    params = load_params()
    params = params.model_copy(update={"model": params.model.model_copy(update={"type": FAMILY})})
    as_of = pd.Timestamp(json.loads((folder / "run.json").read_text())["as_of"])
    train = pd.read_parquet(folder / "features/train.parquet", **VERIFIED)
    return fit_at(train, as_of, params, load_contract(params.data.contract))


def shap_values(trees: Trees, columns: Floats) -> Floats:
    """Return the exact SHAP values of the trees' mean, row by row and leaf by leaf."""
    asked, sides = twigs_of(trees)
    leaf, values = trees.is_leaf(asked), np.zeros(columns.shape)
    for start in range(0, len(columns), ROWS_AT_ONCE):
        few = columns[start : start + ROWS_AT_ONCE].astype(np.float32)
        above = (few[:, trees.column[asked]] > trees.threshold[asked]) & ~leaf
        answers = above.transpose(1, 0, 2)
        for ways in ways_to_leaves(trees, asked, sides):
            of_steps = ways.contributions(ways.met(answers[ways.twig]))
            for question, contributions in zip(ways.question, of_steps, strict=True):
                column = np.where(leaf, 0, trees.column[asked])[ways.twig, question]
                for row, each in enumerate(contributions.T):
                    values[start + row] += np.bincount(column, each, columns.shape[1])
    return values / len(trees.roots)


def compare(member: Member, values: Floats, places: np.ndarray) -> tuple[Floats, Floats, float]:
    """Return the contributions of both kinds by fact, and the seconds that SHAP values took."""
    columns = member.preprocessor.transform(values)
    start = time.perf_counter()
    changes = shap_values(member.scorer.trees_, columns)
    spent = time.perf_counter() - start
    raw, ours = member.scorer.raw_with_contributions(columns)
    # Both in log-odds by one slope, see `RandomForestScorer`.
    slope = (log_odds(raw) - log_odds(raw - changes.sum(axis=1))) / changes.sum(axis=1)
    by_feature = member.preprocessor.by_feature
    exact = by_feature(changes * slope[:, None])
    return sum_by_fact(by_feature(ours), places), sum_by_fact(exact, places), spent


def report(names: list[str], ours: Floats, exact: Floats) -> list[str]:
    """List what differs, by fact."""
    lines = [f"{'':<34}{'mean |SHAP|':>12}{'mean diff.':>12}{'largest':>10}{'rank corr.':>12}"]
    differences = np.abs(ours - exact)
    for fact, name in enumerate(names):
        varies = np.ptp(ours[:, fact]) > 0 and np.ptp(exact[:, fact]) > 0
        rank = spearmanr(ours[:, fact], exact[:, fact]).statistic if varies else np.nan
        lines.append(
            f"{name:<34}{np.abs(exact[:, fact]).mean():>12.3f}{differences[:, fact].mean():>12.3f}"
            f"{differences[:, fact].max():>10.2f}{rank:>12.2f}"
        )
    same = (ours.argmax(axis=1) == exact.argmax(axis=1)).mean()
    lines.append(
        f"all facts: mean {differences.mean():.3f}, largest {differences.max():.2f}; "
        f"the strongest reason is the same for {100 * same:.0f} %"
    )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="a forest's contributions beside its SHAP values")
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="what featurize wrote")
    parser.add_argument("--rows", type=int, default=400, help="companies to compare")
    arguments = parser.parse_args()
    model = fitted_forest(arguments.data_dir)
    values = model.values(pd.read_parquet(arguments.data_dir / "features/latest.parquet", **VERIFIED))
    best = np.argsort(-model.probability(values), kind="stable")
    half = arguments.rows // 2
    groups = {
        "highest scores": best[:half],
        "spread over the list": best[:: max(len(best) // half, 1)][:half],
    }
    names = [fact.title for fact in facts_of(model.features, model.data_contract)]
    for group, rows in groups.items():
        ours, exact, spent = compare(model.members_[FAMILY], values[rows], fact_places(model.features))
        lines = [f"{group}: {len(rows)} companies, SHAP values in {spent:.1f} s", *report(names, ours, exact)]
        sys.stdout.write("\n".join([*lines, "", ""]))


if __name__ == "__main__":
    main()
