"""Every family learns, predicts and survives saving."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from mlops_runtime.errors import Problem

from {{ cookiecutter.package_name }} import metrics, model, storage
from {{ cookiecutter.package_name }}.data import Table
from {{ cookiecutter.package_name }}.quantile import QuantileRegression


@pytest.mark.parametrize("family", model.FAMILIES)
def test_family(family: str, train_table: Table, test_table: Table, tmp_path: Path) -> None:
    fitted = model.fit(train_table.inputs, train_table.targets, family, {}, seed=0)
    fitted = fitted.calibrated(train_table.targets, fitted.predict(train_table.inputs))
    prediction = fitted.predict(test_table.inputs)

    assert list(prediction) == ["prediction", "lower", "upper"]
    assert (prediction["lower"] < prediction["upper"]).all()
    assert metrics.evaluate(test_table.targets, prediction)["r2"] > 0.9

    fitted.save(tmp_path)
    again = model.load(tmp_path)
    pd.testing.assert_frame_equal(again.predict(test_table.inputs), prediction)
    pd.testing.assert_frame_equal(model._load_pyfunc(str(tmp_path)).predict(test_table.inputs), prediction)
    assert (again.parameters, again.errors) == (fitted.parameters, fitted.errors)


def test_interval_holds_the_share_it_promises(train_table: Table) -> None:
    fitted = model.fit(train_table.inputs, train_table.targets, "ridge", {}, seed=0)
    fitted = fitted.calibrated(train_table.targets, fitted.predict(train_table.inputs))
    found = metrics.evaluate(train_table.targets, fitted.predict(train_table.inputs))
    assert found["interval_coverage"] == pytest.approx(metrics.COVERAGE, abs=0.01)


def test_interval_is_wider_where_errors_are_larger() -> None:
    generator = np.random.default_rng(0)
    predicted = generator.uniform(0, 100, 20_000)
    actual = predicted + generator.normal(0, 1 + predicted / 10)
    levels = metrics.error_levels(
        pd.DataFrame({"y": actual}), pd.DataFrame({"prediction": predicted, "lower": 0.0, "upper": 0.0})
    )
    lower, upper = levels.interval(predicted)
    inside = (lower <= actual) & (actual <= upper)
    for part in np.array_split(np.argsort(predicted), 5):
        assert inside[part].mean() == pytest.approx(metrics.COVERAGE, abs=0.01)
    assert (upper - lower)[predicted > 90].mean() > 3 * (upper - lower)[predicted < 10].mean()


def test_constant_predictions_have_an_interval() -> None:
    truth = pd.DataFrame({"y": np.arange(100.0)})
    levels = metrics.error_levels(truth, truth.assign(prediction=50.0, lower=0.0, upper=0.0))
    lower, upper = levels.interval(np.array([0.0, 50.0, 99.0]))
    assert (upper - lower) == pytest.approx(0.9 * 99)


def test_several_targets_are_refused(train_table: Table) -> None:
    targets = pd.concat([train_table.targets, train_table.targets.rename(columns={"air_time": "more"})], axis=1)
    with pytest.raises(Problem, match=r"'air_time,more' names 2 columns"):
        model.fit(train_table.inputs, targets, "ridge", {}, seed=0)


def test_text_is_no_target(train_table: Table) -> None:
    with pytest.raises(Problem, match=r"'air_time' is no number"):
        model.fit(train_table.inputs, train_table.targets.astype(str), "ridge", {}, seed=0)


def test_unknown_types_in_a_model_file_are_refused(tmp_path: Path) -> None:
    storage.save(tmp_path, make_pipeline(FunctionTransformer(os.system)), {})
    with pytest.raises(Problem, match=r"holds the type .*system"):
        model.load(tmp_path)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_quantile_regression_agrees_with_the_exact_solution(quantile: float) -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(500, 3))
    y = X @ [1.0, -2.0, 0.5] + generator.standard_t(3, 500)
    exact = QuantileRegressor(quantile=quantile, alpha=0).fit(X, y)
    ours = QuantileRegression(quantile, alpha=0).fit(X, y)

    def loss(predicted: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
        return float(np.maximum(quantile * (y - predicted), (quantile - 1) * (y - predicted)).mean())

    assert loss(ours.predict(X)) == pytest.approx(loss(exact.predict(X)), rel=0.002)
    assert (y <= ours.predict(X)).mean() == pytest.approx(quantile, abs=0.02)


def test_metrics_agree_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    truth = pd.DataFrame({"y": generator.normal(100, 20, 200)})
    predicted = truth["y"] + generator.normal(3, 5, 200)
    prediction = pd.DataFrame({"prediction": predicted, "lower": predicted - 8, "upper": predicted + 8})
    found = metrics.evaluate(truth, prediction)
    assert found["mae"] == pytest.approx(mean_absolute_error(truth["y"], predicted))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(truth["y"], predicted))
    assert found["r2"] == pytest.approx(r2_score(truth["y"], predicted))
    assert found["bias"] == pytest.approx(3, abs=1.5)
    assert found["interval_coverage"] == pytest.approx((abs(truth["y"] - predicted) <= 8).mean())
    assert metrics.loss(truth, prediction).mean() == pytest.approx(found["mae"])


def test_undefined_metrics_are_nan() -> None:
    truth = pd.DataFrame({"y": [0.0, 0.0]})
    prediction = pd.DataFrame({"prediction": [1.0, 1.0], "lower": [0.0, 0.0], "upper": [2.0, 2.0]})
    found = metrics.evaluate(truth, prediction)
    assert np.isnan([found["r2"], found["relative_error"]]).all()
