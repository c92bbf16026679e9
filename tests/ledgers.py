"""Small deliveries, frozen for tests as ``commands.deliver`` freezes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from conversion.delivery.call_list import Design, call_list
from conversion.delivery.delivery_tables import Scored, delivery_tables, with_moved
from conversion.delivery.ledger import Delivery, DeliveryTables, MadeWith, freeze
from conversion.modelling.artifact import save_model
from conversion.runtime.files import read_json, write_json
from tests.pipeline import Pipeline

INPUTS = {"data/clean/usage.parquet": "0" * 64}


def small_design(calls: int = 10, **changes: Any) -> Design:
    """Return a design without control group and explorers, but for the changes."""
    values: dict[str, Any] = {"holdout": 0.0, "explore": 0.0, "explore_depth": 5.0, "salt": "1"} | changes
    return Design(calls=calls, **values)


def tables_of(
    pipeline: Pipeline,
    design: Design | None = None,
    suppressed: Iterable[Any] = (),
    objected: Iterable[Any] = (),
    reps: pd.Series | None = None,
    moved: pd.DataFrame | None = None,
) -> DeliveryTables:
    """Return the tables of a delivery of a pipeline's list."""
    ids = pipeline.leads["id"]
    drawn = call_list(
        ids,
        pipeline.as_of.date(),
        design or small_design(),
        pd.Series(list(suppressed), dtype=ids.dtype),
        pd.Series(list(objected), dtype=ids.dtype),
    )
    ranked = pipeline.ranked
    scored = Scored(ranked.leads, ranked.contributions, ranked.facts, pipeline.latest)
    names = [feature.name for feature in pipeline.model.features]
    tables = delivery_tables(scored, names, drawn, pipeline.contract, reps)
    return tables if moved is None else with_moved(tables, moved)


def deliver(
    root: Path,
    pipeline: Pipeline,
    design: Design | None = None,
    correction: str | None = None,
    tables: DeliveryTables | None = None,
    **draw: Any,
) -> Delivery:
    """Freeze a pipeline's list in the ledger of a folder, whose ``models/`` is written too.

    Parameters
    ----------
    root
        The folder.
    pipeline
        Its ``params.data.as_of`` dates the list.
    design
        Of the draw; see `small_design`.
    correction
        Why it is delivered again.
    tables
        To freeze, if not those of `tables_of`.
    **draw
        ``suppressed``, ``objected``, ``reps`` and ``moved`` of `tables_of`.
    """
    design = design or small_design()
    save_model(pipeline.model, {"model_type": pipeline.model.family}, root / "models")
    write_json(root / "data" / "contract.json", pipeline.contract.model_dump(mode="json"))
    about = {
        "as_of": f"{pipeline.as_of:%Y-%m-%d}",
        "horizon_days": pipeline.params.featurize.horizon_days,
        "calls": design.calls,
        "holdout": design.holdout,
        "explore": design.explore,
        "explore_depth": design.explore_depth,
        "salt": design.salt,
        "model_sha256": read_json(root / "models" / "model.json")["sha256"],
        "registered": None,
        "commit": None,
        "dirty": False,
        "inputs": INPUTS,
    }
    made_with = MadeWith(
        root / "models" / "model.joblib", root / "models" / "model.json", root / "data" / "contract.json"
    )
    whole = tables or tables_of(pipeline, design, **draw)
    return freeze(root, whole, made_with, about, correction)
