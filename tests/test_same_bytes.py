"""Outputs have the same bytes, whichever kernels the libraries choose for the processor.

BLAS, numpy and libm can be made to use the kernels of other processors; each setting stands for one.
"""

from __future__ import annotations

import hashlib
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clone import Clone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the settings name kernels of x86-64"),
]

STAGES = """
from stages import evaluate, featurize, score, train
for stage in (featurize, train, evaluate, score):
    stage.main()
"""

PARAMS = {
    "model.ensemble.members": ["logistic_regression", "random_forest", "xgboost"],
    "train.recency_half_life_weeks": 26,
    "train.search.trials": 2,
    "evaluate.refit_weeks": 30,
    "evaluate.jobs": 1,
}

SETTINGS = {
    "BLAS for Nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    "BLAS for Sandy Bridge, two threads": {
        "OPENBLAS_CORETYPE": "Sandybridge",
        "OPENBLAS_NUM_THREADS": "2",
        "OMP_NUM_THREADS": "2",
    },
    "numpy without AVX2": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"},
    "libm without FMA": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F"},
    "another hash seed, language and time zone": {
        "PYTHONHASHSEED": "123",
        "LC_ALL": "C",
        "TZ": "Pacific/Auckland",
    },
}


def written(clone: Clone, setting: dict[str, str]) -> dict[str, str]:
    """Run the stages under a setting; return the hash of each file they wrote."""
    # A setting of this machine must not replace the one under test.
    env = {name: value for name, value in clone.env.items() if not name.startswith("OPENBLAS_CORETYPE")}
    command = [sys.executable, "-c", STAGES]
    done = subprocess.run(
        command, cwd=clone.folder, env=env | setting, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    folders = ("data/features", "data/backtest", "data/leads", "models", "metrics", "plots")
    files = [file for folder in folders for file in (clone.folder / folder).rglob("*") if file.is_file()]
    return {
        str(file.relative_to(clone.folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }


# What numpy and the C library compute differently on another processor, and products summed by BLAS.
BY_PROCESSOR = re.compile(
    r"\bnp\.(log\w*|exp\w*|power|float_power|dot|vdot|inner|matmul|einsum|tensordot|linalg|sin|cos|tan\w*|cbrt)\b"
    r"|\bmath\.(log\w*|exp\w*|pow)\b|\bscipy\.special\b"
)
# Sums of whole numbers, which are exact.
HARMLESS = {"usage_block.py: np.matmul"}


@pytest.mark.parametrize("folder", ["conversion", "stages"])
def test_only_portable_arithmetic_is_used(root: Path, folder: str) -> None:
    """Products by ``@`` are not caught here; the test below compares them under other kernels."""
    found = {
        f"{path.name}: {use.group()}"
        for path in (root / folder).rglob("*.py")
        for use in BY_PROCESSOR.finditer(path.read_text(encoding="utf-8"))
    }
    assert found <= HARMLESS


@pytest.mark.parametrize(
    ("calibration", "threshold", "settings"),
    [
        ("sigmoid", "f1", ("BLAS for Nehalem", "numpy without AVX2", "libm without FMA")),
        (
            "isotonic",
            "recall",
            ("BLAS for Sandy Bridge, two threads", "another hash seed, language and time zone"),
        ),
    ],
)
def test_every_output_is_the_same_under_other_kernels(
    first_run: Clone, calibration: str, threshold: str, settings: tuple[str, ...], tmp_path: Path
) -> None:
    clone = first_run.copy_to(tmp_path / "project")
    clone.set_params(PARAMS | {"train.calibration": calibration, "train.threshold": threshold})
    expected = written(clone, {})
    assert {"models/model.joblib", "data/leads/leads.csv", "metrics/evaluation.json"} <= set(expected)
    for name in settings:
        found = written(clone, SETTINGS[name])
        assert found == expected, name
