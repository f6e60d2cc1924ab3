"""What is known about a day to forecast: the same weekday in recent weeks, the level, the calendar.

A cutoff is the number of days that are known; day 1 of its forecast is the first unknown one. Everything here looks at
the days before the cutoff only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from pandas.tseries.holiday import USFederalHolidayCalendar

from .data import WEEK, Array, names

WEEKS_BACK = 4  # how many known days of the same weekday are looked at
HISTORY_DAYS = WEEKS_BACK * WEEK
NEAR_HOLIDAY = 3  # days; farther away a holiday has no effect
NO_HOLIDAY = NEAR_HOLIDAY + 1
HOLIDAYS = USFederalHolidayCalendar()  # of the country where the airports are

NAMES = [
    "day_ahead",
    "airport",
    "weekday",
    "days_from_holiday",
    "holiday_in_last_week",
    "week_1",
    "week_2",
    "week_3",
    "week_4",
    "level_7_days",
    "level_14_days",
    "change_last_day",
]


@dataclass(frozen=True)
class Features:
    """Rows for every cutoff, day ahead and airport, in this order."""

    matrix: Array  # (rows, len(NAMES)) float64
    typical: Array  # (rows,) median of the last WEEKS_BACK known days of the same weekday
    level: Array  # (rows,) mean of the airport's last HISTORY_DAYS known days, at least 1

    def relative(self, counts: Array) -> Array:
        """Counts (rows,) as distance from the typical one in shares of the level: what a model learns."""
        return (counts - self.typical) / self.level

    def absolute(self, relative: Array) -> Array:
        """The inverse of `relative`."""
        counts: Array = self.typical + relative * self.level
        return counts


def build(series: pd.DataFrame, cutoffs: Sequence[int], horizon: int, airports: Sequence[str]) -> Features:
    """Features of the `horizon` days after each cutoff, each at least HISTORY_DAYS.

    `series` is (days, airports); the feature "airport" is the place of an airport in `airports`.
    """
    values = series.to_numpy()
    grid = np.meshgrid(cutoffs, np.arange(1, horizon + 1), np.arange(values.shape[1]), indexing="ij")
    cutoff, ahead, column = (axis.ravel() for axis in grid)
    day = cutoff - 1 + ahead
    last_known = day[:, None] - WEEK * (-(-ahead[:, None] // WEEK) + np.arange(WEEKS_BACK))
    weeks = values[last_known, column[:, None]]
    typical = np.median(weeks, axis=1)

    total = np.vstack([np.zeros(values.shape[1]), np.cumsum(values, axis=0)])
    mean = {days: (total[cutoff, column] - total[cutoff - days, column]) / days for days in (7, 14, HISTORY_DAYS)}
    level = np.maximum(mean[HISTORY_DAYS], 1.0)
    calendar = pd.date_range(series.index[0], periods=day.max() + 1)
    near = days_from_holiday(calendar)
    places = np.array([list(airports).index(name) for name in names(series)])
    matrix = np.column_stack(
        [
            ahead,
            places[column],
            calendar.dayofweek.to_numpy()[day],
            near[day],
            near[last_known[:, 0]] != NO_HOLIDAY,
            *((weeks - typical[:, None]) / level[:, None]).T,
            mean[7] / level,
            mean[14] / level,
            (values[cutoff - 1, column] - values[cutoff - 1 - WEEK, column]) / level,
        ]
    )
    return Features(matrix, typical, level)


def days_from_holiday(days: pd.DatetimeIndex) -> Array:
    """Days since the nearest public holiday, negative before it; NO_HOLIDAY where none is near: (days,)."""
    distances = days.to_numpy("datetime64[D]")[:, None] - holidays(days[0].year, days[-1].year)
    counts = distances.astype("int64")
    nearest = counts[np.arange(len(days)), np.abs(counts).argmin(axis=1)]
    return np.where(np.abs(nearest) <= NEAR_HOLIDAY, nearest, NO_HOLIDAY)


@cache  # the calendar's rules take longer than the whole forecast
def holidays(first_year: int, last_year: int) -> Array:
    """The public holidays of these years and around the turns of the year before and after: (holidays,) days."""
    found = HOLIDAYS.holidays(pd.Timestamp(first_year - 1, 12, 1), pd.Timestamp(last_year + 1, 1, 31))
    return np.asarray(found, dtype="datetime64[D]")
