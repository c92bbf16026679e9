"""The files of a lead list, written for tests as the stage ``score`` writes them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pandas as pd

from conversion.leads.lead_files import FOLDER, MANIFEST, RankedBlocks, Sources, write_lead_files
from conversion.runtime.files import sha256, write_json, write_parquet
from conversion.runtime.seals import sealed
from tests.pipeline import Pipeline
from tests.serving import SHA256


def write_list(
    folder: Path,
    pipeline: Pipeline,
    file_format: str,
    leads: pd.DataFrame | None = None,
    top: int = 3,
    model_sha256: str = SHA256,
) -> Path:
    """Write a pipeline's list, or other leads with the contributions of its first ones; return its folder."""
    usage, evidence = folder / "clean.parquet", folder / "evidence.json"
    write_parquet(usage, pipeline.usage)
    write_json(evidence, pipeline.evidence.model_dump(by_alias=True))
    leads = pipeline.leads if leads is None else leads
    contributions = pipeline.ranked.contributions.head(len(leads)).assign(id=leads["id"].array)
    facts = pipeline.ranked.facts.head(len(leads)).assign(id=leads["id"].array)
    ranked = dataclasses.replace(pipeline.ranked, leads=leads, contributions=contributions, facts=facts)
    score = pipeline.params.score.model_copy(update={"format": file_format, "top_n": top})
    about = {
        "as_of": f"{pipeline.as_of:%Y-%m-%d}",
        "model_sha256": model_sha256,
        "inputs": {"data/clean/usage.parquet": sha256(usage)},
    }
    write_lead_files(
        folder, RankedBlocks.of(ranked), pipeline.converted, score, Sources(usage, evidence), about
    )
    return folder / FOLDER


def hash_anew(folder: Path) -> None:
    """Make the manifest agree with what stands beside it, as whoever can write all files can."""
    written = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    del written["sha256"]
    written["files"] = {name: sha256(folder / name) for name in written["files"]}
    write_json(folder / MANIFEST, sealed(written))
