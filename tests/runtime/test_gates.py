"""Gates refuse what is too low, too high, worse than the champion, unfair or not measured, and say so."""

import math
from pathlib import Path

import numpy as np
import pytest
from mlops_runtime.config import Gates
from mlops_runtime.gates import Verdict, check
from mlops_runtime.statistics import bootstrap_interval, paired_improvement

GATES = Gates.model_validate(
    {
        "metrics": {"auc": {"min": 0.7}, "loss": {"max": 0.5}},
        "champion": {"confidence": 0.95, "min_improvement": 0.0},
        "cohorts": {"columns": ["site"], "metric": "auc", "max_gap": 0.1, "min_rows": 10},
    }
)
GOOD = {"auc": 0.8, "loss": 0.4}


def test_a_good_candidate_passes() -> None:
    verdict = check(GATES, GOOD, (0.02, 0.01), {"site": 0.05})
    assert verdict.passed
    assert verdict.refusals == []
    assert check(GATES, GOOD, None, {"site": 0.05}).passed, "the first model has no champion to beat"


@pytest.mark.parametrize(
    ("metrics", "improvement", "gaps", "reason"),
    [
        ({**GOOD, "auc": 0.6}, None, {"site": 0.0}, "auc is 0.6 (below the minimum of 0.7)"),
        ({**GOOD, "loss": 0.6}, None, {"site": 0.0}, "loss is 0.6 (above the maximum of 0.5)"),
        ({**GOOD, "auc": math.nan}, None, {"site": 0.0}, "auc is nan"),
        ({"loss": 0.4}, None, {"site": 0.0}, "auc is nan"),
        (GOOD, (0.02, -0.01), {"site": 0.0}, "improves on the champion's by 0.02"),
        (GOOD, None, {"site": 0.2}, "auc differs by 0.2 between groups of site"),
        (GOOD, None, {}, "differs by nan"),
    ],
)
def test_faults_are_refused(
    metrics: dict[str, float],
    improvement: tuple[float, float] | None,
    gaps: dict[str, float],
    reason: str,
    tmp_path: Path,
) -> None:
    verdict = check(GATES, metrics, improvement, gaps)
    assert not verdict.passed
    assert reason in verdict.refusals[0]
    verdict.write(tmp_path / "verdict.json")
    assert "NaN" not in (tmp_path / "verdict.json").read_text()
    assert Verdict.read(tmp_path / "verdict.json") == verdict


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        low, high = bootstrap_interval(np.mean, generator.normal(3.0, 1.0, 100), seed=seed)
        hits += low <= 3.0 <= high
    assert 0.90 <= hits / 200 <= 0.98


def test_an_undefined_metric_has_no_interval() -> None:
    def undefined(values: np.ndarray) -> float:
        raise ValueError("only one class")

    assert all(math.isnan(end) for end in bootstrap_interval(undefined, np.ones(5)))


def test_a_better_candidate_is_seen_and_an_equal_one_is_not() -> None:
    generator = np.random.default_rng(0)
    champion = generator.normal(1.0, 0.2, 500)
    mean, low = paired_improvement(champion, champion - 0.05 + generator.normal(0, 0.02, 500))
    assert mean == pytest.approx(0.05, abs=0.01)
    assert low > 0
    equal = [paired_improvement(champion, champion + generator.normal(0, 0.1, 500), seed=s)[1] > 0 for s in range(100)]
    assert sum(equal) <= 12, "at 95 % confidence about one in twenty equal candidates may pass"
