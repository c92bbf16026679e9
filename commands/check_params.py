"""Check params.yaml before DVC reads it, whose messages name no key: ``python -m commands.check_params``."""

from __future__ import annotations

import sys

from conversion.config.params_file import load_params
from conversion.runtime.cli import run


def main() -> None:
    """Stop with one line for each mistake."""
    load_params()


if __name__ == "__main__":
    run(main, sys.argv[1:])
