from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import sweep
from conversion.config.model_params import model_types, search_space
from conversion.config.params import Params
from conversion.runtime.errors import UserError

STATUS = """Task     Name        Created    Status
ded5ded  handy-robe  09:43 PM   Failed
1eef72b  hazel-kago  09:42 PM   {second}
7c8902c  wersh-scab  Nov 24, 2026   {third}

Worker status: {workers} active, 0 idle
"""


def status(second: str, third: str, workers: int = 2) -> str:
    return STATUS.format(second=second, third=third, workers=workers)


# --- what is tried ---------------------------------------------------------------------------------------


def assert_params_allow(root: Path, settings: Sequence[sweep.Settings]) -> None:
    for each in settings:
        for place in (0, -1):
            values: dict[str, Any] = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
            for path, tried in each.items():
                *sections, key = path.split(".")
                section = functools.reduce(dict.__getitem__, sections, values)
                assert key in section
                section[key] = tried[place]
            assert Params.model_validate(values).model.type == each["model.type"][0]


def test_the_grid_has_every_family_with_values_that_params_allow(root: Path) -> None:
    settings = sweep.grid()
    assert [each["model.type"] for each in settings] == [(family,) for family in model_types()]
    assert set(sweep.GRID) <= set(model_types())
    for each in settings:
        assert all(len(values) == len(set(values)) for values in each.values())
    assert_params_allow(root, settings)


def test_draws_come_from_the_search_spaces_the_families_in_turn(root: Path) -> None:
    settings = sweep.draws(60, seed=3)
    families = [family for family in model_types() if search_space(family)]
    for each, family in zip(settings, families * 60, strict=False):
        space = search_space(family)
        assert list(each) == ["model.type", *(f"model.{family}.{name}" for name in space)]
        for name, span in space.items():
            (value,) = each[f"model.{family}.{name}"]
            assert isinstance(value, int if span.whole else float)
            assert span.low <= value <= span.high
    assert_params_allow(root, settings)


def test_draws_depend_on_the_seed_and_more_of_them_add_to_the_first() -> None:
    assert sweep.draws(9, seed=1)[:5] == sweep.draws(5, seed=1)
    assert sweep.draws(5, seed=1) != sweep.draws(5, seed=2)


def test_draws_of_a_logarithmic_space_spread_over_its_ratios() -> None:
    drawn = [
        float(each["model.logistic_regression.C"][0])
        for each in sweep.draws(900, seed=0)
        if "model.logistic_regression.C" in each
    ]
    span = search_space("logistic_regression")["C"]
    middle = (span.low * span.high) ** 0.5
    assert 0.4 < sum(value < middle for value in drawn) / len(drawn) < 0.6


# --- how the queue is read -------------------------------------------------------------------------------


class Dvc:
    """Stands in for dvc and git: answers by the beginning of the command, one answer after the other."""

    def __init__(self, answers: dict[str, list[str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, *command: str, captured: bool = True) -> str:  # noqa: ARG002
        self.asked.append(" ".join(command))
        for beginning, left in self.answers.items():
            if self.asked[-1].startswith(beginning):
                return left.pop(0) if len(left) > 1 else left[0]
        return ""


@pytest.fixture
def run_by(monkeypatch: pytest.MonkeyPatch) -> RunBy:
    def install(answers: dict[str, list[str]]) -> Dvc:
        dvc = Dvc(answers)
        monkeypatch.setattr(sweep, "_run", dvc)
        monkeypatch.setattr(sweep, "POLL_SECONDS", 0)
        return dvc

    return install


RunBy = Callable[[dict[str, list[str]]], Dvc]
NAMES = ("handy-robe", "hazel-kago", "wersh-scab")


def test_the_wait_ends_when_all_is_done_and_names_the_failed(run_by: RunBy) -> None:
    dvc = run_by(
        {
            "dvc queue status": [
                status("Queued", "Queued", workers=0),
                status("Queued", "Running"),
                status("Running", "Success"),
                status("Success", "Success"),
                status("Success", "Success", workers=0),
            ]
        }
    )
    assert sweep.run_queue(NAMES, 2) == ["handy-robe"]
    assert dvc.asked == [
        "dvc queue status",
        "dvc queue start --jobs 2",
        *["dvc queue status"] * 4,
    ]


def test_workers_that_stop_early_are_started_again(run_by: RunBy) -> None:
    gone = [status("Queued", "Queued", workers=0), status("Queued", "Success", workers=0)]
    dvc = run_by({"dvc queue status": [*gone, status("Success", "Success", workers=0)]})
    assert sweep.run_queue(NAMES[1:], 3) == []
    assert dvc.asked.count("dvc queue start --jobs 3") == 2


def test_workers_that_never_finish_anything_are_given_up(run_by: RunBy) -> None:
    run_by({"dvc queue status": [status("Queued", "Success", workers=0)]})
    with pytest.raises(UserError, match="stop without finishing hazel-kago"):
        sweep.run_queue(NAMES, 2)


def test_an_experiment_that_was_removed_is_no_success(run_by: RunBy) -> None:
    run_by({"dvc queue status": [status("Success", "Success", workers=0)]})
    assert sweep.run_queue(["hazel-kago", "gone-away"], 2) == ["gone-away"]


def test_a_stopped_sweep_leaves_nothing_queued_or_running(
    run_by: RunBy, monkeypatch: pytest.MonkeyPatch
) -> None:
    dvc = run_by(
        {
            "dvc exp run": ["Queued experiment 'hazel-kago' for future execution."],
            "dvc queue status": [status("Success", "Success"), status("Running", "Success")],
        }
    )

    def interrupted(*_: object) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "run_queue", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(sweep.grid(), jobs=2)
    assert dvc.asked[-3:] == [
        "dvc queue remove --queued",
        "dvc queue status",
        "dvc queue kill --force hazel-kago",
    ]


def test_changes_that_are_not_committed_are_refused(run_by: RunBy) -> None:
    dvc = run_by({"git status": [" M params.yaml\n M dvc.lock\n"]})
    with pytest.raises(UserError, match=r"params\.yaml, dvc\.lock; commit or stash"):
        sweep.sweep(sweep.grid(), jobs=2)
    assert dvc.asked == ["git status --porcelain --untracked-files=no"], "nothing is run before"


def test_results_that_the_commit_does_not_have_are_refused_before_anything_is_queued(run_by: RunBy) -> None:
    dvc = run_by({"git status": ["", " M dvc.lock\n"]})
    with pytest.raises(UserError, match=r"changed since the last commit: dvc\.lock; commit or stash"):
        sweep.sweep(sweep.grid(), jobs=2)
    assert dvc.asked[-3:] == [
        f"{sys.executable} -m commands.check_lock",
        "dvc repro",
        "git status --porcelain --untracked-files=no",
    ]


def test_a_queue_that_is_in_use_is_refused(run_by: RunBy) -> None:
    dvc = run_by({"dvc queue status": [status("Queued", "Running")]})
    with pytest.raises(UserError, match="in the queue already: hazel-kago, wersh-scab"):
        sweep.sweep(sweep.grid(), jobs=2)
    assert [asked for asked in dvc.asked if not asked.startswith("git")] == ["dvc queue status"]


# --- which one is applied --------------------------------------------------------------------------------


def shown(committed: str, hazel: str, wersh: str) -> list[str]:
    return [
        f"Experiment,{sweep.AVERAGE_PRECISION}\n,{committed}\nhazel-kago,{hazel}\nwersh-scab,{wersh}\nolder,0.9\n"
    ]


def test_the_best_of_the_sweep_is_applied(run_by: RunBy) -> None:
    dvc = run_by({"dvc exp show": shown("0.2", "0.25", "0.3"), "git rev-parse": ["abc\n"]})
    sweep.apply_best(["hazel-kago", "wersh-scab"], "abc", ())
    assert dvc.asked[-1] == "dvc exp apply wersh-scab"


def test_the_best_is_applied_where_nothing_was_measured_before(run_by: RunBy) -> None:
    dvc = run_by({"dvc exp show": shown("", "0.25", ""), "git rev-parse": ["abc\n"]})
    sweep.apply_best(["hazel-kago", "wersh-scab"], "abc", ())
    assert dvc.asked[-1] == "dvc exp apply hazel-kago"


def test_nothing_is_applied_where_the_commit_is_as_good(run_by: RunBy) -> None:
    dvc = run_by({"dvc exp show": shown("0.3", "0.25", "0.3"), "git rev-parse": ["abc\n"]})
    sweep.apply_best(["hazel-kago", "wersh-scab"], "abc", ())
    assert not any(asked.startswith("dvc exp apply") for asked in dvc.asked)


@pytest.mark.parametrize("answers", [{"git rev-parse": ["def\n"]}, {"git status": [" M params.yaml\n"]}])
def test_nothing_is_applied_over_what_changed_during_the_sweep(
    answers: dict[str, list[str]], run_by: RunBy
) -> None:
    dvc = run_by({"dvc exp show": shown("0.2", "0.25", "0.3"), "git rev-parse": ["abc\n"]} | answers)
    with pytest.raises(UserError, match="dvc exp apply wersh-scab"):
        sweep.apply_best(["hazel-kago", "wersh-scab"], "abc", ())
    assert not any(asked.startswith("dvc exp apply") for asked in dvc.asked)
