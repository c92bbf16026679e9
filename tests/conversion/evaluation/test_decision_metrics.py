import pandas as pd
import sklearn.metrics as reference

from conversion.evaluation.decision_metrics import (
    CLASSES,
    business_measures,
    classification_measures,
    classification_report,
)
from tests.predictions import one_week


class TestClassification:
    LABEL = (1, 1, 1, 0, 0, 0, 0, 0)
    PREDICTED = (1, 1, 0, 1, 0, 0, 0, 0)

    def test_by_hand(self) -> None:
        assert classification_measures(self.LABEL, self.PREDICTED) == {
            "accuracy": 0.75,
            "precision": 0.666667,
            "recall": 0.666667,
            "f1": 0.666667,
            "true_positives": 2,
            "false_positives": 1,
            "false_negatives": 1,
            "true_negatives": 4,
        }

    def test_undefined_is_null(self) -> None:
        measures = classification_measures([0, 0], [0, 0])
        assert (measures["accuracy"], measures["precision"]) == (1, None)
        assert (measures["recall"], measures["f1"]) == (None, None)

    def test_report_is_that_of_scikit_learn(self) -> None:
        expected = reference.classification_report(self.LABEL, self.PREDICTED, target_names=CLASSES, digits=4)
        assert classification_report(self.LABEL, self.PREDICTED).split() == expected.split()

    def test_report_of_no_decision(self) -> None:
        report = classification_report([0, 1], [0, 0])
        (macro,) = [line for line in report.splitlines() if "macro avg" in line]
        assert macro.split()[2:] == ["n/a", "0.5000", "0.3333", "2"]
        (line,) = [line for line in report.splitlines() if line.strip().startswith("conversion")]
        assert line.split() == ["conversion", "n/a", "0.0000", "0.0000", "1"]
        assert len({len(line) for line in report.splitlines() if line}) == 1


class TestBusinessMeasures:
    def test_by_hand(self) -> None:
        # Company 1 is called twice while label 1 and counts once; 2 is called only before its label is 1, and
        # missed then; 3 is never called.
        predictions = pd.DataFrame(
            {
                "id": [1, 2, 3, 4, 1, 2, 3, 4],
                "as_of": pd.to_datetime(["2020-01-06"] * 4 + ["2020-01-13"] * 4),
                "label": [1, 0, 0, 0, 1, 1, 1, 0],
                "MRR": 0.0,
                "probability": [0.9, 0.8, 0.1, 0.2, 0.9, 0.3, 0.1, 0.8],
            }
        )
        assert business_measures(predictions, 2, 1000.0, 25.0) == {
            "contacts": 4,
            "companies_called": 3,
            "conversions_reached": 1,
            "conversions_missed": 2,
            "revenue": 1000.0,
            "cost": 100.0,
            "profit": 900.0,
            "return_on_investment": 9.0,
        }

    def test_a_short_list_and_free_calls(self) -> None:
        measures = business_measures(one_week([1, 0], [0.2, 0.1]), 50, 10.0, 0.0)
        assert (measures["contacts"], measures["return_on_investment"]) == (2, None)
