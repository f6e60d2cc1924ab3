"""Every family forecasts, is repeatable, survives saving and sees no future."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_runtime.errors import Problem

from {{ cookiecutter.package_name }} import data, model, train
from {{ cookiecutter.package_name }}.data import AIRPORT, DATE

HORIZON = 14
QUICK = {"gradient_boosting": {"trees": 20}, "lstm": {"epochs": 2, "units": 8}}


def settings(family: str) -> dict[str, object]:
    return {**model.family(family).defaults, **QUICK.get(family, {})}


def fit(family: str, series: pd.DataFrame) -> model.Model:
    """A quickly fitted model, its residuals made up: back-testing every family takes minutes."""
    if model.FAMILIES[family].extra:
        pytest.importorskip({"statsmodels": "statsmodels", "lstm": "torch"}[model.FAMILIES[family].extra])
    residuals = np.random.default_rng(0).normal(size=(84, HORIZON, series.shape[1]))
    return model.fit(series, family, settings(family), HORIZON, 0.9, residuals=residuals)


@pytest.fixture(scope="module", params=model.FAMILIES)
def fitted(request: pytest.FixtureRequest, series: pd.DataFrame) -> model.Model:
    return fit(request.param, series.iloc[80:180])


def test_forecasts_are_complete_and_plausible(fitted: model.Model, series: pd.DataFrame) -> None:
    answer = fitted.predict(data.to_frame(series.iloc[:200]))
    assert list(answer) == [DATE, AIRPORT, "forecast", "lower", "upper"]
    assert len(answer) == HORIZON * series.shape[1]
    assert answer[DATE].min() == series.index[200]
    assert (answer["lower"] <= answer["forecast"]).all()
    assert (answer["forecast"] <= answer["upper"]).all()
    assert answer["forecast"].between(50, 600).all()


def test_a_shorter_horizon_is_the_beginning_of_the_longer(fitted: model.Model, series: pd.DataFrame) -> None:
    history = data.to_frame(series.iloc[:200])
    short = fitted.predict(history, 3)
    pd.testing.assert_frame_equal(short, fitted.predict(history).head(len(short)))


def test_only_the_last_days_of_the_history_count(fitted: model.Model, series: pd.DataFrame) -> None:
    enough = series.iloc[200 - fitted.history_days : 200]
    pd.testing.assert_frame_equal(fitted.predict_series(enough), fitted.predict_series(series.iloc[:200]))
    with pytest.raises(Problem, match=f"give the last {fitted.history_days}"):
        fitted.predict_series(enough.iloc[1:])


def test_saving_changes_nothing(fitted: model.Model, series: pd.DataFrame, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    assert not list(tmp_path.glob("*.pkl"))
    pd.testing.assert_frame_equal(
        model.load(tmp_path).predict_series(series), fitted.predict_series(series), check_exact=False, rtol=1e-6
    )


def test_fitting_is_repeatable(fitted: model.Model, series: pd.DataFrame) -> None:
    again = fit(fitted.family, series.iloc[80:180])
    np.testing.assert_array_equal(again.predict_series(series)["forecast"], fitted.predict_series(series)["forecast"])


def test_airports_may_be_left_out_unless_all_are_needed(fitted: model.Model, series: pd.DataFrame) -> None:
    some = series.iloc[:, 1:]
    if fitted.forecaster.needs_all:
        with pytest.raises(Problem, match="is missing"):
            fitted.predict_series(some)
        return
    answer = fitted.predict_series(series)
    left = answer[answer[AIRPORT] != series.columns[0]].reset_index(drop=True)
    pd.testing.assert_frame_equal(fitted.predict_series(some), left, check_exact=False, rtol=1e-6)


def test_wrong_questions_are_refused(series: pd.DataFrame) -> None:
    fitted = fit("seasonal_naive", series)
    with pytest.raises(Problem, match="1 to 14"):
        fitted.predict_series(series, 15)
    with pytest.raises(Problem, match="'XXX' is unknown"):
        fitted.predict_series(series.rename(columns={series.columns[0]: "XXX"}))


def test_intervals_hold_what_they_promise(series: pd.DataFrame) -> None:
    fitted = fit("seasonal_naive", series)
    lower, upper = fitted.bounds(0.8)
    inside = (lower <= fitted.residuals) & (fitted.residuals <= upper)
    assert 0.8 <= inside.mean() < 0.87


def test_rolling_gives_the_truth_where_it_is_known(series: pd.DataFrame) -> None:
    rows = fit("seasonal_naive", series).roll(series, [len(series) - 3])
    assert rows["departures"].notna().sum() == 3 * series.shape[1]
    np.testing.assert_array_equal(rows["forecast"], rows["naive"])


def test_the_search_starts_with_the_defaults_and_tries_nothing_twice() -> None:
    tried = train.candidates("gradient_boosting", 5, 0)
    assert tried[0] == model.family("gradient_boosting").defaults
    assert len({str(point) for point in tried}) == 5
    assert tried == train.candidates("gradient_boosting", 5, 0)
    assert train.candidates("seasonal_naive", 5, 0) == [{}]


def test_unknown_families_are_refused() -> None:
    with pytest.raises(Problem, match="choose one of seasonal_naive"):
        model.family("prophet")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'statsmodels'", name="statsmodels")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(Problem, match="--extra statsmodels"):
        model.create("ar", {"lags": 1}, HORIZON, 0)
