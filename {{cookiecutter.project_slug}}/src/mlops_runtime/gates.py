"""Whether a candidate may be registered: its metrics, champion comparison and cohorts against the limits in config."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from mlops_runtime.config import Gates
from mlops_runtime.files import write_json


@dataclass(frozen=True)
class Gate:
    """One check: what was measured, what was demanded, and a sentence saying so."""

    name: str
    passed: bool
    value: float | None  # None: not measured
    limit: float
    reason: str


@dataclass(frozen=True)
class Verdict:
    """All gates of one candidate."""

    gates: list[Gate]

    @property
    def passed(self) -> bool:
        """True when every gate is."""
        return all(gate.passed for gate in self.gates)

    @property
    def refusals(self) -> list[str]:
        """The reasons of the gates that refused."""
        return [gate.reason for gate in self.gates if not gate.passed]

    def __str__(self) -> str:
        """One line for each gate."""
        return "\n".join(f"{'passed ' if gate.passed else 'REFUSED'}  {gate.reason}" for gate in self.gates)

    def write(self, path: Path) -> None:
        """Save as JSON: {"passed": …, "gates": […]}."""
        record = {"passed": self.passed, "gates": [asdict(gate) for gate in self.gates]}
        write_json(path, record)

    @classmethod
    def read(cls, path: Path) -> "Verdict":
        """What `write` saved."""
        record = json.loads(path.read_text(encoding="utf-8"))
        return cls([Gate(**gate) for gate in record["gates"]])


def check(
    gates: Gates,
    metrics: dict[str, float],
    improvement: tuple[float, float] | None,
    cohort_gaps: dict[str, float],
) -> Verdict:
    """Compare with the limits; a metric or gap that is missing or not a number fails its gate.

    `improvement` is (mean, lower confidence bound) of the champion's loss minus the candidate's on the same
    test rows, None when there is no champion. `cohort_gaps` is column → largest difference between its groups.
    """
    checks: list[Gate] = []
    for name, limit in gates.metrics.items():
        value = metrics.get(name, math.nan)
        if limit.min is not None:
            checks.append(_at_least(name, value, limit.min, f"{name} is {value:.4g}"))
        if limit.max is not None:
            checks.append(_at_most(name, value, limit.max, f"{name} is {value:.4g}"))
    if improvement is not None:
        mean, low = improvement
        said = (
            f"loss improves on the champion's by {mean:.4g}, at {gates.champion.confidence:.0%} confidence by {low:.4g}"
        )
        checks.append(_at_least("champion", low, gates.champion.min_improvement, said))
    for column in gates.cohorts.columns:
        gap = cohort_gaps.get(column, math.nan)
        said = f"{gates.cohorts.metric} differs by {gap:.4g} between groups of {column}"
        checks.append(_at_most(f"cohorts:{column}", gap, gates.cohorts.max_gap, said))
    return Verdict(checks)


def _at_least(name: str, value: float, limit: float, said: str) -> Gate:
    passed = value >= limit
    compared = "at least" if passed else "below the minimum of"
    return Gate(name, passed, _number(value), limit, f"{said} ({compared} {limit:g})")


def _at_most(name: str, value: float, limit: float, said: str) -> Gate:
    passed = value <= limit
    compared = "at most" if passed else "above the maximum of"
    return Gate(name, passed, _number(value), limit, f"{said} ({compared} {limit:g})")


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
