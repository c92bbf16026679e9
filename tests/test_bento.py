"""The bento: `bentoml build` where there is no index, and `bentoml serve` of it from an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from modulefinder import ModuleFinder
from pathlib import Path

import pandas as pd
import pytest
import yaml
from packaging.requirements import Requirement

from conversion.modelling.registered_versions import RegisteredVersions, write_registered
from tests.server import ROOT, Server, copy_of, environment, history_of
from tests.serving import EXAMPLE

pytestmark = pytest.mark.slow

TIMEOUT = 300
NAME = "conversion"
# No index, and a proxy that does not answer, in case something asks for one all the same.
OFFLINE = {
    "PIP_NO_INDEX": "1",
    "UV_OFFLINE": "1",
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1"),
}
INSTALL = "CONVERSION_TEST_INSTALL"

# Written by a command, not by the stages: it is not in the folder that is served.
REGISTERED = "models/registered.json"
NOT_SERVED = ("stages/train.py", "tests/test_bento.py", "dvc.yaml", "dvc.lock", ".dvc/config", "docs/api.md")
NOT_SERVED += (
    "data/clean/usage.parquet",
    "data/clean/export.json",
    "data/sample/customers.csv",
    "metrics/evaluation.json",
    "plots/roc.png",
    "requirements.txt",
    "Makefile",
)


# Read by the service beside its modules.
NOT_MODULES = (
    "conversion/pages/static/*",
    "conversion/pages/templates/*.html",
    "conversion/serving/prediction_log.yaml",
)


def link_to_cache(project: Path, cache: Path) -> None:
    """Leave the model's files as hard links, and the list's as symbolic ones, as DVC's ``cache.type`` may."""
    for folder, link in (("models", os.link), ("data/leads", os.symlink)):
        for path in (project / folder).iterdir():
            path.rename(cache / path.name)
            (cache / path.name).chmod(0o444)
            link(cache / path.name, path)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bentos")


@pytest.fixture(scope="module")
def bento(served: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `bentoml build` makes in a folder with all that a checkout has."""
    project = copy_of(served, tmp_path_factory.mktemp("build") / "project")
    link_to_cache(project, tmp_path_factory.mktemp("cache"))
    write_registered(RegisteredVersions(model_name="conversion", versions={}), project)
    for name in NOT_SERVED:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("not served\n", encoding="utf-8")
    done = subprocess.run(
        ["bentoml", "build", "--output", "tag"],
        cwd=project, env=environment(home, **OFFLINE), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=TIMEOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    tag = re.search(rf"__tag__:{NAME}:(\w+)", done.stdout)
    assert tag, done.stdout
    return home / "bentos" / NAME / tag[1]


def packages(lock: Path) -> set[str]:
    """Read a lock's packages: names, versions, and the systems that they are for."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return {str(Requirement(line.removesuffix("\\"))) for line in lines if re.match(r"[\w.-]+==", line)}


def hashes(lock: Path) -> list[str]:
    return sorted(re.findall(r"--hash=(\S+)", lock.read_text(encoding="utf-8")))


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def wings_reached() -> set[Path]:
    """List the wings that the service imports from, at the top or inside a function."""
    finder = ModuleFinder(path=[str(ROOT)])
    finder.run_script(str(ROOT / "conversion/serving/service.py"))
    folders = {Path(module.__file__).parent for module in finder.modules.values() if module.__file__}
    return folders - {ROOT / "conversion"}


def test_the_bentofile_lists_the_wings_that_the_service_reaches() -> None:
    included = yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))["include"]
    code = [pattern for pattern in included if pattern.startswith("conversion")]
    wings = {wing.relative_to(ROOT).as_posix() for wing in wings_reached()}
    assert {"conversion/serving", "conversion/modelling", "conversion/stats"} < wings
    assert not wings & {f"conversion/{wing}" for wing in ("evaluation", "ingest", "simulation", "tracking")}
    assert sorted(code) == sorted(
        ["conversion/__init__.py", *NOT_MODULES, *(f"{wing}/*.py" for wing in wings)]
    )


def test_it_holds_what_serving_needs_and_no_more(served: Path, bento: Path) -> None:
    modules = [
        ROOT / "conversion/__init__.py",
        *(path for wing in wings_reached() for path in wing.glob("*.py")),
    ]
    code = {path.relative_to(ROOT).as_posix() for path in modules}
    code |= {path.relative_to(ROOT).as_posix() for each in NOT_MODULES for path in ROOT.glob(each)}
    written = {"models/model.joblib", "models/model.json", "data/track_record.json"}
    beside = ("contributions", "converted", "converted_contributions", "usage")
    written |= {f"data/leads/{name}.parquet" for name in beside}
    written |= {f"data/leads/{name}" for name in ("leads.csv", "manifest.json", "evidence.json")}
    assert files(bento / "src") == code | written | {REGISTERED, "params.yaml", "bentofile.yaml"}
    for name in code | written | {"params.yaml"}:
        assert (bento / "src" / name).read_bytes() == (served / name).read_bytes(), name


def test_it_holds_no_links_to_where_it_was_built(bento: Path) -> None:
    assert not [path for path in bento.rglob("*") if path.is_symlink()]
    assert not [path for path in (bento / "src").rglob("*") if path.is_file() and path.stat().st_nlink > 1]


def test_its_packages_are_those_of_the_lock(bento: Path) -> None:
    installed, lock = bento / "env" / "python" / "requirements.txt", ROOT / "requirements-serve.txt"
    locked = packages(installed)
    assert locked == packages(lock)
    assert hashes(installed) == hashes(lock)
    assert len(locked) > 20
    names = {Requirement(package).name for package in locked}
    assert {"bentoml", "scikit-learn", "pydantic"} <= names
    assert not [name for name in names if name.startswith(("dvc", "pytest", "mlflow", "hypothesis", "ruff"))]


def test_it_has_a_dockerfile(bento: Path) -> None:
    docker = bento / "env" / "docker"
    text = (docker / "Dockerfile").read_text(encoding="utf-8")
    assert "python:3.11" in text
    assert text.count("apt-get update") == 1
    assert "env/python/requirements.txt" in text
    assert "BENTOML_HOST=0.0.0.0" in text
    assert (docker / "entrypoint.sh").is_file()


def test_its_document_names_both_predictions(bento: Path) -> None:
    document = yaml.safe_load((bento / "apis" / "openapi.yaml").read_text(encoding="utf-8"))
    assert {"/predict", "/predict/single"} <= document["paths"].keys()


@pytest.fixture(scope="module")
def requests(served: Path) -> list[tuple[str, str, object]]:
    usage = pd.read_parquet(served / "data" / "clean" / "usage.parquet")
    leads = pd.read_csv(served / "data" / "leads" / "leads.csv")
    busiest = int(usage["id"].isin(leads["id"]).groupby(usage["id"]).sum().idxmax())
    history = history_of({"id": busiest, "ALEXA_RANK": 1234.5}, usage[usage["id"] == busiest])
    return [
        ("POST", "/predict/single", EXAMPLE),
        ("POST", "/predict/single", history),
        ("POST", "/predict", {"companies": [EXAMPLE, history, {"id": 1, "usage": []}] * 20}),
        ("POST", "/predict", {"companies": [EXAMPLE, {"id": "x"}]}),
        ("GET", "/leads?limit=1000", None),
        ("GET", "/leads?tier=medium&limit=3&offset=1", None),
        ("GET", f"/leads/{busiest}", None),
        ("GET", "/leads/1", None),
        ("GET", "/health", None),
        ("GET", "/openapi.json", None),
        ("GET", "/docs", None),
        ("GET", "/schema.json", None),
    ]


def ask(server: Server, requests: list[tuple[str, str, object]]) -> Iterator[tuple[int, bytes]]:
    with server.client() as client:
        for method, path, body in requests:
            answer = client.request(method, path, json=body) if body else client.request(method, path)
            # When a worker loaded its list is all that two servers may differ in.
            yield answer.status_code, re.sub(rb'"loaded":"[^"]+"', b'"loaded":"..."', answer.content)


@pytest.fixture(scope="module")
def from_the_source(
    served: Path, tmp_path_factory: pytest.TempPathFactory, requests: list[tuple[str, str, object]]
) -> list[tuple[int, bytes]]:
    with Server(served, tmp_path_factory.mktemp("home")) as server:
        answers = list(ask(server, requests))
    assert [status for status, _ in answers] == [200, 200, 200, 422, 200, 200, 200, 404, 200, 200, 200, 200]
    return answers


@pytest.mark.parametrize("named_by", ["tag", "path"])
def test_from_an_empty_folder_it_answers_as_the_source_does(
    bento: Path,
    home: Path,
    tmp_path: Path,
    from_the_source: list[tuple[int, bytes]],
    requests: list[tuple[str, str, object]],
    named_by: str,
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    where = f"{NAME}:{bento.name}" if named_by == "tag" else str(bento)
    store = home if named_by == "tag" else tmp_path / "no-store"
    with Server(empty, store, where, env=OFFLINE) as server:
        answers = list(ask(server, requests))
        with server.client() as client:
            counted = client.get("/metrics").text
        assert f'service_version="{bento.name}"' in counted
    for (method, path, _), (status, body), expected in zip(requests, answers, from_the_source, strict=True):
        assert (status, body) == expected, f"{method} {path}"
    assert not files(empty)


@pytest.mark.skipif(not os.environ.get(INSTALL), reason=f"{INSTALL} is not set: it downloads packages")
def test_it_installs_into_a_fresh_environment_and_serves(
    bento: Path,
    tmp_path: Path,
    from_the_source: list[tuple[int, bytes]],
    requests: list[tuple[str, str, object]],
) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    start = time.monotonic()
    locked = bento / "env" / "python" / "requirements.txt"
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(locked)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    seconds = time.monotonic() - start
    done = subprocess.run(
        [str(python), "-c", "from conversion.serving import service; print(service.ConversionService.name)"],
        cwd=bento / "src", env=environment(tmp_path / "home"), capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == f"{NAME}\n", done.stderr
    sys.stdout.write(f"installed in {seconds:.0f} s\n")
    env = {"PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]])}
    empty = tmp_path / "empty"
    empty.mkdir()
    with Server(empty, tmp_path / "home", str(bento), env=env) as server:
        assert list(ask(server, requests)) == from_the_source
