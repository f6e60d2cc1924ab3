"""How wrong forecasts are. `rows` are always those of `Model.roll`, with the truth and the column scale.

Rows of a back-test are not independent: a storm spoils all forecasts for its day, from whichever day they were made and
for all airports, and a wrong level lasts for days. Resampled one by one they would give intervals far too narrow. So
`interval` and `by_week` take all forecasts for the days of one week as one observation (block bootstrap, Künsch 1989).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from mlops_runtime.statistics import bootstrap_interval

from .data import DATE, TARGET, WEEK, Array

Metric = Callable[[pd.DataFrame], float]
RESAMPLES = 200


def scale(series: pd.DataFrame) -> "pd.Series[float]":
    """By airport, how far `series` (days, airports) is on average from a week before: the unit of scaled errors."""
    return series.diff(WEEK).abs().mean().clip(lower=1.0)


def mae(rows: pd.DataFrame) -> float:
    """Mean absolute error, in departures per day."""
    return float(np.abs(_errors(rows)).mean())


def rmse(rows: pd.DataFrame) -> float:
    """Root mean squared error, in departures per day; large errors weigh more."""
    return float(np.sqrt((_errors(rows) ** 2).mean()))


def mape(rows: pd.DataFrame) -> float:
    """Mean absolute error in shares of the truth; days without departures are left out."""
    truth = rows[TARGET].to_numpy()
    return float((np.abs(_errors(rows))[truth > 0] / truth[truth > 0]).mean())


def smape(rows: pd.DataFrame) -> float:
    """Mean absolute error in shares of the mean of truth and forecast, 0 to 2; 0 where both are 0."""
    size = (rows[TARGET].to_numpy() + rows["forecast"].to_numpy()) / 2
    return float((np.abs(_errors(rows)) / np.where(size > 0, size, 1)).mean())


def mase(rows: pd.DataFrame) -> float:
    """Mean absolute scaled error: each in units of `scale` (Hyndman & Koehler 2006), comparable between airports."""
    return float(loss(rows).mean())


def bias(rows: pd.DataFrame) -> float:
    """Mean of forecast minus truth, in departures per day."""
    return float(_errors(rows).mean())


def skill(rows: pd.DataFrame) -> float:
    """By what share the absolute error is below the seasonal naive forecast's on the same rows; 0 if that has none."""
    naive = np.abs(rows["naive"].to_numpy() - rows[TARGET].to_numpy()).mean()
    return 1 - mae(rows) / float(naive) if naive > 0 else 0.0


def coverage(rows: pd.DataFrame) -> float:
    """Share of truths within the prediction interval."""
    truth = rows[TARGET].to_numpy()
    return float(((rows["lower"].to_numpy() <= truth) & (truth <= rows["upper"].to_numpy())).mean())


def width(rows: pd.DataFrame) -> float:
    """Mean width of the prediction interval, in departures per day."""
    return float((rows["upper"].to_numpy() - rows["lower"].to_numpy()).mean())


METRICS: dict[str, Metric] = {
    function.__name__: function for function in (mae, rmse, mape, smape, mase, bias, skill, coverage, width)
}


def loss(rows: pd.DataFrame) -> Array:
    """The absolute scaled error of each row, (rows,): what settings, families and the champion are compared by."""
    scaled: Array = np.abs(_errors(rows)) / rows["scale"].to_numpy()
    return scaled


def _errors(rows: pd.DataFrame) -> Array:
    errors: Array = rows["forecast"].to_numpy() - rows[TARGET].to_numpy()
    return errors


def weeks(rows: pd.DataFrame) -> Array:
    """The week that each row's day lies in, counted from the first day in `rows`: (rows,)."""
    numbers: Array = (rows[DATE] - rows[DATE].min()).dt.days.to_numpy() // WEEK
    return numbers


def interval(metric: Metric, everything: pd.DataFrame, some: Array) -> tuple[float, float]:
    """The 95 % bootstrap interval of a metric over some rows, resampling the weeks of the days that were forecast."""
    rows = everything.take(some)
    number, numbers = weeks(rows), rows.select_dtypes("number")
    blocks = [np.flatnonzero(number == week) for week in np.unique(number)]

    def of_weeks(drawn: Array) -> float:
        return metric(numbers.take(np.concatenate([blocks[week] for week in drawn])))

    return bootstrap_interval(of_weeks, np.arange(len(blocks)), resamples=RESAMPLES)


def by_week(rows: pd.DataFrame) -> Array:
    """The mean loss in each week of days that were forecast: (weeks,)."""
    return pd.Series(loss(rows)).groupby(weeks(rows)).mean().to_numpy()
