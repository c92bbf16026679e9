"""The section ``deliver`` of params.yaml: who is called, who is not, and the files that a delivery has."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    model_validator,
)

from conversion.config.param_types import (
    Folder,
    Section,
    as_tuple,
    must_not_repeat,
)


class Suppress(Section):
    """For how long a company that the team has contacted stays off the call list."""

    called_weeks: int = Field(ge=0, le=520, description="weeks off the list after any contact; 0: none")
    talking_weeks: int = Field(ge=0, le=520, description="weeks off the list after a talk that goes on")
    refused_weeks: int = Field(ge=0, le=520, description="weeks off the list after a refusal")


CrmFormat = Literal["excel", "hubspot", "salesforce", "dynamics"]


class CrmFile(Section):
    """How the file of a CRM names its columns."""

    key: str = Field(
        min_length=1, max_length=200, description="column that the CRM knows a company by: id, or a shown one"
    )
    key_header: str = Field(
        min_length=1, max_length=255, description="what the CRM calls that column; records are updated by it"
    )
    prefix: str = Field(
        max_length=100, pattern=r"^[A-Za-z0-9_ ]*$", description="begins the name of each other column"
    )


class Crm(Section):
    """The files that CRMs import."""

    hubspot: CrmFile
    salesforce: CrmFile
    dynamics: CrmFile

    @model_validator(mode="after")
    def _names_of_fields(self) -> Crm:
        names = {"prefix": self.salesforce.prefix, "key_header": self.salesforce.key_header}
        wrong = [
            name for name, given in names.items() if given and not re.fullmatch(r"[A-Za-z]\w*", given, re.A)
        ]
        if wrong:
            raise ValueError(
                f"salesforce.{wrong[0]}: given {names[wrong[0]]!r}, should be an API name: a letter, then "
                "letters, digits and underscores"
            )
        return self


class Deliver(Section):
    """What goes out each week: the call list, who is on it, and in which files."""

    reps: str | None = Field(
        max_length=1024, description="CSV file of the reps, their capacity and territories; null: one list"
    )
    owner: str | None = Field(
        max_length=200, description="shown column that names the rep who owns a company; null: none"
    )
    suppress: Suppress
    holdout: float = Field(
        ge=0, le=0.5, description="share of companies never called, by hash of the id: the control group"
    )
    explore: float = Field(ge=0, le=0.5, description="share of the calls that go below the cut, by hash")
    explore_depth: float = Field(
        gt=1, le=1000, description="explorers are drawn down to this rank, as a multiple of the calls"
    )
    salt: str = Field(max_length=100, description="another salt draws another control group")
    formats: Annotated[tuple[CrmFormat, ...], BeforeValidator(as_tuple), AfterValidator(must_not_repeat)] = (
        Field(description="files that are written for spreadsheets and CRMs")
    )
    crm: Crm
    copy_to: Folder | None = Field(
        description="folder or URL that gets a copy of each delivery, in a folder of its day; null: none"
    )
