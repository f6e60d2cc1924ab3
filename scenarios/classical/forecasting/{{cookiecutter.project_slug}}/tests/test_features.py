"""Features say what they promise and never look ahead."""

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.package_name }} import data, features


def test_features_of_a_known_series() -> None:
    days = pd.date_range("2013-03-04", periods=42)  # a Monday; no holiday near
    weeks = pd.DataFrame({"AAA": np.repeat([10.0, 20.0, 30.0, 40.0, 50.0, 60.0], 7)}, index=days)
    row = features.build(weeks, [35], 1, ["AAA"])
    found = dict(zip(features.NAMES, row.matrix[0], strict=True))
    assert row.typical[0] == 35  # of 20, 30, 40, 50
    assert row.level[0] == 35
    assert found["week_1"] == pytest.approx(15 / 35)
    assert found["weekday"] == 0
    assert found["days_from_holiday"] == features.NO_HOLIDAY
    assert row.absolute(row.relative(np.array([60.0])))[0] == pytest.approx(60)


def test_nothing_after_the_cutoff_is_seen(series: pd.DataFrame) -> None:
    airports = data.names(series)
    changed = series.copy()
    changed.iloc[100:] = 0
    one, other = (features.build(frame, [60, 100], 14, airports) for frame in (series, changed))
    np.testing.assert_array_equal(one.matrix, other.matrix)
    np.testing.assert_array_equal(one.typical, other.typical)


def test_days_from_holiday() -> None:
    days = pd.date_range("2013-06-29", "2013-07-09")  # Independence Day in the middle
    far = features.NO_HOLIDAY
    assert features.days_from_holiday(days).tolist() == [far, far, -3, -2, -1, 0, 1, 2, 3, far, far]
