"""Logs as text and as JSON lines, of real stages and commands."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from conversion.runtime.errors import LogFormatError
from conversion.runtime.logs import formatter, log_format
from tests.exports import lay_out_contracts, tiny_export, write_export
from tests.pipeline import small_params


def record(event: str, level: int = logging.INFO, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("some.module", level, "file.py", 1, event, None, None)
    made.__dict__.update(fields)
    return made


def text(event: str, **fields: Any) -> str:
    """Give the text form without its time."""
    return re.sub(r"^[\d-]+ [\d:,]+ ", "", formatter("text", "train").format(record(event, **fields)))


def test_the_text_form_has_the_fields_behind_the_event() -> None:
    line = formatter("text", "train").format(record("trained", model_type="ensemble", threshold=0.05, n=7))
    assert re.fullmatch(
        r"[\d-]{10} [\d:]{8},\d{3} train INFO trained model_type=ensemble threshold=0\.0500 n=7", line
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a b", '"a b"'),
        ("", '""'),
        ('say "hi"', '"say \\"hi\\""'),
        ("two\nlines", '"two\\nlines"'),
        ("/x\r\nforged", '"/x\\r\\nforged"'),
        ("/x\x00\x1b[31m", '"/x\\u0000\\u001b[31m"'),
        ("/x\x7f\x85\u2028", '"/x\\x7f\\x85\\u2028"'),
        ("Zoë", "Zoë"),
        (["'A'", "'B'"], "\"'A', 'B'\""),
        ([], '""'),
        (None, "None"),
    ],
)
def test_text_shows_where_a_value_ends(value: object, shown: str) -> None:
    assert text("e", field=value) == f"train INFO e field={shown}"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("http://ann:s3cret@host:5000/api failed", "http://***@host:5000/api failed"),
        ("postgresql+psycopg://ann:s3cret@host/db", "postgresql+psycopg://***@host/db"),
        ("with an @ in it: http://ann:s3cret@s3cret@host", "with an @ in it: http://***@host"),
        ("http://s3cret-token@host", "http://***@host"),
        ("postgresql://host/db?user=ann&password=s3cret", "postgresql://host/db?user=ann&password=***"),
        ("url: 'http://ann:s3cret@a', 'http://ann:s3cret@b'", "url: 'http://***@a', 'http://***@b'"),
        ("http://host/path?page=2 says ann@example.com", "http://host/path?page=2 says ann@example.com"),
    ],
)
@pytest.mark.parametrize("kind", ["text", "json"])
def test_credentials_are_not_written(said: str, shown: str, kind: Any) -> None:
    for made in (record(said), record("e", reason=said)):
        line = formatter(kind, "track").format(made)
        assert "s3cret" not in line
        assert shown in line


@pytest.mark.parametrize("letter", ["c", "ç"])
@pytest.mark.parametrize("kind", ["text", "json"])
def test_credentials_of_the_store_are_not_written_whatever_they_hold(
    kind: Any, letter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f'http://ann:s3/{letter}"r#e t@host:5000'
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    error = ValueError(f"Failed to parse: {address}/api")
    info = (ValueError, error, None)
    made = logging.LogRecord("m", logging.ERROR, "f.py", 1, f"{address} fails", None, info)
    made.store = address
    line = formatter(kind, "track").format(made)
    assert "s3/" not in line
    assert "r#e t" not in line
    assert "ValueError: Failed to parse: http://***@host:5000/api" in line


def test_json_keeps_types_and_names_what_every_line_has() -> None:
    line = formatter("json", "load").format(
        record("loaded", rows=7, share=0.25, columns=["a", "b"], note="Zoë \n x", none=None, flag=True)
    )
    assert "\n" not in line
    read = json.loads(line)
    assert list(read)[:4] == ["time", "level", "program", "event"]
    time = dt.datetime.fromisoformat(read.pop("time"))
    assert time.utcoffset() == dt.timedelta(0)
    assert read == {
        "level": "INFO", "program": "load", "event": "loaded",
        "rows": 7, "share": 0.25, "columns": ["a", "b"], "note": "Zoë \n x", "none": None, "flag": True,
    }  # fmt: skip


def test_a_percent_sign_in_a_message_is_a_percent_sign() -> None:
    assert text("97 % of rows, %s") == "train INFO 97 % of rows, %s"


@pytest.mark.parametrize("given", ["xml", "", "JSON"])
def test_another_format_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVERSION_LOG_FORMAT", given)
    with pytest.raises(LogFormatError) as error:
        log_format()
    assert str(error.value) == f"CONVERSION_LOG_FORMAT: given {given!r}, should be text or json"


# Real programs


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with params.yaml and a small export."""
    write_export(tiny_export(), tmp_path / "export")
    lay_out_contracts(tmp_path)
    params = small_params(data__dir="export").model_dump(mode="json")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return tmp_path


def run(project: Path, *command: str, log_format: str | None = "json") -> tuple[int, list[str]]:
    """Run Python with the project's modules; give the exit code and the lines on stderr."""
    root = str(Path(__file__).resolve().parents[3])
    env = {name: value for name, value in os.environ.items() if name != "CONVERSION_LOG_FORMAT"}
    env |= {"PYTHONPATH": root} | ({} if log_format is None else {"CONVERSION_LOG_FORMAT": log_format})
    done = subprocess.run(
        [sys.executable, *command], cwd=project, env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr.splitlines()


def parsed(lines: list[str]) -> list[dict[str, Any]]:
    """Read JSON lines; leave out their time, which each must have."""
    objects = [json.loads(line) for line in lines]
    for each in objects:
        dt.datetime.fromisoformat(each.pop("time"))
    return objects


def test_a_stage_writes_json_lines(project: Path) -> None:
    code, lines = run(project, "-m", "stages.load")
    assert code == 0
    loaded = {"level": "INFO", "program": "load", "event": "loaded"}
    tables = tiny_export()
    assert parsed(lines) == [loaded | {"table": name, "rows": len(tables[name])} for name in tables]


def test_a_stage_writes_text_where_nothing_is_said(project: Path) -> None:
    code, lines = run(project, "-m", "stages.load", log_format=None)
    assert code == 0
    assert [re.sub(r"^\S+ \S+ ", "", line) for line in lines] == [
        f"load INFO loaded table={name} rows={len(table)}" for name, table in tiny_export().items()
    ]


def test_errors_are_json_lines_too_one_a_fault(project: Path) -> None:
    for name in ("customers", "noncustomers"):
        (project / "export" / f"{name}.csv").write_text("")
    code, lines = run(project, "-m", "stages.load")
    assert code == 1
    said = parsed(lines)
    assert [(each["level"], each["program"]) for each in said] == [("ERROR", "load")] * 2
    assert said[0]["event"].startswith("export/customers.csv: the file: expected a header and rows")
    assert said[1]["event"].startswith("export/noncustomers.csv: the file: expected a header and rows")


def test_a_broken_params_file_is_a_json_line(project: Path) -> None:
    (project / "params.yaml").write_text("{")
    code, lines = run(project, "-m", "stages.train")
    assert code == 2
    (said,) = parsed(lines)
    assert (said["level"], said["program"]) == ("ERROR", "train")
    assert "not valid YAML" in said["event"]


def test_a_mistake_in_a_commands_arguments_is_a_json_line(project: Path) -> None:
    code, lines = run(project, "-m", "commands.compare")
    assert code == 2
    assert parsed(lines) == [
        {
            "level": "ERROR",
            "program": "compare",
            "event": "the following arguments are required: A; 'python -m commands.compare --help' says what "
            "may be given",
        }
    ]


def test_a_mistake_in_a_commands_arguments_as_text_shows_its_usage(project: Path) -> None:
    code, lines = run(project, "-m", "commands.compare", log_format="text")
    assert code == 2
    assert lines[0].startswith("usage: python -m commands.compare")
    assert lines[-1].endswith("error: the following arguments are required: A")


@pytest.mark.parametrize("module", ["stages.load", "commands.promote"])
def test_an_unknown_format_is_one_message(module: str, project: Path) -> None:
    code, lines = run(project, "-m", module, log_format="xml")
    assert code == 1
    (line,) = lines
    assert line.endswith("ERROR CONVERSION_LOG_FORMAT: given 'xml', should be text or json")
    assert not (project / "data").exists()


PROGRAM = """
import os, signal, sys, warnings
from conversion.runtime.progress import counting_bar, progress_bar
from conversion.runtime.cli import run

def main():
    {body}

run(main)
"""


def run_program(project: Path, body: str, log_format: str = "json") -> tuple[int, list[str]]:
    (project / "program.py").write_text(PROGRAM.format(body=body))
    return run(project, "program.py", log_format=log_format)


def test_a_warning_of_python_is_a_json_line(project: Path) -> None:
    code, lines = run_program(project, "warnings.warn('soon\\ngone', FutureWarning)")
    assert code == 0
    (said,) = parsed(lines)
    assert said == {
        "level": "WARNING", "program": "program", "event": "soon\ngone",
        "category": "FutureWarning", "at": f"{project / 'program.py'}:7",
    }  # fmt: skip


def test_a_fault_of_the_program_is_one_json_line_with_its_traceback(project: Path) -> None:
    code, lines = run_program(project, "{}['key of ours']")
    assert code == 1
    (said,) = parsed(lines)
    assert (said["level"], said["event"].partition(";")[0]) == (
        "CRITICAL",
        "stopped by a bug in the program",
    )
    assert said["exc_info"].startswith("Traceback")
    assert said["exc_info"].endswith("KeyError: 'key of ours'")


def test_a_fault_of_the_program_as_text_shows_its_traceback(project: Path) -> None:
    code, lines = run_program(project, "{}['key of ours']", log_format="text")
    assert code == 1
    assert " program CRITICAL stopped by a bug in the program" in lines[0]
    assert (lines[1], lines[-1]) == ("Traceback (most recent call last):", "KeyError: 'key of ours'")


def test_ctrl_c_is_one_line_and_exit_130(project: Path) -> None:
    code, lines = run_program(project, "os.kill(os.getpid(), signal.SIGINT)")
    assert code == 130
    (said,) = parsed(lines)
    assert said == {
        "level": "WARNING",
        "program": "program",
        "event": "stopped by Ctrl-C; run it again to continue",
    }


SERVICE = """
    import logging
    from conversion.runtime.logs import set_up_service_logs
    logging.getLogger().handlers = [logging.StreamHandler()]
    set_up_service_logs("service")
    logging.getLogger("conversion.serving.routes").error("request failed", extra={"path": "/x"})
    logging.getLogger("uvicorn").error("theirs")
"""
HOSTILE = r"""
    import logging
    from conversion.runtime.logs import set_up_service_logs
    logging.getLogger().handlers = [logging.StreamHandler()]
    set_up_service_logs("service")
    logging.getLogger("bentoml.access").error("(path=%s)", "/x\r\nforged\x00\x1b[31m \u2028 ü 100 %")
"""


def test_the_services_lines_are_said_once_and_the_servers_are_json_lines_too(project: Path) -> None:
    code, lines = run_program(project, SERVICE)
    assert code == 0
    error = {"level": "ERROR", "program": "service"}
    assert parsed(lines) == [error | {"event": "request failed", "path": "/x"}, error | {"event": "theirs"}]
    _, lines = run_program(project, SERVICE, log_format="text")
    assert lines[0].endswith("service ERROR request failed path=/x")
    assert lines[1:] == ["theirs"]


def test_what_clients_send_ends_no_line_of_the_servers_log(project: Path) -> None:
    _, lines = run_program(project, HOSTILE, log_format="text")
    assert lines == [r"(path=/x\r\nforged\x00\x1b[31m \u2028 ü 100 %)"]
    _, lines = run_program(project, HOSTILE)
    assert parsed(lines)[0]["event"] == "(path=/x\r\nforged\x00\x1b[31m \u2028 ü 100 %)"


# A terminal of our own, as bars are shown on one only

ON_TERMINAL = """
import os, pty, subprocess, sys, termios
ours, theirs = pty.openpty()
termios.tcsetwinsize(theirs, (24, 80))
process = subprocess.Popen(sys.argv[1:], stderr=theirs)
os.close(theirs)
said = b""
while True:
    try:
        part = os.read(ours, 65536)
    except OSError:  # the other end is closed
        break
    if not part:
        break
    said += part
process.wait()
sys.stderr.buffer.write(said.replace(b"\\r", b"\\n"))
sys.exit(process.returncode)
"""
BARS = """
    from conversion.runtime import progress
    progress.SILENT_SECONDS = {delay}
    list(progress_bar(range(3), what="some work", unit="parts"))
    with counting_bar(what="more work", unit="parts", total=2) as bar:
        bar.update(2)
"""


@pytest.mark.parametrize(
    ("kind", "delay", "shown"), [("text", 0, True), ("json", 0, False), ("text", 600, False)]
)
def test_bars_are_shown_on_a_terminal_after_a_while_unless_logs_are_json(
    kind: str, delay: int, shown: bool, project: Path
) -> None:
    (project / "program.py").write_text(PROGRAM.format(body=BARS.format(delay=delay)))
    code, lines = run(project, "-c", ON_TERMINAL, sys.executable, "program.py", log_format=kind)
    assert code == 0, lines
    said = "\n".join(lines)
    assert ("some work: 100%" in said) is shown
    assert ("more work: 100%" in said) is shown
    if kind == "json":
        assert said.strip() == ""


def test_bars_are_silent_where_stderr_is_no_terminal(project: Path) -> None:
    assert run_program(project, BARS.format(delay=0), log_format="text") == (0, [])
