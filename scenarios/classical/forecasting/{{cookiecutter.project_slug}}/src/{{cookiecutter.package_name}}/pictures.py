"""Pictures of forecasts for the report."""

import numpy as np
import pandas as pd
from matplotlib import pyplot
from matplotlib.figure import Figure

from .data import AIRPORT, DATE, TARGET

MODEL, LIGHT, NAIVE, TRUTH = "#1f4e79", "#9bb4cc", "#c2803a", "#333333"


def forecasts(rows: pd.DataFrame, horizon: int, coverage: float) -> tuple[Figure, str]:
    """Forecasts next to what happened, one panel per airport."""
    starts = np.sort(rows["known_until"].unique())[::-horizon]
    airports = list(rows[AIRPORT].unique())
    figure, panels = pyplot.subplots(len(airports), 1, figsize=(9, 2.3 * len(airports)), sharex=True, squeeze=False)
    for axes, airport in zip(panels[:, 0], airports, strict=True):
        own = rows[rows[AIRPORT] == airport]
        truth = own.drop_duplicates(DATE).sort_values(DATE)
        for number, start in enumerate(starts):
            part = own[own["known_until"] == start]
            axes.fill_between(part[DATE], part["lower"], part["upper"], color=LIGHT, alpha=0.5, linewidth=0)
            axes.plot(part[DATE], part["forecast"], color=MODEL, label=None if number else "forecast")
            axes.axvline(start, color="#bbbbbb", linewidth=0.8, linestyle=":")
        axes.plot(truth[DATE], truth[TARGET], color=TRUTH, marker=".", linewidth=0.8, label="truth")
        axes.set(title=airport, ylabel="departures")
        axes.margins(x=0.01)
    panels[0, 0].legend(loc="lower left", ncols=2)
    figure.tight_layout()
    caption = (
        f"Forecasts made on every {horizon}th day (dotted lines), their {coverage:.0%} interval, and what happened. "
        f"The metrics are over the forecasts of every day."
    )
    return figure, caption


def days_ahead(table: pd.DataFrame) -> tuple[Figure, str]:
    """Error by how far ahead a day is."""
    figure, axes = pyplot.subplots(figsize=(7, 3))
    axes.plot(table["day_ahead"], table["naive"], marker=".", color=NAIVE, label="seasonal naive")
    axes.plot(table["day_ahead"], table["mae"], marker=".", color=MODEL, label="this model")
    axes.set(xlabel="days ahead", ylabel="mean absolute error", ylim=(0, None))
    axes.legend()
    return (
        figure,
        "Error by days ahead, in departures per day. Where the lines meet, the model adds nothing to last week.",
    )


def calibration(table: pd.DataFrame, by_day: pd.DataFrame, coverage: float) -> tuple[Figure, str]:
    """Whether intervals hold as many days as they should."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.5))
    left.plot([0.45, 1], [0.45, 1], color="grey", linewidth=1, linestyle="--")
    left.plot(table["intended"], table["observed"], marker="o", color=MODEL)
    left.set(xlabel="intended coverage", ylabel="observed share of days", xlim=(0.45, 1), ylim=(0.4, 1.02))
    right.axhline(coverage, color="grey", linewidth=1, linestyle="--")
    right.plot(by_day["day_ahead"], by_day["coverage"], marker=".", color=MODEL)
    right.set(xlabel="days ahead", ylabel="observed share of days", ylim=(0.4, 1.02))
    figure.tight_layout()
    caption = (
        f"Left: intervals made for other coverages too; below the dashed line they are too narrow. "
        f"Right: intervals made for {coverage:.0%}, by days ahead."
    )
    return figure, caption


def days(rows: pd.DataFrame, loss: "pd.Series[float]") -> tuple[Figure, str]:
    """The mean error for each day."""
    by_day = loss.groupby(rows[DATE]).mean()
    figure, axes = pyplot.subplots(figsize=(9, 2.8))
    axes.bar(by_day.index, by_day, color=[MODEL if value < 2 * by_day.mean() else NAIVE for value in by_day])
    axes.set(ylabel="mean scaled error")
    axes.margins(x=0.01)
    figure.autofmt_xdate()
    return figure, "Error for each day, over all airports and all forecasts for it; orange: more than twice the mean."


def bars(names: "pd.Series[str]", increases: "pd.Series[float]") -> Figure:
    """How much the loss grows, for each of `names`."""
    figure, axes = pyplot.subplots(figsize=(7, 0.9 + 0.25 * len(names)))
    axes.barh(names[::-1], increases[::-1], color=MODEL)
    axes.set(xlabel="increase of the mean scaled error")
    return figure


def history(series: pd.DataFrame, first: pd.Timestamp) -> tuple[Figure, str]:
    """The counts of every airport, before and after `first`."""
    figure, panels = pyplot.subplots(series.shape[1], 1, figsize=(9, 1.8 * series.shape[1]), sharex=True, squeeze=False)
    for axes, airport in zip(panels[:, 0], series, strict=True):
        axes.plot(series.index, series[airport], color=LIGHT, linewidth=1)
        axes.plot(series.index, series[airport].rolling(7).mean(), color=MODEL)
        axes.axvline(first, color=NAIVE, linestyle="--", linewidth=1)
        axes.set(title=airport, ylabel="departures")
        axes.margins(x=0.01)
    figure.tight_layout()
    return figure, "Counts per day and their mean over a week; from the dashed line on is what is looked at here."
