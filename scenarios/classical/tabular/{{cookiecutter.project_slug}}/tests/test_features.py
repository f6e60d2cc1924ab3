"""Preprocessing: what becomes of numbers, times, categories and gaps."""

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.package_name }} import data
from {{ cookiecutter.package_name }}.features import Features, Products

TOY = pd.DataFrame(
    {
        "size": [1.0, 2.0, np.nan, 5.0],
        "at": pd.to_datetime(["2013-09-02 06:30", "2013-09-03 18:00", "2013-09-08 00:00", "2013-09-09 23:59"]),
        "color": ["red", "blue", "red", "rare"],
    }
)


def column(name: str, features: Features, frame: pd.DataFrame) -> list[float]:
    """One column of what `features` makes of `frame`."""
    names = list(features.get_feature_names_out())
    return list(features.transform(frame)[:, names.index(name)].tolist())


def test_calendar() -> None:
    features = Features(scaled=False, min_count=1).fit(TOY)
    assert column("at:hour", features, TOY) == pytest.approx([6.5, 18, 0, 23 + 59 / 60])
    assert column("at=Mon", features, TOY) == [1, 0, 0, 1]
    assert column("at=Tue", features, TOY) == [0, 1, 0, 0]
    assert column("at=Sun", features, TOY) == [0, 0, 1, 0]


def test_midnight_is_near_23_59_for_linear_models() -> None:
    features = Features(min_count=1).fit(TOY)
    places = np.column_stack([column(f"at:{part}", features, TOY) for part in ("sine", "cosine")])
    to_midnight = np.linalg.norm(places - places[2], axis=1)
    assert to_midnight[3] < 0.1 < to_midnight[0]


def test_numbers_are_imputed_scaled_and_marked() -> None:
    features = Features(min_count=1).fit(TOY)
    size = np.array(column("size", features, TOY))
    assert size.mean() == pytest.approx(0)
    assert size.std() == pytest.approx(1)
    assert size[2] == size[1]  # the median of 1, 2 and 5
    assert column("size=missing", features, TOY) == [0, 0, 1, 0]


def test_trees_see_gaps() -> None:
    features = Features(scaled=False, min_count=1).fit(TOY)
    assert np.isnan(column("size", features, TOY)[2])
    assert "size=missing" not in features.get_feature_names_out()


def test_rare_unknown_and_missing_levels_are_alike() -> None:
    features = Features(min_count=2).fit(TOY)
    assert [name for name in features.get_feature_names_out() if name.startswith("color")] == ["color=red"]
    new = TOY.assign(color=np.array(["red", "green", None, "rare"], dtype=object))
    assert column("color=red", features, new) == [1, 0, 0, 0]


def test_a_column_without_any_number_stays_finite() -> None:
    frame = TOY.assign(size=np.nan)
    assert np.isfinite(Features(min_count=1).fit(frame).transform(frame)).all()


def test_missing_time_has_no_weekday() -> None:
    features = Features(scaled=False, min_count=1).fit(TOY)
    new = TOY.assign(at=np.array(["NaT"] * 4, dtype="datetime64[ns]"))
    assert np.isnan(column("at:hour", features, new)).all()
    weekdays = [name for name in features.get_feature_names_out() if name.startswith("at=")]
    assert len(weekdays) == 7
    assert not any(sum(column(name, features, new)) for name in weekdays)


@pytest.mark.parametrize("scaled", [True, False])
def test_one_row_and_plain_arrays_give_the_same(scaled: bool, train_table: data.Table) -> None:
    inputs = train_table.inputs
    features = Features(scaled=scaled).fit(inputs)
    matrix = features.transform(inputs)
    assert matrix.shape == (len(inputs), len(features.get_feature_names_out()))
    np.testing.assert_array_equal(features.transform(inputs.iloc[[7]]), matrix[[7]])
    as_served = {str(name): inputs[name].head(3).to_numpy() for name in inputs}
    np.testing.assert_array_equal(features.transform(as_served), matrix[:3])


def test_products() -> None:
    matrix = np.array([[1.0, 0.0, 2.0], [3.0, 1.0, 5.0], [-1.0, 0.0, 4.0]])
    result = Products().fit(matrix).transform(matrix)
    numbers = matrix[:, [0, 2]]  # the middle column is only 0 and 1
    expected = np.column_stack([matrix, numbers[:, 0] ** 2, numbers[:, 0] * numbers[:, 1], numbers[:, 1] ** 2])
    np.testing.assert_array_equal(result, expected)
