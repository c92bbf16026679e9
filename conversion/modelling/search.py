"""The search for hyperparameters inside the training period, validated forward in time by Optuna's TPE."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.config.model_params import Span, search_space
from conversion.config.param_types import Section
from conversion.config.params import Params
from conversion.modelling.families import make_model
from conversion.modelling.kept_fits import KeptFits
from conversion.runtime.progress import progress_bar
from conversion.stats.losses import log_loss

# Of the log loss: the digits below depend on the order of a sum's terms, and must not decide the search.
DECIMALS: Final = 9
# Of a drawn hyperparameter; more make no difference to a model.
DIGITS: Final = 4


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes
    ----------
    params
        The given ones, with the best hyperparameters of those tried.
    history
        One row a trial: ``family``, ``trial``, ``log_loss`` (out of time), ``best_so_far`` and the
        hyperparameters; trial 0 has the given ones. With the search off it is the only one, its loss NaN.
    """

    params: Params
    history: pd.DataFrame

    def summary(self) -> dict[str, dict[str, Any]]:
        """Return the number of trials, the first and the best log loss of each searched family."""
        trials = self.history.dropna(subset="log_loss").groupby("family", sort=False)["log_loss"]
        return {
            str(family): {
                "trials": len(losses),
                "given_log_loss": float(losses.iloc[0]),
                "best_log_loss": float(losses.min()),
            }
            for family, losses in trials
        }


def search(
    rows: pd.DataFrame,
    params: Params,
    contract: Contract,
    progress: bool = False,
    memory: KeptFits | None = None,
) -> Search:
    """Search hyperparameters of the active family, or of each member, if ``train.search.trials`` is above 0.

    Parameters
    ----------
    rows
        Training snapshots whose labels are all known: ``id``, ``as_of``, ``label``, ``weight``, the features.
    params
        Its hyperparameters are tried first, so the result is never worse by the search's own measure.
    contract
        Of the tables that the snapshots were made of.
    progress
        Whether to show a progress bar.
    memory
        Where fits are kept, see `conversion.modelling.kept_fits`; None: nowhere.

    Returns
    -------
    Search

    Raises
    ------
    ExportError
        The history is too short to validate out of time.
    """
    if params.model.type != "ensemble":
        return search_family(rows, params, contract, params.model.type, progress, memory)
    histories = []
    for member in params.model.ensemble.members:
        found = search_family(rows, params, contract, member, progress, memory)
        params = found.params
        histories.append(found.history)
    return Search(params, pd.concat(histories, ignore_index=True))


def search_family(
    rows: pd.DataFrame,
    params: Params,
    contract: Contract,
    family: str,
    progress: bool = False,
    memory: KeptFits | None = None,
) -> Search:
    """Search one family's hyperparameters where `conversion.config.model_params.search_space` says.

    A trial's measure is the weighted log loss of the snapshots in the later half of the training period,
    each predicted from what was known before its fold, see
    `conversion.modelling.time_folds.out_of_time_folds`.

    Parameters, returned value and errors are those of `search`; ``family`` need not be the active one.
    """
    given = getattr(params.model, family)
    searched = set(search_space(family))
    trials = params.train.search.trials
    if trials == 0:
        unmeasured = {"family": family, "trial": 0, "log_loss": np.nan, "best_so_far": np.nan}
        return Search(params, pd.DataFrame([unmeasured | given.model_dump(include=searched)]))
    measure = _measure_of(family, rows, params, contract, memory)
    trying: Iterable[tuple[Section, float]] = _try_blocks(
        given, search_space(family), trials, params.seed, measure
    )
    if progress:
        trying = progress_bar(trying, what=f"search {family}", unit="trials", total=trials)
    tried = list(trying)
    blocks, losses = zip(*tried, strict=True)
    history = pd.DataFrame({"family": family, "trial": range(trials), "log_loss": losses})
    history["best_so_far"] = history["log_loss"].cummin()
    values = pd.DataFrame([block.model_dump(include=searched) for block in blocks])
    return Search(_with_model(params, **{family: blocks[int(np.argmin(losses))]}), history.join(values))


def _shortened(drawn: dict[str, Any], space: dict[str, Span]) -> dict[str, Any]:
    """Round drawn values to `DIGITS`: the last bits of Optuna's logarithms depend on the processor."""
    return {
        name: value if space[name].whole else float(f"{value:.{DIGITS}g}") for name, value in drawn.items()
    }


def _with_model(params: Params, **changed: Any) -> Params:
    return params.model_copy(update={"model": params.model.model_copy(update=changed)})


def _measure_of(
    family: str, rows: pd.DataFrame, params: Params, contract: Contract, memory: KeptFits | None
) -> Callable[[Section], float]:
    """Return the function from a family's block to its out-of-time log loss, rounded to `DECIMALS`."""
    values = make_model(_with_model(params, type=family), contract).learn_levels(rows).values(rows)
    label = rows["label"].to_numpy(dtype=np.int64)
    weight = rows["weight"].to_numpy(dtype=np.float64)

    def measure(block: Section) -> float:
        model = make_model(_with_model(params, **{"type": family, family: block}), contract, memory)
        model.learn_levels(rows)
        raw, y, given, _ = model.predict_out_of_time(values, label, weight, rows["as_of"])
        return round(log_loss(y, raw, given), DECIMALS)

    return measure


def _try_blocks(
    given: Section, space: dict[str, Span], trials: int, seed: int, measure: Callable[[Section], float]
) -> Iterator[tuple[Section, float]]:
    """Measure the given block, then those that a tree-structured Parzen estimator suggests.

    Bergstra et al. 2011, Algorithms for Hyper-Parameter Optimization, NeurIPS 24.
    """
    loss = measure(given)
    yield given, loss

    import optuna
    from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Its own handler would bypass ours.
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    distributions: dict[str, BaseDistribution] = {
        name: IntDistribution(int(span.low), int(span.high), log=span.log)
        if span.whole
        else FloatDistribution(span.low, span.high, log=span.log)
        for name, span in space.items()
    }
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    first = given.model_dump(include=set(space))
    # Optuna refuses a value outside its space, such as None for no bound.
    if all(
        value is not None and space[name].low <= value <= space[name].high for name, value in first.items()
    ):
        study.add_trial(optuna.trial.create_trial(params=first, distributions=distributions, value=loss))
    for _ in range(trials - 1):
        trial = study.ask(distributions)
        block = type(given).model_validate(given.model_dump() | _shortened(trial.params, space))
        loss = measure(block)
        study.tell(trial, loss)
        yield block, loss
