from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    companies, weeks = 600, []
    for week in range(5):
        truth = 1 / (1 + np.exp(-rng.normal(-4, 1.5, companies)))
        label = (rng.random(companies) < truth).astype(int)
        weeks.append(
            pd.DataFrame(
                {
                    "id": np.arange(companies),
                    "as_of": pd.Timestamp("2020-01-06") + pd.Timedelta(weeks=week),
                    "label": label,
                    "MRR": label * 100.0,
                    "probability": truth * rng.uniform(0.5, 1, companies),
                    "users_rule": rng.integers(0, 4, companies) + label,
                    "actions_rule": rng.integers(0, 9, companies) * 1.0,
                    "random": rng.random(companies),
                    "base_rate": 0.03,
                    "part": np.where(np.arange(companies) < 200, "old", "young"),
                }
            )
        )
    return pd.concat(weeks, ignore_index=True)
