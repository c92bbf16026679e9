"""The servers that the service is compared with: a BentoML no-op, and the original's way of predicting.

The original's way: FastAPI on uvicorn makes a one-row DataFrame of each request, transforms it with an
imputer, a scaler and a one-hot encoder, each fitted on its own, and asks the same kind of estimator, fitted
the same way. The module imports little at the top, because the measured servers import it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel

NUMBERS = ["ALEXA_RANK", "total_actions", "total_users", "days_active", "activity_frequency"]
CATEGORIES = ["EMPLOYEE_RANGE", "INDUSTRY"]
ORIGINAL_PARTS = "original.joblib"
NOOP_MODULE = "from benchmarks.reference_servers import noop_service\n\nNoop = noop_service()\n"


class Asked(BaseModel):
    """A summary of the default contract, as both servers read it."""

    id: int | str
    ALEXA_RANK: float | None = None
    EMPLOYEE_RANGE: str | None = None
    INDUSTRY: str | None = None
    total_actions: float | None = None
    total_users: float | None = None
    days_active: float | None = None
    activity_frequency: float | None = None


class Answered(BaseModel):
    """An answer with the original's fields."""

    company_id: int | str
    conversion_probability: float
    prediction: int
    confidence: str


def noop_service() -> Any:
    """Make the BentoML service that does nothing, with BentoML's defaults."""
    import bentoml

    @bentoml.service(name="noop")
    class Noop:
        @bentoml.api(route="/sync")
        def answer(self, company: Asked, /) -> Answered:
            return Answered(company_id=company.id, conversion_probability=0.5, prediction=0, confidence="low")

        @bentoml.api(route="/async")
        async def answer_async(self, company: Asked, /) -> Answered:
            return Answered(company_id=company.id, conversion_probability=0.5, prediction=0, confidence="low")

    return Noop


def original_app() -> Any:
    """Make the FastAPI app that predicts the original's way; it reads `ORIGINAL_PARTS`."""
    import joblib
    import pandas as pd
    from fastapi import FastAPI

    app = FastAPI()
    imputer, scaler, encoder, estimator = joblib.load(ORIGINAL_PARTS)

    # Async: FastAPI would run a plain function in a thread, which takes longer.
    @app.post("/predict/single")
    async def predict(company: Asked) -> Answered:
        rows = pd.DataFrame([company.model_dump()])
        probability = float(estimator.predict_proba(_original_columns(rows, imputer, scaler, encoder))[0, 1])
        confidence = "high" if abs(probability - 0.5) > 0.3 else "low"
        return Answered(
            company_id=company.id,
            conversion_probability=probability,
            prediction=int(probability >= 0.5),
            confidence=confidence,
        )

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {}

    return app


def _original_columns(rows: Any, imputer: Any, scaler: Any, encoder: Any) -> Any:
    """Take a DataFrame of summaries through transformers that were fitted one by one."""
    import pandas as pd

    numbers = pd.DataFrame(imputer.transform(rows[NUMBERS].astype(float)), columns=NUMBERS, index=rows.index)
    numbers = pd.DataFrame(scaler.transform(numbers), columns=NUMBERS, index=rows.index)
    names = encoder.get_feature_names_out(CATEGORIES)
    texts = rows[CATEGORIES].fillna("Unknown")
    categories = pd.DataFrame(encoder.transform(texts), columns=names, index=rows.index)
    # The project's logistic regression, one of the estimators, reads arrays only.
    return pd.concat([numbers, categories], axis=1).to_numpy()


def fit_original(folder: Path) -> None:
    """Fit each transformer on its own, and a clone of the served estimator, on the training snapshots."""
    import joblib
    import numpy as np
    import pandas as pd
    from sklearn.base import clone
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from conversion.modelling.artifact import load_model
    from conversion.modelling.model import ConversionModel
    from conversion.runtime.files import verified_parquet

    with contextlib.chdir(folder):
        model, _ = load_model(ConversionModel)
    columns = [*NUMBERS[1:], "log_alexa_rank", "size", "sector", "label", "weight"]
    train = verified_parquet(folder / "data/features/train.parquet", columns=columns)
    levels = model.data_contract.companies.attributes["EMPLOYEE_RANGE"].levels
    ranges = dict(enumerate(levels, start=1))
    rows = train.assign(
        ALEXA_RANK=np.exp(train["log_alexa_rank"]),
        EMPLOYEE_RANGE=train["size"].map(ranges).astype(object),
        INDUSTRY=train["sector"].astype(object),
    )
    imputer = SimpleImputer(strategy="median").fit(rows[NUMBERS])
    filled = pd.DataFrame(imputer.transform(rows[NUMBERS]), columns=NUMBERS)
    scaler = StandardScaler().fit(filled)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encoder.fit(rows[CATEGORIES].fillna("Unknown"))
    # The original has no ensemble: for one, take the first member's estimator.
    estimator = clone(next(iter(model.members_.values())).scorer.estimator_)
    if "monotone_constraints" in estimator.get_params():  # of columns that it does not have
        estimator.set_params(monotone_constraints=None)
    design = _original_columns(rows, imputer, scaler, encoder)
    estimator.fit(design, train["label"].to_numpy(), sample_weight=train["weight"].to_numpy())
    joblib.dump((imputer, scaler, encoder, estimator), folder / ORIGINAL_PARTS)
