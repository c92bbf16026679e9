"""The ledger: every list that went out, dated, numbered and never changed.

``ledger/as_of=2020-04-27/delivery=1/`` is one delivery. Its companies are Parquet, so that
``pd.read_parquet("ledger")`` reads all deliveries as one table. Readers of datasets skip ``_frozen``, which
has what the delivery was made with. A delivery is written under a temporary name and then renamed: it is
there whole, or not at all. No byte depends on the clock.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from conversion.delivery.guards import require_pulled
from conversion.runtime.errors import ArtifactError, DeliveryError
from conversion.runtime.files import (
    copy_file,
    is_leftover,
    reading,
    sha256,
    verified_parquet,
    write_json,
    write_parquet,
    writing,
)
from conversion.runtime.seals import sealed, sha256_of, unsealed
from conversion.runtime.validation import first_fault

if TYPE_CHECKING:
    import pandas as pd

    from conversion.config.data_contract import Contract
    from conversion.modelling.model import ConversionModel

FOLDER: Final = "ledger"
FROZEN: Final = "_frozen"
COMPANIES: Final = "companies.parquet"
FEATURES: Final = f"{FROZEN}/features.parquet"
MODEL: Final = f"{FROZEN}/model.joblib"
DESCRIPTION: Final = f"{FROZEN}/model.json"
CONTRACT: Final = f"{FROZEN}/contract.json"
MANIFEST: Final = f"{FROZEN}/manifest.json"
TRACKED: Final = f"{FOLDER}.dvc"
"""What ``dvc add ledger`` writes."""
RESTORE: Final = "the ledger is never edited: 'dvc checkout ledger.dvc' restores it as it was last added"

_AS_OF: Final = re.compile(r"as_of=(\d{4}-\d{2}-\d{2})")
_NUMBER: Final = re.compile(r"delivery=([1-9]\d*)")

COLUMNS: Final[dict[str, str]] = {
    "rank": "int64",
    "probability": "float64",
    "log_odds": "float64",
    "tier": "str",
    "rule_rank": "int64",
    "status": "str",
    "call_probability": "float64",
    "place": "Int64",
    "rep": "str",
    "reason_1": "str",
    "reason_2": "str",
    "reason_3": "str",
    "caution": "str",
    "evidence": "str",
    "fact_1": "str",
    "fact_2": "str",
    "fact_3": "str",
    "moved": "str",
    "rank_before": "Int64",
    "probability_before": "float64",
    "log_odds_change": "float64",
    "moved_activity": "float64",
    "moved_windows": "float64",
    "moved_attributes": "float64",
    "moved_model": "float64",
}
"""Columns of each delivery's companies, with their types, whatever the contract; the first is ``id``.

``rank`` is the model's among all prospects and the table's order, ``rule_rank`` the rule's. ``log_odds`` are
before calibration. ``status`` is one of
`conversion.delivery.statuses.STATUSES`. ``call_probability`` is the probability, by design and
before its own draw, that the company was offered for a call (see `conversion.delivery.call_list.call_list`).
``place`` is its place on the call list; companies that are not on it have none, nor a rep, sentences, or what
shows who they are. ``rank_before`` and ``probability_before`` are those of the last delivery; ``moved`` and
the columns after it say what changed.
"""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Forgotten(BaseModel):
    """How many companies of a status and a tier were removed from a delivery, because they asked for it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    status: str = Field(description="one of the statuses of companies")
    tier: str = Field(description="one of the tiers")
    companies: int = Field(ge=1, description="how many")


class DeliveryManifest(BaseModel):
    """What a delivery is, and what it was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    as_of: dt.date = Field(description="moment of the list")
    number: int = Field(ge=1, description="1, and for each correction one more")
    reason: str | None = Field(description="why it was corrected; null for the first")
    horizon_days: int = Field(ge=1, description="days in which a conversion counts")
    calls: int = Field(ge=0, description="length of the call list that was asked for")
    holdout: float = Field(ge=0, le=1, description="share of companies that are held back")
    explore: float = Field(ge=0, le=1, description="share of the calls that go below the cut")
    explore_depth: float = Field(ge=1, description="explorers are drawn down to this multiple of the calls")
    salt: str = Field(description="of the draw")
    model_sha256: Sha256 = Field(description="of the model file that scored the list")
    registered: str | None = Field(description="version of the registered model; null: it is none")
    commit: str | None = Field(description="git commit of the project; null: no repository")
    dirty: bool = Field(description="whether tracked files differed from the commit")
    inputs: dict[str, Sha256] = Field(description="sha256 of each file that the list was made from")
    files: dict[str, Sha256] = Field(description="sha256 of each file of the delivery")
    forgotten: tuple[Forgotten, ...] = Field(default=(), description="companies removed since, as counts")

    def content(self) -> dict[str, Any]:
        """Return what makes two deliveries of a week the same: all but who delivered it, and from where."""
        return self.model_dump(
            exclude={"number", "reason", "registered", "commit", "dirty", "inputs", "forgotten"}
        )


@dataclass(frozen=True)
class Delivery:
    """A delivery of the ledger. Its tables and its model are read when they are asked for.

    Attributes
    ----------
    folder
        Of its files.
    manifest
        Of its files.
    """

    folder: Path
    manifest: DeliveryManifest

    @property
    def as_of(self) -> dt.date:
        """The moment of the list."""
        return self.manifest.as_of

    @property
    def number(self) -> int:
        """1, and for each correction one more."""
        return self.manifest.number

    def companies(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read every prospect of the list, most probable first; of `COLUMNS` all, or those given."""
        return self._table(COMPANIES, columns)

    def features(self) -> pd.DataFrame:
        """Read ``id`` and the model's features of each prospect, in the order of `companies`."""
        return self._table(FEATURES)

    def model(self) -> ConversionModel:
        """Read the model that scored the list; see `conversion.modelling.artifact.load_model` for errors."""
        from conversion.modelling.artifact import load_model  # the ledger's tables are read without it
        from conversion.modelling.model import ConversionModel

        for name in (MODEL, DESCRIPTION):
            self.verified(name)
        allowed = {str(self.folder / MANIFEST): [self.manifest.model_sha256]}
        model: ConversionModel = load_model(ConversionModel, self.folder / FROZEN, allowed)[0]
        return model

    def contract(self) -> Contract:
        """Read the data contract of the list."""
        from conversion.config.data_contract import Contract

        return Contract.model_validate_json(self.verified(CONTRACT))

    def verified(self, name: str) -> bytes:
        """Read a file of the delivery, after its bytes are found to be those that went out.

        Raises
        ------
        ArtifactError
            The file is missing or was changed.
        """
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ArtifactError(f"{path}: cannot be read: {error.strerror}; {RESTORE}") from error
        found, frozen = sha256_of(content), self.manifest.files.get(name)
        if found != frozen:
            raise ArtifactError(
                f"{path}: sha256 is {found}, but {self.folder / MANIFEST} says {frozen}: {RESTORE}"
            )
        return content

    def _table(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        content = self.verified(name)
        with reading(self.folder / name):
            return verified_parquet(BytesIO(content), columns)


@dataclass(frozen=True)
class DeliveryTables:
    """The tables of a delivery.

    Attributes
    ----------
    companies
        ``id`` and `COLUMNS`, ``expected_mrr`` where there is one, then the contract's shown columns and
        attributes: a row for each prospect, by rank.
    features
        ``id`` and the model's features, in the same order.
    """

    companies: pd.DataFrame
    features: pd.DataFrame


@dataclass(frozen=True)
class MadeWith:
    """Files that a delivery keeps a copy of: the model's two and the contract."""

    model: Path
    description: Path
    contract: Path


# Reading


def read_deliveries(root: Path) -> tuple[Delivery, ...]:
    """Read the manifests of the ledger.

    Parameters
    ----------
    root
        The project's root.

    Returns
    -------
    tuple of Delivery
        By ``as_of`` and number; empty if nothing was delivered yet.

    Raises
    ------
    ArtifactError
        A manifest is missing, was edited or is of another week; or DVC tracks deliveries that are not here.
    """
    folder = root / FOLDER
    if not folder.is_dir():
        if (root / TRACKED).is_file():
            raise ArtifactError(
                f"{folder}: not found, but {root / TRACKED} is there: run 'dvc pull {TRACKED}'"
            )
        return ()
    require_pulled(folder, root / TRACKED)
    folders = [path for path in folder.iterdir() if path.is_dir()]
    weeks = [(found[1], path) for path in folders if (found := _AS_OF.fullmatch(path.name))]
    deliveries = []
    for as_of, week in sorted(weeks):
        numbers = [
            (int(found[1]), path) for path in week.iterdir() if (found := _NUMBER.fullmatch(path.name))
        ]
        deliveries += [_read_delivery(path, as_of, number) for number, path in sorted(numbers)]
    return tuple(deliveries)


def latest_deliveries(deliveries: Sequence[Delivery]) -> tuple[Delivery, ...]:
    """Return the last correction of each ``as_of``, in the same order."""
    return tuple({delivery.as_of: delivery for delivery in deliveries}.values())


def last_before(deliveries: Sequence[Delivery], as_of: dt.date) -> Delivery | None:
    """Return the last delivery of an earlier ``as_of``; None if there is none."""
    earlier = [delivery for delivery in latest_deliveries(deliveries) if delivery.as_of < as_of]
    return earlier[-1] if earlier else None


def _read_delivery(folder: Path, as_of: str, number: int) -> Delivery:
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{path}: not found, but {folder} is there: {RESTORE}")
    try:
        content = unsealed(json.loads(path.read_bytes()), str(path), RESTORE)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); {RESTORE}") from error
    try:
        manifest = DeliveryManifest.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise ArtifactError(
            f"{path}: not a delivery of this version of the project ({first_fault(error)}); {RESTORE}"
        ) from error
    if (manifest.as_of.isoformat(), manifest.number) != (as_of, number):
        raise ArtifactError(
            f"{path}: is of delivery {manifest.number} of {manifest.as_of}: its folder was renamed; {RESTORE}"
        )
    return Delivery(folder, manifest)


# Freezing


def freeze(
    root: Path,
    tables: DeliveryTables,
    made_with: MadeWith,
    about: Mapping[str, Any],
    correction: str | None = None,
) -> Delivery:
    """Add a list to the ledger, unless the last delivery of its week has the same content.

    Parameters
    ----------
    root
        The project's root.
    tables
        Of the list.
    made_with
        Files to copy.
    about
        The fields of `DeliveryManifest`, JSON-ready, but for ``number``, ``reason`` and ``files``.
    correction
        Why another list of the week went out before; None: this is the first.

    Returns
    -------
    Delivery
        The new one; the last of the week where the content is the same, which stays as it is.

    Raises
    ------
    DeliveryError
        The week was delivered with another content and there is no reason; or there is a reason, but nothing
        to correct.
    """
    of_week = [each for each in read_deliveries(root) if each.as_of.isoformat() == str(about["as_of"])]
    number = len(of_week) + 1 if not of_week else of_week[-1].number + 1
    if correction is not None and not of_week:
        raise DeliveryError(
            f"{about['as_of']}: nothing was delivered yet, so there is nothing to correct; run it without "
            "--correction"
        )
    target = root / FOLDER / f"as_of={about['as_of']}" / f"delivery={number}"
    with _temporary_folder(root / FOLDER, target) as temporary:
        files = _write_files(temporary, tables, made_with)
        content = {**about, "number": number, "reason": correction, "files": files}
        manifest = DeliveryManifest.model_validate_json(json.dumps(content))
        if of_week and of_week[-1].manifest.content() == manifest.content():
            return of_week[-1]
        if of_week and correction is None:
            raise DeliveryError(_other_content(of_week[-1].manifest, manifest))
        write_json(temporary / MANIFEST, sealed(content))
        with writing(target):
            target.parent.mkdir(exist_ok=True)
            temporary.rename(target)
    return Delivery(target, manifest)


def _other_content(delivered: DeliveryManifest, now: DeliveryManifest) -> str:
    """Say what of a delivered week is another one now."""
    old, new = delivered.content(), now.content()
    changed = [name for name in new if name != "files" and new[name] != old[name]]
    names = sorted(old["files"].keys() | new["files"].keys())
    changed += [name for name in names if old["files"].get(name) != new["files"].get(name)]
    return (
        f"{now.as_of}: delivery {delivered.number} went out already and this list is another one (its "
        f"{', '.join(changed)}); nothing was changed: --correction WHY delivers it as number {now.number}, "
        "and both stay in the ledger"
    )


def _write_files(folder: Path, tables: DeliveryTables, made_with: MadeWith) -> dict[str, str]:
    """Write the files of a delivery but for the manifest; return the hash of each."""
    companies = tables.companies.astype(COLUMNS)
    others = [name for name in companies if name not in {"id", *COLUMNS}]
    write_parquet(folder / COMPANIES, companies[["id", *COLUMNS, *others]])
    write_parquet(folder / FEATURES, tables.features)
    copies = {MODEL: made_with.model, DESCRIPTION: made_with.description, CONTRACT: made_with.contract}
    for name, source in copies.items():
        copy_file(source, folder / name)
    return {name: sha256(folder / name) for name in (COMPANIES, FEATURES, *copies)}


@contextmanager
def _temporary_folder(ledger: Path, target: Path) -> Iterator[Path]:
    """Make an empty folder in the ledger; remove it, and what killed processes left, if it is still there."""
    temporary = ledger / f".{target.parent.name}_{target.name}.{os.getpid()}.tmp"
    with writing(target):
        ledger.mkdir(parents=True, exist_ok=True)
        for path in ledger.iterdir():
            if is_leftover(path):
                shutil.rmtree(path)
        temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
