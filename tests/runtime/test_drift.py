"""Drift measures against values worked out by hand, and how often they see drift where there is none."""

import numpy as np
import pandas as pd
import pytest
from mlops_runtime import drift


def series(values: object) -> "pd.Series":
    return pd.Series(values)


def test_psi_by_hand() -> None:
    # Shares (101/201, 100.5…): half a row is added to each bin of 100 and 100, then of 150 and 50.
    r, c = np.array([100.5, 100.5]) / 201, np.array([150.5, 50.5]) / 201
    expected = sum((c - r) * np.log(c / r))
    assert drift.psi(np.array([100, 100]), np.array([150, 50])) == pytest.approx(expected)
    assert drift.psi(np.array([10, 20, 30]), np.array([100, 200, 300])) == pytest.approx(0, abs=0.002)
    assert np.isfinite(drift.psi(np.array([10, 0]), np.array([0, 10])))


def test_chance_is_the_quantile_of_samples_of_one_population() -> None:
    generator = np.random.default_rng(1)
    samples = [
        drift.psi(generator.multinomial(400, [0.1] * 10), generator.multinomial(300, [0.1] * 10)) for _ in range(4000)
    ]
    assert drift.psi_by_chance(10, 400, 300, 0.05) == pytest.approx(np.quantile(samples, 0.95), rel=0.05)


def test_bins_of_numbers_hold_equal_shares_and_take_everything() -> None:
    bins = drift.Bins.fit(series(np.arange(1000.0)), 500)
    assert bins.count(series(np.arange(1000.0))).tolist() == [100] * 10
    assert bins.count(series([-1e300, 1e300])).tolist() == [1, *[0] * 8, 1]
    assert len(bins.labels) == 10
    mostly_zero = drift.Bins.fit(series([0.0] * 95 + [1.0, 2, 3, 4, 5]), 500)
    assert mostly_zero.labels == ["up to 0", "above 0"]
    assert drift.Bins.fit(series([7.0] * 50), 500).labels == ["all"]
    assert len(drift.Bins.fit(series(np.arange(1000.0)), 40).labels) == 4, "few rows fill few bins"


def test_bins_of_categories_keep_what_is_frequent() -> None:
    reference = series(["a"] * 60 + ["b"] * 39 + ["rare"])
    bins = drift.Bins.fit(reference, 200)
    assert bins.labels == ["a", "b", "other"]
    assert bins.count(series(["a", "rare", "never seen", "b"])).tolist() == [1, 1, 2]
    assert drift.Bins.fit(series([True] * 60 + [False] * 40), 200).labels == ["True", "False", "other"]


@pytest.mark.parametrize("rows", [50, pytest.param(1000, marks=pytest.mark.full)])
def test_no_drift_in_samples_of_one_population(rows: int) -> None:
    generator = np.random.default_rng(0)
    population = pd.DataFrame(
        {
            "normal": generator.normal(size=8000),
            "skewed": generator.exponential(size=8000) ** 3,
            "mostly zero": np.where(generator.random(8000) < 0.95, 0, generator.random(8000)),
            "few": generator.integers(0, 4, 8000),
            "many": generator.choice([f"level {i}" for i in range(200)], 8000, p=np.arange(1, 201) / 20100),
            "yes": generator.random(8000) < 0.3,
        }
    )
    alarms = 0
    for seed in range(100):
        shuffled = population.sample(frac=1, random_state=seed, ignore_index=True)
        found = drift.compare_columns(shuffled[:4000], shuffled[4000 : 4000 + rows], list(population))
        alarms += any(one.value > 0 for one in found)
    assert alarms <= 100 * 3 * drift.FALSE_ALARMS, "one in a hundred is meant"


def test_drift_is_found_and_named() -> None:
    generator = np.random.default_rng(0)
    before = pd.DataFrame(
        {"same": generator.normal(size=2000), "moved": generator.normal(size=2000), "kind": ["a", "b"] * 1000}
    )
    now = pd.DataFrame({"same": generator.normal(size=500), "moved": generator.normal(1, 1, 500), "kind": ["a"] * 500})
    found = drift.compare_columns(before, now, ["same", "moved", "kind"])
    assert [one.name for one in found] == ["kind", "moved", "same"]
    assert found[0].most_changed == ("a", 0.5, 1.0)
    assert found[0].ks is None
    assert found[1].ks == pytest.approx(0.38, abs=0.05)
    assert found[2].value == 0 < found[2].psi


def test_missing_and_broken_values_do_not_count() -> None:
    before = series(np.arange(1000.0))
    with_gaps = drift.compare("x", before, series([*np.arange(0, 1000, 2.0), *[np.nan] * 500]))
    assert with_gaps is not None
    assert with_gaps.value == 0
    assert with_gaps.current.sum() == 500
    assert drift.compare("x", before, series([None, np.nan])) is None
    assert drift.compare("x", before, series(["text", "?"])) is None


def test_excess_share_needs_evidence() -> None:
    assert drift.excess_share((10, 1000), (100, 1000)) == pytest.approx(0.09)
    assert drift.excess_share((10, 1000), (1, 50)) == 0, "one row in fifty is chance"
    assert drift.excess_share((100, 1000), (10, 1000)) == 0, "less is not worse"


def test_worse_by_needs_evidence() -> None:
    generator = np.random.default_rng(0)
    losses = generator.exponential(size=2000)
    assert drift.worse_by(losses, losses[:1000] * 1.5) == pytest.approx(0.5, abs=0.1)
    assert drift.worse_by(losses, losses * 0.5) == 0
    assert drift.worse_by(losses, generator.exponential(size=1000)) == 0


def test_a_metric_is_worse_only_with_evidence() -> None:
    generator = np.random.default_rng(0)
    before, now = generator.normal(10, 1, 3000), generator.normal(8, 1, 500)

    def compare(more_is_better: bool, rows: int = 500) -> float:
        return drift.metric_worse_by(
            lambda drawn: before[drawn].mean(), lambda drawn: now[drawn].mean(), (3000, rows), more_is_better
        )

    assert compare(True) == pytest.approx(0.2, abs=0.02)
    assert compare(False) == 0
    now = generator.normal(9.9, 1, 500)
    assert compare(True, rows=50) == 0, "chance"
    assert np.isnan(drift.metric_worse_by(lambda rows: float("nan"), lambda rows: 1.0, (10, 10), True))


def test_a_group_that_moves_with_everyone_is_not_singled_out() -> None:
    generator = np.random.default_rng(0)
    groups = series(["a", "b", "c", "tiny"]).repeat([1000, 1000, 1000, 10]).reset_index(drop=True)
    before, now = series(generator.normal(size=3010)), series(generator.normal(1, 1, 3010))
    everyone = drift.group_shifts(before, now, (groups, groups), 50)
    assert set(everyone["group"]) == {"a", "b", "c"}
    assert everyone["value"].tolist() == [0, 0, 0]
    alone = drift.group_shifts(before, now.where(groups != "b", now + 2), (groups, groups), 50).set_index("group")
    assert alone["value"].idxmax() == "b"
    assert alone.loc["b", "shift"] == pytest.approx(2 - 2 / 3, abs=0.1)
    assert drift.group_shifts(before, now, (groups, groups + "!"), 50).empty
    same = pd.Series(0.1, before.index) * 3 + np.where(np.arange(len(before)) % 2, 1e-17, 0)
    later = pd.Series(np.resize([0.3, 0.1 * 3], len(now)), now.index)
    assert drift.group_shifts(same, later, (groups, groups), 50)["value"].max() < 1e-9, "rounding is no shift"


def test_one_odd_row_moves_no_group_apart() -> None:
    generator = np.random.default_rng(0)
    groups = series(["a", "b", "c", "d"] * 40)
    before, now = series(generator.exponential(0.001, 160)), series(generator.exponential(0.001, 160))
    before[0] = 10.0  # a single mistake, by a model that makes no other
    assert drift.group_shifts(before, now, (groups, groups), 30)["value"].tolist() == [0, 0, 0, 0]


def test_rank_change_by_hand() -> None:
    gains = np.array([3.0, 2.0, 1.0])
    assert drift.rank_change(gains, np.array([30.0, 20.0, 10.0])) == pytest.approx(0)
    best = 3 / np.log2(2) + 2 / np.log2(3) + 1 / np.log2(4)
    worst = 1 / np.log2(2) + 2 / np.log2(3) + 3 / np.log2(4)
    assert drift.rank_change(gains, np.array([1.0, 2.0, 3.0])) == pytest.approx(1 - worst / best)
    assert drift.rank_change(np.zeros(3), gains) == 0
