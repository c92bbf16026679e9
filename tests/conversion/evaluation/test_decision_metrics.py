import numpy as np
import sklearn.metrics as reference

from conversion.evaluation.decision_metrics import (
    CLASSES,
    classification_measures,
    classification_report,
    decision_counts,
)


class TestClassification:
    LABEL = (1, 1, 1, 0, 0, 0, 0, 0)
    PREDICTED = (1, 1, 0, 1, 0, 0, 0, 0)

    def test_by_hand(self) -> None:
        assert classification_measures(decision_counts(self.LABEL, self.PREDICTED)) == {
            "accuracy": 0.75,
            "precision": 0.666667,
            "recall": 0.666667,
            "f1": 0.666667,
            "true_positives": 2,
            "false_positives": 1,
            "false_negatives": 1,
            "true_negatives": 4,
        }

    def test_counts_are_those_of_scikit_learn(self) -> None:
        label, predicted = np.random.default_rng(1).integers(0, 2, (2, 50))
        for of in (label, np.zeros(50)):
            expected = reference.confusion_matrix(of, predicted, labels=[0, 1])
            assert decision_counts(of, predicted == 1).tolist() == expected.tolist()

    def test_undefined_is_null(self) -> None:
        measures = classification_measures(decision_counts([0, 0], [0, 0]))
        assert (measures["accuracy"], measures["precision"]) == (1, None)
        assert (measures["recall"], measures["f1"]) == (None, None)

    def test_report_is_that_of_scikit_learn(self) -> None:
        expected = reference.classification_report(self.LABEL, self.PREDICTED, target_names=CLASSES, digits=4)
        assert classification_report(decision_counts(self.LABEL, self.PREDICTED)).split() == expected.split()

    def test_report_of_no_decision(self) -> None:
        report = classification_report(decision_counts([0, 1], [0, 0]))
        (macro,) = [line for line in report.splitlines() if "macro avg" in line]
        assert macro.split()[2:] == ["n/a", "0.5000", "0.3333", "2"]
        (line,) = [line for line in report.splitlines() if line.strip().startswith("conversion")]
        assert line.split() == ["conversion", "n/a", "0.0000", "0.0000", "1"]
        assert len({len(line) for line in report.splitlines() if line}) == 1
