"""Remove a company from everything that the project has written: ``python -m commands.forget ID --yes``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.delivery.copies import copies_at
from conversion.delivery.guards import one_at_a_time
from conversion.delivery.ledger import TRACKED
from conversion.forgetting.cache import CachedCompany, find_cached, remove_files
from conversion.forgetting.copies import ChangedCopy, changed_copies, write_copy
from conversion.forgetting.deliveries import (
    ChangedDelivery,
    changed_deliveries,
    write_delivery,
    write_tombstones,
)
from conversion.forgetting.elsewhere import history_advice, in_history, remotes_advice
from conversion.forgetting.known import with_former_ids, with_keys, with_names
from conversion.forgetting.places import DVC_CACHE, Places, find_places, write_places
from conversion.forgetting.wanted import Wanted, wanted_company
from conversion.ingest.folders import Place as Folder
from conversion.ingest.folders import place_of
from conversion.runtime.cli import CommandLine, run
from conversion.runtime.errors import ForgetError

ROOT: Final = Path()
MODELS: Final = "models"
TRACKING: Final = "MLFLOW_TRACKING_URI"


@dataclass(frozen=True)
class Found:
    """Where the company is.

    Attributes
    ----------
    cached
        In DVC's cache.
    places
        In files.
    deliveries
        In the ledger.
    copies
        In the copies of deliveries.
    """

    cached: CachedCompany
    places: Places
    deliveries: tuple[ChangedDelivery, ...]
    copies: tuple[ChangedCopy, ...]

    @property
    def anything(self) -> bool:
        """Whether it is anywhere."""
        in_copies = any(copy.files for copy in self.copies)
        return bool(self.cached.objects or self.places.found or self.deliveries or in_copies)


def sources(contract: Contract) -> tuple[str, ...]:
    """Return the stems of the files that tell by what else the company is known."""
    aliases = contract.companies.aliases
    return ("companies", *(() if aliases is None else (aliases.table,)))


def find(root: Path, wanted: Wanted, contract: Contract, copies: Folder | None) -> Found:
    """Search the project, and the copies of its deliveries, for a company, without changing anything."""
    copied = () if copies is None else tuple(changed_copies(copies, wanted))
    here = [copy.folder.resolve() for copy in copied if isinstance(copy.folder, Path)]
    inside = [folder for folder in here if folder.is_relative_to(root.resolve())]
    apart = [root / folder.relative_to(root.resolve()) for folder in inside]
    return Found(
        find_cached(root / DVC_CACHE, wanted),
        find_places(root, wanted, sources(contract), apart),
        tuple(changed_deliveries(root, wanted)),
        copied,
    )


def remove(root: Path, found: Found, last: Collection[str]) -> None:
    """Remove what was found; stopped at any moment and repeated, it ends the same.

    Parameters
    ----------
    root
        The project's root.
    found
        From `find`.
    last
        From `sources`.
    """
    for copy in found.copies:  # first: what is elsewhere may be out of reach, and then nothing is changed
        write_copy(copy)
    remove_files(found.cached.paths())
    late = [place for place in found.places.found if place.path.stem in last]
    write_places(place for place in found.places.found if place not in late)
    for delivery in found.deliveries:
        write_delivery(delivery)
    write_tombstones(root)
    write_places(late)


def describe(found: Found) -> str:
    """Say where the company is, one place a line."""
    lines = [
        f"{place.path}: {place.removed} "
        + ("page, removed whole" if place.content is None else "rows" if place.removed > 1 else "row")
        for place in found.places.found
    ]
    lines += [
        f"{each.delivery.folder}: its row in {', '.join(each.files)}; the count stays"
        for each in found.deliveries
    ]
    lines += [f"{copy.folder}: its rows in {', '.join(copy.files)}" for copy in found.copies if copy.files]
    cached = found.cached
    if cached.objects:
        lines.append(
            f"{DVC_CACHE}: {len(cached.objects)} objects of runs, {len(cached.folders)} lists of folders, "
            f"{len(cached.runs)} entries of the run cache"
        )
    return "".join(f"  {line}\n" for line in lines)


def left(root: Path, wanted: Wanted, found: Found, params: Params, contract: Contract) -> list[str]:
    """Say where the company may be that this program cannot change, and what to do there."""
    advice = []
    folder = place_of(params.data.dir)
    if not isinstance(folder, Path) or not (root / folder).resolve().is_relative_to(root.resolve()):
        advice.append(
            f"{folder} (data.dir): outside of the project, unchanged: remove the company where the export is "
            "made, or its rows in the files"
        )
    if params.deliver.copy_to is not None:
        advice.append(
            f"{params.deliver.copy_to} (deliver.copy_to): what others took from the copies there before, and "
            "copies in folders that it named earlier: remove the company there"
        )
    if (outside := _cache_outside(root)) is not None:
        advice.append(
            f"{outside}: DVC's cache is outside of the project, other projects may use it: after "
            "'dvc repro', dvc gc --workspace"
        )
    advice += remotes_advice(_remotes(root), found.cached.hashes)
    if commits := in_history(root, wanted):
        advice.append(history_advice(commits, wanted))
    if store := os.environ.get(TRACKING):
        advice.append(
            f"{store.rpartition('@')[2]} ({TRACKING}): runs there keep the first rows of their list and the "
            "report: delete those of its weeks, then mlflow gc"
        )
    unreadable = [*found.places.unreadable, *(each for copy in found.copies for each in copy.unreadable)]
    advice += [f"{path}: {why}: look for the company in it yourself" for path, why in unreadable]
    if (root / MODELS).is_dir():
        advice.append(
            "models (models/, ledger/*/*/_frozen/model.joblib): kept; they hold weights of thousands of "
            "companies and no id, and without them a delivery could not be verified. The next 'dvc repro' "
            "fits a model without the company's rows"
        )
    objections = contract.objections
    where = "a table of objections in the contract" if objections is None else f"the table {objections.table}"
    advice.append(
        "the next export: if it has the company again, so has the next list. Remove it at the source; "
        f"{where} keeps an id off every list, but has to hold it"
    )
    return advice


def _remotes(root: Path) -> dict[str, str]:
    from dvc.config import Config

    if not (root / ".dvc").is_dir():
        return {}
    remotes = Config(str((root / ".dvc").resolve()))["remote"]
    return {name: str(remote["url"]).rpartition("@")[2] for name, remote in remotes.items()}


def _cache_outside(root: Path) -> Path | None:
    from dvc.config import Config

    if not (root / ".dvc").is_dir():
        return None
    given = Config(str((root / ".dvc").resolve()))["cache"].get("dir")
    return None if given is None or Path(given) == (root / DVC_CACHE).resolve() else Path(given)


def next_steps(root: Path, found: Found) -> str:
    """Say what to run after a removal."""
    lines = ["dvc repro: dvc.lock does not match any more; the stages run again on what is left"]
    if found.deliveries:
        tracked = f"; {TRACKED} has the old hash" if (root / TRACKED).is_file() else ""
        lines.append(f"dvc add ledger{tracked}")
    return "".join(f"  {line}\n" for line in lines)


def main() -> None:
    """Find the company, remove it if told to, and prove that it is gone."""
    arguments = _arguments()
    # A delivery at the same time would write the company again.
    with one_at_a_time(ROOT) if arguments.yes else nullcontext():
        forget(arguments.id, load_params(), removes=arguments.yes)


def forget(company: str, params: Params, *, removes: bool) -> None:
    """Find the company, and remove it or say where it is."""
    contract = load_contract(params.data.contract)
    wanted = with_former_ids(ROOT, wanted_company(company, contract), params, contract)
    wanted = with_keys(ROOT, with_names(ROOT, wanted, contract), params)
    copies = copies_at(ROOT, params.deliver.copy_to)
    found = find(ROOT, wanted, contract, copies)
    known = ", ".join(sorted(wanted.ids))
    if not found.anything:
        _say(f"company {known}: in no file of the project\n")
    elif not removes:
        _say(f"company {known} is in:\n{describe(found)}nothing was changed: --yes removes it\n")
    else:
        remove(ROOT, found, sources(contract))
        _prove(ROOT, wanted, contract, copies)
        _say(f"company {known} was removed from:\n{describe(found)}")
        _say("a second search of all files found nothing\n")
        _say(f"to do:\n{next_steps(ROOT, found)}")
    advice = left(ROOT, wanted, found, params, contract)
    _say("left:\n" + "".join(f"  {line}\n" for line in advice))


def _prove(root: Path, wanted: Wanted, contract: Contract, copies: Folder | None) -> None:
    """Search again.

    Raises
    ------
    ForgetError
        Something still has the company, as when another program wrote at the same time.
    """
    again = find(root, wanted, contract, copies)
    if again.anything:
        raise ForgetError(
            f"the company is still in:\n{describe(again)}another program may write at the same time: stop "
            "it and run this again"
        )


def _arguments() -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m commands.forget",
        description="Remove a company from export copies, data, lists, the ledger (which keeps counts), "
        "DVC's cache, logs and MLflow's files. Without --yes it shows where the company is.",
    )
    parser.add_argument("id", metavar="ID", help="the id of the company, as in the export")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--yes", action="store_true", help="remove it; there is no way back")
    how.add_argument("--dry-run", action="store_true", help="show where it is, which is the default")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(text)


if __name__ == "__main__":
    run(main)
