"""What is wrong with a file's content, in words."""

from __future__ import annotations

from pydantic import ValidationError


def first_fault(error: ValidationError) -> str:
    """Say what the first fault of a content is, and in which of its fields.

    Examples
    --------
    >>> from pydantic import BaseModel
    >>> class Model(BaseModel):
    ...     rows: list[int]
    >>> try:
    ...     Model(rows=[1, "two"])
    ... except ValidationError as error:
    ...     print(first_fault(error))
    rows.1: Input should be a valid integer, unable to parse string as an integer
    """
    fault = error.errors(include_url=False)[0]
    where = ".".join(map(str, fault["loc"]))
    return f"{where}: {fault['msg']}" if where else fault["msg"]
