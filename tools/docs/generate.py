"""Write the generated pages of docs/, and the generated blocks of the other pages: `make docs`.

    python -m tools.docs.generate              from params.yaml, dvc.yaml, the code, metrics/ and data/leads/
    python -m tools.docs.generate --commands   first run the commands that the pages show, in a copy of the
                                               project, and put their output into the pages

A block whose source does not exist yet stays as it is.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from conversion.runtime.files import write_text
from tools.docs import blocks, pages, session

ROOT: Final = Path(__file__).resolve().parents[2]

# In the order in which a newcomer meets them; the later ones may build on what the earlier ones made.
COMMAND_PAGES: Final = (
    "README.md",
    "docs/tutorial.md",
    "docs/how-to/own_export.md",
    "docs/how-to/time_travel.md",
    "docs/how-to/tune_and_compare.md",
    "docs/how-to/troubleshooting.md",
    "docs/how-to/promote.md",
    "docs/how-to/deploy.md",
    "docs/reference/logs.md",
)

# What Sphinx writes, and the stubs of the Python API that it makes.
BUILT: Final = ("docs/build/", "docs/reference/python_api/")

log = logging.getLogger("tools.docs.generate")


def written_pages(root: Path) -> list[str]:
    """List the pages that are not generated whole, by their paths from the root."""
    made = pages.makers(root)
    paths = [root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").rglob("*.md")]
    names = [path.relative_to(root).as_posix() for path in paths if path.is_file()]
    return sorted(name for name in names if name not in made and not name.startswith(BUILT))


def run_commands(root: Path) -> None:
    """Run the commands of every page in a copy of the project, and put what they say into the pages."""
    with tempfile.TemporaryDirectory(prefix="docs-") as temporary:
        home = Path(temporary).resolve()
        folder = home / "project"
        _copy_project(root, folder)
        for name in COMMAND_PAGES:
            log.info("running the commands of %s", name)
            run_page(folder, home, root / name, root / name)


def run_page(folder: Path, home: Path, page: Path, out: Path) -> None:
    """Run the commands of one page in a copy of the project; write the page with what they say.

    Parameters
    ----------
    folder
        The copy: a repository with everything committed, as the pages before have left it.
    home
        Where to keep what is beside it.
    page
        The page.
    out
        Where to write it; the page itself, or elsewhere.
    """
    text = page.read_text(encoding="utf-8")
    export = home / "export"
    if not export.exists() and (folder / "data/sample").exists():
        shutil.copytree(folder / "data/sample", export)
        write_broken_export(folder)
    outputs = session.run(text, folder, session.environment(home), export)
    write_text(out, session.with_outputs(text, outputs))


def _copy_project(root: Path, folder: Path) -> None:
    """Copy what git tracks or would track, committed or not, into a repository of its own."""
    listing = _said("git ls-files --cached --others --exclude-standard -z", root)
    for name in listing.split("\0"):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    session.link_venv(folder)
    _said("git init --quiet --initial-branch=main", folder)
    _commit(folder)


def _commit(folder: Path) -> None:
    who = "-c user.name=docs -c user.email=docs@example.com"
    _said(f"git add --all && git {who} commit --quiet --allow-empty --message docs", folder)


def write_broken_export(folder: Path) -> None:
    """Make an export with three faults out of the sample's first rows."""
    faults = {
        "customers": ("CLOSEDATE", 0, "CloseDate"),
        "noncustomers": ("EMPLOYEE_RANGE", 3, "about 30"),
        "usage_actions": ("ACTIONS_EMAIL", 5, "many"),
    }
    (folder / "my-export").mkdir()
    for name, (column, line, cell) in faults.items():
        with (folder / f"data/sample/{name}.csv").open(newline="", encoding="utf-8") as file:
            lines = list(itertools.islice(csv.reader(file), 200))
        lines[line][lines[0].index(column)] = cell
        with (folder / f"my-export/{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)


def _said(command: str, folder: Path) -> str:
    return subprocess.run(  # noqa: S602 - the commands are those above
        command, shell=True, cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def main() -> None:
    """Read what the pipeline wrote, write the documents."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    parser = argparse.ArgumentParser(description="regenerate what is generated of README.md and docs/")
    parser.add_argument("--commands", action="store_true", help="run the documented commands anew (minutes)")
    if parser.parse_args().commands:
        run_commands(ROOT)
    for name, make in pages.makers(ROOT).items():
        write_text(ROOT / name, make())
    for name in written_pages(ROOT):
        text, missing = blocks.filled(ROOT, (ROOT / name).read_text(encoding="utf-8"), name)
        for source in missing:
            log.warning("%s: a block is left as it is, as there is no %s", name, source)
        write_text(ROOT / name, text)


if __name__ == "__main__":
    main()
