from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock

from tests.clone import Clone

# Before numpy is loaded: threads that spin while they wait starve those of the other worker.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Shells ignore Ctrl-C in background processes, and everything that the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]

# The same examples on every run and no time limit: a shared, slow machine is no failure.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, database=None, print_blob=True)
hypothesis.settings.register_profile("dev", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


# The files that take longest, the longest first. Workers take whole files (--dist loadfile): a long file that
# starts late would run alone at the end.
LONGEST = (
    "test_docs_commands",
    "test_tracking",
    "test_examples",
    "test_sweep",
    "test_dvc_results",
    "test_dvc",
    "test_contributing",
    "test_service",
    "test_same_bytes",
    "test_compare",
    "test_service_fuzz",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, then run the other slow tests; leave the order as it is otherwise."""
    place = {name: rank for rank, name in enumerate(LONGEST)}

    def rank(item: pytest.Item) -> int:
        slow = item.get_closest_marker("slow") is not None
        return place.get(item.path.stem, len(place)) if slow else len(place) + 1

    items.sort(key=rank)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root."""
    return ROOT


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the project's root after ``dvc repro``, with a small model; do not change it."""
    from tests.server import lay_out

    return lay_out(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def served_projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `served`, of the contract `tests.contract_files.projects`."""
    from tests.server import lay_out_projects

    return lay_out_projects(tmp_path_factory.mktemp("served-projects"))


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A small project after its first run, shared by all tests and workers: copy it, do not change it."""
    # pytest-xdist gives each worker a folder inside the run's own.
    inside = "PYTEST_XDIST_WORKER" in os.environ
    shared = tmp_path_factory.getbasetemp().parent if inside else tmp_path_factory.getbasetemp()
    folder, home, done = (shared / name for name in ("first-run", "first-run-home", "first-run.done"))
    with FileLock(shared / "first-run.lock"):
        if done.exists():
            return Clone(folder, home)
        assert not folder.exists(), "the first run failed; the test that first asked for it has the output"
        folder.mkdir()
        clone = Clone.reproduced(folder, home)
        done.touch()
        return clone


@pytest.fixture(scope="module")
def reproduced(first_run: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The module's own copy of the small project after its first run."""
    return first_run.copy_to(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def crm_export_dir() -> Path:
    """A real export, named by CRM_EXPORT_DIR."""
    named = os.environ.get("CRM_EXPORT_DIR")
    if not named:
        pytest.skip("CRM_EXPORT_DIR is not set: no real export to run on")
    folder = Path(named)
    if not folder.is_absolute():
        folder = ROOT / folder
    assert folder.is_dir(), f"CRM_EXPORT_DIR={named} is not a folder"
    return folder
