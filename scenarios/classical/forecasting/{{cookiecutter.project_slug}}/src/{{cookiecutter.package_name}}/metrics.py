"""How wrong forecasts are, on frames with the columns of `Model.predict`, the truth and what scales the errors.

The rows of a back-test are not independent: a storm spoils all forecasts for its day, from whichever day they were made
and for all airports, and a wrong level lasts for days. Resampling them one by one would make intervals far too narrow.
So `interval` and `by_week` treat all forecasts for one calendar week as one observation (block bootstrap, Künsch 1989).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from mlops_runtime.statistics import bootstrap_interval
from .data import DATE, TARGET, WEEK, Array

Metric = Callable[[pd.DataFrame], float]


def scale(series: pd.DataFrame) -> "pd.Series[float]":
    """The mean absolute error of the seasonal naive forecast one week ahead on `series` (days, airports), by airport."""
    return series.diff(WEEK).abs().mean().clip(lower=1.0)


def mae(rows: pd.DataFrame) -> float:
    """Mean absolute error, in departures per day."""
    return float((rows[TARGET] - rows["forecast"]).abs().mean())


def rmse(rows: pd.DataFrame) -> float:
    """Root mean squared error, in departures per day; large errors weigh more."""
    return float(np.sqrt(((rows[TARGET] - rows["forecast"]) ** 2).mean()))


def mape(rows: pd.DataFrame) -> float:
    """Mean absolute error in shares of the truth; days without departures are left out."""
    rows = rows[rows[TARGET] > 0]
    return float(((rows[TARGET] - rows["forecast"]).abs() / rows[TARGET]).mean())


def smape(rows: pd.DataFrame) -> float:
    """Mean absolute error in shares of the mean of truth and forecast, 0 to 2; 0 where both are 0."""
    size = (rows[TARGET] + rows["forecast"]) / 2
    return float(((rows[TARGET] - rows["forecast"]).abs() / size.where(size > 0, 1)).mean())


def mase(rows: pd.DataFrame) -> float:
    """Mean absolute scaled error: each in units of `scale` (Hyndman & Koehler 2006), comparable between airports."""
    return float(loss(rows).mean())


def bias(rows: pd.DataFrame) -> float:
    """Mean of forecast minus truth, in departures per day."""
    return float((rows["forecast"] - rows[TARGET]).mean())


def skill(rows: pd.DataFrame) -> float:
    """By what share the absolute error is below that of the seasonal naive forecast of the same rows."""
    return 1 - mae(rows) / mae(rows.assign(forecast=rows["naive"]))


def coverage(rows: pd.DataFrame) -> float:
    """Share of truths within the prediction interval."""
    return float(rows[TARGET].between(rows["lower"], rows["upper"]).mean())


def width(rows: pd.DataFrame) -> float:
    """Mean width of the prediction interval, in departures per day."""
    return float((rows["upper"] - rows["lower"]).mean())


METRICS: dict[str, Metric] = {
    function.__name__: function for function in (mae, rmse, mape, smape, mase, bias, skill, coverage, width)
}


def loss(rows: pd.DataFrame) -> "pd.Series[float]":
    """The absolute scaled error of each row: what families, trials and the champion are compared by."""
    return (rows[TARGET] - rows["forecast"]).abs() / rows["scale"]


def weeks(rows: pd.DataFrame) -> "pd.Series[int]":
    """The week that each row's day lies in, counted from the first day of `rows`."""
    return (rows[DATE] - rows[DATE].min()).dt.days // WEEK


def interval(metric: Metric, rows: pd.DataFrame, confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval of a metric, resampling the weeks of the days that were forecast."""
    blocks = [block for _, block in rows.groupby(weeks(rows))]

    def of_weeks(numbers: Array) -> float:
        return metric(pd.concat([blocks[number] for number in numbers]))

    return bootstrap_interval(of_weeks, np.arange(len(blocks)), confidence=confidence, seed=seed)


def by_week(rows: pd.DataFrame) -> Array:
    """The mean loss in each week of days that were forecast: (weeks,)."""
    return loss(rows).groupby(weeks(rows)).mean().to_numpy()
