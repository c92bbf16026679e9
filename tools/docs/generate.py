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
import sys
import tempfile
from pathlib import Path
from typing import Final

from conversion.runtime.files import write_text
from tests.clone import Clone
from tools.docs import blocks, pages, session

ROOT: Final = Path(__file__).resolve().parents[2]

# In the order in which a newcomer meets them; later pages may use what earlier ones made.
COMMAND_PAGES: Final = (
    "README.md",
    "docs/tutorial.md",
    "docs/tutorial/second_example.md",
    "docs/how-to/own_export.md",
    "docs/how-to/time_travel.md",
    "docs/how-to/tune_and_compare.md",
    "docs/how-to/troubleshooting.md",
    "docs/how-to/promote.md",
    "docs/how-to/deploy.md",
    "docs/reference/logs.md",
)

log = logging.getLogger("tools.docs.generate")


def written_pages(root: Path) -> list[str]:
    """Return the pages that people write, by their paths from the root."""
    names = {
        path.relative_to(root).as_posix() for path in (*root.glob("*.md"), *(root / "docs").rglob("*.md"))
    }
    return sorted(name for name in names - set(pages.makers(root)) if not name.startswith("docs/build/"))


def run_commands(root: Path) -> None:
    """Run the commands of every page in a copy of the project, and put their output into the pages."""
    with tempfile.TemporaryDirectory(prefix="docs-") as temporary:
        home = Path(temporary).resolve()
        clone = Clone(home / "project", home)
        clone.copy_project()
        session.link_venv(clone.folder)
        clone.start("docs")
        for name in COMMAND_PAGES:
            log.info("running the commands of %s", name)
            run_page(clone.folder, home, root / name, root / name)


def run_page(folder: Path, home: Path, page: Path, out: Path) -> None:
    """Run the commands of one page in a copy of the project; write the page with their output.

    Parameters
    ----------
    folder
        The copy: a repository with everything committed, as the earlier pages have left it.
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


def write_broken_export(folder: Path) -> None:
    """Write an export with three faults, made of the sample's first rows."""
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


def main() -> None:
    """Read what the pipeline wrote, write the documents."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    parser = argparse.ArgumentParser(description="regenerate what is generated of README.md and docs/")
    parser.add_argument("--commands", action="store_true", help="run the documented commands again (minutes)")
    if parser.parse_args().commands:
        run_commands(ROOT)
    for name, make in pages.makers(ROOT).items():
        write_text(ROOT / name, make())
    for name in written_pages(ROOT):
        text, missing = blocks.filled(ROOT, (ROOT / name).read_text(encoding="utf-8"), name)
        for source in missing:
            log.warning("%s: a block stays as it is, as there is no %s", name, source)
        write_text(ROOT / name, text)


if __name__ == "__main__":
    main()
