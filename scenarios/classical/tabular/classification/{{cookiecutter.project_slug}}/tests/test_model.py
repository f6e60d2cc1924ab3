"""Every family learns, predicts and survives saving, for each kind of target."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from {{ cookiecutter.package_name }} import metrics, model, storage
from {{ cookiecutter.package_name }}.data import Table
from {{ cookiecutter.package_name }}.prepare import prepare

KINDS = {
    "arrival_late": ["prediction", "probability_1"],
    "arrival_delay_class": ["prediction", "probability_early", "probability_late", "probability_on_time"],
    "departure_late,arrival_late": [
        "prediction_departure_late",
        "prediction_arrival_late",
        "probability_departure_late",
        "probability_arrival_late",
    ],
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, raw: Path, contract: Contract) -> tuple[Table, Table]:
    """The tables for one kind of target."""
    return prepare(raw, contract, request.param, 0.25)


@pytest.mark.parametrize("family", model.FAMILIES)
def test_family(family: str, kind: tuple[Table, Table], tmp_path: Path) -> None:
    train, test = kind
    fitted = model.fit(train.inputs, train.targets, family, {}, seed=0)
    prediction = fitted.predict(test.inputs)

    assert list(prediction) == KINDS[",".join(map(str, train.targets))]
    probabilities = prediction.filter(like="probability_").to_numpy()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    if not fitted.thresholds:
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert metrics.evaluate(test.targets, prediction)["roc_auc"] > 0.55

    fitted.save(tmp_path)
    again = model.load(tmp_path)
    pd.testing.assert_frame_equal(again.predict(test.inputs), prediction)
    pd.testing.assert_frame_equal(model._load_pyfunc(str(tmp_path)).predict(test.inputs), prediction)
    assert again.parameters == fitted.parameters


def test_yes_is_said_as_often_as_it_is_true(train_table: Table) -> None:
    fitted = model.fit(train_table.inputs, train_table.targets, "ridge", {}, seed=0)
    fitted = fitted.calibrated(train_table.targets, fitted.predict(train_table.inputs))
    said = fitted.predict(train_table.inputs)["prediction"].mean()
    assert said == pytest.approx(train_table.targets.iloc[:, 0].mean(), abs=0.01)


def test_text_and_truth_values_are_classes(train_table: Table) -> None:
    late = train_table.targets.iloc[:, 0] == 1
    for values, name in ((late, "probability_True"), (late.map({True: "yes", False: "no"}), "probability_yes")):
        fitted = model.fit(train_table.inputs, values.to_frame("late"), "ridge", {}, seed=0)
        prediction = fitted.predict(train_table.inputs)
        assert list(prediction) == ["prediction", name]
        assert set(prediction["prediction"]) <= set(values)
        assert metrics.evaluate(values.to_frame("late"), prediction)["roc_auc"] > 0.6


def test_constant_target_is_refused(train_table: Table) -> None:
    with pytest.raises(Problem, match=r"'arrival_late' has the same value"):
        model.fit(train_table.inputs, train_table.targets * 0, "ridge", {}, seed=0)


def test_several_targets_must_be_0_or_1(train_table: Table) -> None:
    targets = pd.DataFrame({"a": train_table.targets.iloc[:, 0], "b": range(len(train_table.frame))})
    with pytest.raises(Problem, match=r"'b' has other values than 0 and 1"):
        model.fit(train_table.inputs, targets, "ridge", {}, seed=0)


def test_unknown_types_in_a_model_file_are_refused(tmp_path: Path) -> None:
    storage.save(tmp_path, make_pipeline(FunctionTransformer(os.system)), {})
    with pytest.raises(Problem, match=r"holds the type .*system"):
        model.load(tmp_path)


def test_metrics_agree_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    truth = pd.DataFrame({"y": generator.choice(["a", "b", "c"], 300)})
    weights = generator.random((300, 3)).round(1) + 0.05  # with ties
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    prediction = pd.DataFrame(probabilities, columns=["probability_a", "probability_b", "probability_c"])
    prediction["prediction"] = np.array(["a", "b", "c"])[probabilities.argmax(axis=1)]
    found = metrics.evaluate(truth, prediction)
    assert found["roc_auc"] == pytest.approx(roc_auc_score(truth["y"], probabilities, multi_class="ovr"))
    assert found["log_loss"] == pytest.approx(log_loss(truth["y"], probabilities))
    assert found["accuracy"] == pytest.approx((truth["y"] == prediction["prediction"]).mean())

    binary, scores = (truth == "a").astype(int), pd.DataFrame({"probability_1": probabilities[:, 0]})
    scores["prediction"] = (scores["probability_1"] > 0.4).astype(int)
    found = metrics.evaluate(binary, scores)
    assert found["roc_auc"] == pytest.approx(roc_auc_score(binary["y"], probabilities[:, 0]))
    assert found["average_precision"] == pytest.approx(average_precision_score(binary["y"], probabilities[:, 0]))
    assert found["log_loss"] == pytest.approx(log_loss(binary["y"], probabilities[:, 0]))
    assert metrics.loss(binary, scores).mean() == pytest.approx(found["log_loss"])


def test_calibration_error() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.random(20_000)
    truth = pd.DataFrame({"y": (generator.random(20_000) < probabilities).astype(int)})
    right = pd.DataFrame({"prediction": 1, "probability_1": probabilities})
    too_sure = right.assign(probability_1=(probabilities > 0.5) * 1.0)
    assert metrics.evaluate(truth, right)["calibration_error"] < 0.02
    assert metrics.evaluate(truth, too_sure)["calibration_error"] == pytest.approx(0.25, abs=0.02)


def test_unseen_class_costs_but_does_not_break() -> None:
    truth = pd.DataFrame({"y": ["a", "b", "new"]})
    prediction = pd.DataFrame({"probability_a": [0.9, 0.2, 0.6], "probability_b": [0.1, 0.8, 0.4]})
    prediction["prediction"] = ["a", "b", "a"]
    assert metrics.loss(truth, prediction)[2] > 10
    assert metrics.evaluate(truth, prediction)["accuracy"] == pytest.approx(2 / 3)


def test_undefined_metrics_are_nan() -> None:
    truth = pd.DataFrame({"y": [1, 1]})
    prediction = pd.DataFrame({"prediction": [1, 0], "probability_1": [0.9, 0.2]})
    found = metrics.evaluate(truth, prediction)
    assert np.isnan([found["roc_auc"], found["average_precision"]]).all()
