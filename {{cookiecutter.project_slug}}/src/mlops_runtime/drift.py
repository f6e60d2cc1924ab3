"""How far data has moved from a reference, and whether that is more than chance.

Two samples of the same population never agree exactly, and small ones disagree a lot. So every distance comes with the
value that chance alone would exceed only rarely, given how many rows there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from scipy import stats

Array = np.ndarray[Any, Any]
Column: TypeAlias = "pd.Series[Any]"
Metric: TypeAlias = Callable[[Array], float]

BINS = 10  # for numbers: tenths of the reference
LEVELS = 15  # for categories: the most frequent ones of the reference, the rest is one bin
EXPECTED = 5  # a bin should hold this many rows (Cochran's rule), or the chi-square approximation is poor
FALSE_ALARMS = 0.01  # probability that at least one of the compared columns seems drifted when none is
OTHER = "other"
RESAMPLES, MOST_DRAWN = 100, 2000  # for standard errors: how often, how many rows


@dataclass(frozen=True)
class Bins:
    """Where the values of a column are counted: intervals of numbers, or levels of a category."""

    labels: list[str]
    edges: Array | None = None  # (bins - 1,) the upper ends, inclusive, of all intervals but the last
    levels: dict[str, int] | None = None  # level → bin; the last bin is for all others

    @classmethod
    def fit(cls, reference: Column, rows: int) -> "Bins":
        """Bins for `reference` (missing values left out) that `rows` further values fill well enough to compare."""
        if is_numeric_dtype(reference) and not is_bool_dtype(reference):
            count = max(2, min(BINS, rows // (2 * EXPECTED)))
            ends = np.quantile(reference.to_numpy(float), np.arange(1, count) / count, method="inverted_cdf")
            edges = np.unique(ends[ends < reference.max()])
            middle = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
            ends = [f"up to {edges[0]:.4g}", *middle, f"above {edges[-1]:.4g}"] if len(edges) else ["all"]
            return cls(ends, edges=edges)
        shares = reference.astype(str).value_counts(normalize=True, sort=False)
        shares = shares.sort_index().sort_values(ascending=False, kind="stable")
        names = [str(name) for name, share in shares.head(LEVELS).items() if share * rows >= EXPECTED]
        return cls([*names, OTHER], levels={name: index for index, name in enumerate(names)})

    def count(self, values: Column) -> Array:
        """How many of `values` (none missing) fall into each bin: (bins,)."""
        if self.edges is not None:
            places: Array = np.searchsorted(self.edges, values.to_numpy(float), side="left")
        else:
            levels = self.levels or {}
            places = values.astype(str).map(levels).fillna(len(levels)).to_numpy(int)
        return np.bincount(places, minlength=len(self.labels))


def psi(reference: Array, current: Array) -> float:
    """Population stability index of two arrays of counts, both (bins,).

    PSI = Σ (cᵢ - rᵢ) · ln(cᵢ / rᵢ) over the shares c and r of each bin (Siddiqi, Credit Risk Scorecards, 2006); by
    custom 0.1 is a moderate and 0.25 a major shift. Half a row is added to each bin so that an empty one stays finite.
    """
    r = (reference + 0.5) / (reference.sum() + 0.5 * len(reference))
    c = (current + 0.5) / (current.sum() + 0.5 * len(current))
    return float(np.sum((c - r) * np.log(c / r)))


def psi_by_chance(bins: int, reference_rows: int, current_rows: int, false_alarms: float) -> float:
    """The PSI that two samples of one population exceed with probability `false_alarms`.

    (1/n + 1/m) times the quantile of chi-square with bins - 1 degrees of freedom (Yurdakul & Naranjo, Statistical
    properties of the population stability index, Journal of Risk Model Validation 14, 2020).
    """
    scale = 1 / reference_rows + 1 / current_rows
    return float(scale * stats.chi2.ppf(1 - false_alarms, max(1, bins - 1)))


@dataclass(frozen=True)
class Drift:
    """How one column moved."""

    name: str
    psi: float
    by_chance: float  # the PSI that chance alone would rarely exceed
    ks: float | None  # Kolmogorov-Smirnov distance: largest gap of the cumulative shares; None for categories
    bins: Bins
    reference: Array  # (bins,) counts
    current: Array

    @property
    def value(self) -> float:
        """The PSI where it is more than chance, else 0."""
        return self.psi if self.psi > self.by_chance else 0.0

    @property
    def most_changed(self) -> tuple[str, float, float]:
        """The bin that changed most: its label, its share in the reference and now."""
        r, c = self.reference / self.reference.sum(), self.current / self.current.sum()
        place = int(np.argmax(np.abs(c - r)))
        return self.bins.labels[place], float(r[place]), float(c[place])


def compare(name: str, reference: Column, current: Column, false_alarms: float = FALSE_ALARMS) -> Drift | None:
    """How `current` differs from `reference`; missing values are left out; None when nothing is left to compare."""
    reference, current = reference.dropna(), current.dropna()
    if reference.empty or current.empty:
        return None
    if is_numeric_dtype(reference) and not is_bool_dtype(reference):
        current = pd.to_numeric(current, errors="coerce").dropna()
        if current.empty:
            return None
    bins = Bins.fit(reference, len(current))
    counts = bins.count(reference), bins.count(current)
    ks = None
    if bins.edges is not None:
        ks = float(stats.ks_2samp(reference.to_numpy(float), current.to_numpy(float), method="asymp").statistic)
    chance = psi_by_chance(len(bins.labels), len(reference), len(current), false_alarms)
    return Drift(name, psi(*counts), chance, ks, bins, *counts)


def compare_columns(reference: pd.DataFrame, current: pd.DataFrame, columns: Sequence[str]) -> list[Drift]:
    """`compare` for each column, most drifted first; `FALSE_ALARMS` is shared among them (Bonferroni)."""
    share = FALSE_ALARMS / max(1, len(columns))
    found = [compare(name, reference[name], current[name], share) for name in columns]
    return sorted((drift for drift in found if drift), key=lambda drift: (-drift.value, -drift.psi, drift.name))


def excess_share(reference: tuple[int, int], current: tuple[int, int], false_alarms: float = FALSE_ALARMS) -> float:
    """By how much the share of marked rows grew, 0 where that is not more than chance.

    Each argument is (marked rows, rows). One-sided test of two binomial shares by Fisher's exact test.
    """
    growth = current[0] / current[1] - reference[0] / reference[1]
    table = [[current[0], current[1] - current[0]], [reference[0], reference[1] - reference[0]]]
    return growth if growth > 0 and stats.fisher_exact(table, "greater").pvalue < false_alarms else 0.0


def worse_by(reference: Array, current: Array, false_alarms: float = FALSE_ALARMS) -> float:
    """By what share the mean of `current` losses exceeds that of `reference`, 0 where that is not more than chance.

    Both are (rows,) losses of single rows. One-sided Welch test of the two means.
    """
    growth = float(current.mean() - reference.mean())
    error = np.sqrt(reference.var() / len(reference) + current.var() / len(current))
    if growth <= stats.norm.ppf(1 - false_alarms) * error:
        return 0.0
    return growth / float(reference.mean()) if reference.mean() > 0 else float("inf")


def metric_worse_by(before: Metric, now: Metric, rows: tuple[int, int], more_is_better: bool) -> float:
    """By what share a metric is worse now, 0 where that is not more than chance, NaN where it is undefined.

    `before` and `now` compute the metric on some of the rows, given by number; `rows` says how many each has. One-sided
    z-test at `FALSE_ALARMS` with bootstrap standard errors (Efron & Tibshirani 1993, chapter 6).
    """
    then, value = before(np.arange(rows[0])), now(np.arange(rows[1]))
    worse = then - value if more_is_better else value - then
    if np.isnan(worse):
        return worse
    error = np.hypot(_standard_error(before, rows[0]), _standard_error(now, rows[1]))
    if worse <= stats.norm.ppf(1 - FALSE_ALARMS) * error:
        return 0.0
    return worse / abs(then) if then else float("inf")


def _standard_error(metric: Metric, rows: int) -> float:
    """Of a metric on `rows` rows; estimated from fewer where they are many: it shrinks with their square root."""
    generator, drawn = np.random.default_rng(0), min(rows, MOST_DRAWN)
    values = [metric(generator.choice(rows, drawn)) for _ in range(RESAMPLES)]
    return float(np.nanstd(values) * np.sqrt(drawn / rows))


def group_shifts(reference: Column, current: Column, groups: tuple[Column, Column], min_rows: int) -> pd.DataFrame:
    """How far each group's mean moved beyond everyone's: is one group treated differently than before?

    `reference` and `current` hold one number per row, `groups` the group of each of their rows. Returns the columns
    group, rows, before, now (means), shift (movement beyond everyone's in standard deviations of the reference) and
    value, its size where it is more than chance, else 0 (two-sided z-test at `FALSE_ALARMS`, shared among the groups).
    Groups with fewer than `min_rows` rows in either are left out.
    """
    before, now = reference.groupby(groups[0]), current.groupby(groups[1])
    names = [name for name in before.groups if name in now.groups]
    names = [name for name in names if min(len(before.groups[name]), len(now.groups[name])) >= min_rows]
    spread = float(reference.std())
    if not spread > 1e-9 * abs(reference.mean()):  # all the same but for rounding: no unit to measure a shift in
        spread = 1.0
    everyone = current.mean() - reference.mean()
    limit = stats.norm.ppf(1 - FALSE_ALARMS / 2 / max(1, len(names)))
    rows = []
    for name in names:
        old, new = before.get_group(name), now.get_group(name)
        shift = (new.mean() - old.mean() - everyone) / spread
        error = np.sqrt(_distance_variance(reference, old) + _distance_variance(current, new)) / spread
        value = abs(shift) if abs(shift) > limit * error else 0.0
        rows.append([str(name), len(new), old.mean(), new.mean(), shift, value])
    return pd.DataFrame(rows, columns=["group", "rows", "before", "now", "shift", "value"])


def _distance_variance(everyone: Column, group: Column) -> float:
    """The variance of a group's mean minus everyone's, of whom the group is a part."""
    others = everyone.drop(group.index)
    if len(others) < 2:
        return 0.0
    return float((len(others) / len(everyone)) ** 2 * (group.var() / len(group) + others.var() / len(others)))


def rank_change(reference: Array, current: Array) -> float:
    """How much the order of features by attribution changed: 0 the same order, towards 1 the most different.

    `reference` and `current` are attributions, (features,), none negative. 1 - NDCG, where NDCG = Σ rᵢ/log₂(i+1) over
    the features in the order of their `current` attributions, divided by the same sum in the order of the `reference`
    attributions r (Järvelin & Kekäläinen, Cumulated gain-based evaluation of IR techniques, 2002; Azure ML's feature
    attribution drift uses the same).
    """
    discounts = 1 / np.log2(np.arange(len(reference)) + 2)
    best = float(np.sort(reference)[::-1] @ discounts)
    order = np.argsort(-current, kind="stable")
    return 1 - float(reference[order] @ discounts) / best if best > 0 else 0.0
