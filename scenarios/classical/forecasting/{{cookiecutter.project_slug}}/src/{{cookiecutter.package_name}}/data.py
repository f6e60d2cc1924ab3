"""The daily counts: read them, hold them against their contract, split them by time, hand them from step to step.

Files and requests have one row per day and airport. The models work on a table with a row per day and a column per
airport, which this file calls a series; `to_series` makes it and finds the gaps. To forecast something else, change
the three names here and the contract.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops_runtime.contract import Contract, ContractError
from mlops_runtime.errors import Problem

Array = np.ndarray[Any, Any]

DATE, AIRPORT, TARGET = "date", "origin", "departures"
WEEK = 7  # days, after which the pattern repeats
SHOWN = 3  # examples in a message


@dataclass(frozen=True)
class Table:
    """Rows in order of time, with the contract that they keep."""

    frame: pd.DataFrame
    contract: Contract
    version: str  # of the raw file they come from

    @property
    def series(self) -> pd.DataFrame:
        """The counts: (days, airports)."""
        return to_series(self.frame)

    @property
    def period(self) -> str:
        """From when to when, for people."""
        return f"{self.frame[DATE].min():%Y-%m-%d} to {self.frame[DATE].max():%Y-%m-%d}"

    def save(self, folder: Path) -> None:
        """Write data.parquet, contract.yml and data.json."""
        folder.mkdir(parents=True, exist_ok=True)
        self.frame.to_parquet(folder / "data.parquet", index=False)
        self.contract.save(folder / "contract.yml")
        facts = json.dumps({"version": self.version, "rows": len(self.frame)}, indent=2)
        (folder / "data.json").write_text(facts + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, folder: Path) -> "Table":
        """Read what `save` wrote."""
        facts = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        return cls(pd.read_parquet(folder / "data.parquet"), Contract.load(folder / "contract.yml"), facts["version"])


def load(path: Path, contract: Contract) -> pd.DataFrame:
    """Read a Parquet or CSV file; ContractError says which values break the contract and which days are missing."""
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
    elif path.suffix == ".csv":
        frame = pd.read_csv(path, encoding="utf-8")
    else:
        raise Problem(f"{path.name} is neither Parquet nor CSV by its name: teach data.load to read {path.suffix!r}.")
    frame = contract.validate_table(frame, source=path.name)
    to_series(frame, source=path.name)
    return frame.sort_values([DATE, AIRPORT], ignore_index=True)


def version(path: Path) -> str:
    """The first 12 digits of the file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def to_series(
    frame: pd.DataFrame, source: str = "the data", days: tuple[pd.Timestamp, pd.Timestamp] | None = None
) -> pd.DataFrame:
    """One row per day and airport → (days, airports), float64, days without gaps.

    `days` are the first and the last that every airport must have, by default those of `frame`.
    ContractError names what is in the way: times of day, days given twice, missing days of an airport.
    """
    if not (frame[DATE] == frame[DATE].dt.normalize()).all():
        odd = frame.loc[frame[DATE] != frame[DATE].dt.normalize(), DATE].iloc[0]
        raise ContractError(f"{source}: {DATE} {odd} has a time of day; give whole days.")
    twice = frame[frame.duplicated([DATE, AIRPORT])]
    if len(twice):
        first = twice.iloc[0]
        raise ContractError(f"{source} has {first[AIRPORT]} {first[DATE]:%Y-%m-%d} more than once; keep one row.")
    series = frame.pivot(index=DATE, columns=AIRPORT, values=TARGET).astype("float64")
    first_day, last_day = days or (series.index.min(), series.index.max())
    series = series.reindex(pd.date_range(first_day, last_day, name=DATE))
    absent = {name: pd.DatetimeIndex(series.index[series[name].isna()]) for name in series}
    gaps = [f"  {name}: {_days(missing)}" for name, missing in absent.items() if len(missing)]
    if gaps:
        raise ContractError(f"{source} lacks days; give every airport a row for every day:\n" + "\n".join(gaps))
    return series.rename_axis(columns=None)


def _days(missing: pd.DatetimeIndex) -> str:
    """Missing days as runs: "2013-02-08 to 2013-02-10, 2013-03-01 and 4 more"."""
    runs = np.split(missing, np.flatnonzero(np.diff(missing.to_numpy()) > np.timedelta64(1, "D")) + 1)
    texts = [f"{run[0]:%Y-%m-%d}" + (f" to {run[-1]:%Y-%m-%d}" if len(run) > 1 else "") for run in runs[:SHOWN]]
    more = f" and {len(runs) - SHOWN} more" if len(runs) > SHOWN else ""
    return f"{', '.join(texts)}{more} ({len(missing)} missing)"


def to_frame(series: pd.DataFrame) -> pd.DataFrame:
    """(days, airports) → one row per day and airport, what `to_series` takes."""
    columns = {
        DATE: np.repeat(series.index.to_numpy(), series.shape[1]),
        AIRPORT: np.tile(series.columns.to_numpy(), len(series)),
        TARGET: series.to_numpy().ravel().astype("int64"),
    }
    return pd.DataFrame(columns)


def names(series: pd.DataFrame) -> list[str]:
    """The airports of a series."""
    return [str(name) for name in series]


def split(frame: pd.DataFrame, test_fraction: float, horizon: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The earlier days to train on and the later ones, about `test_fraction` of all, to test on.

    The later part has whole weeks, so that all weekdays count the same, and is long enough for at least one forecast of
    `horizon` days and a week to move it over.
    """
    days = frame[DATE].drop_duplicates().sort_values()
    is_test = frame[DATE] > days.iloc[-days_to_test(len(days), test_fraction, horizon) - 1]
    return frame[~is_test].reset_index(drop=True), frame[is_test].reset_index(drop=True)


def days_to_test(days: int, test_fraction: float, horizon: int) -> int:
    """How many of so many days are the later part."""
    if not 0 < test_fraction < 1:
        raise Problem(f"test_fraction is {test_fraction}: give a number between 0 and 1, for example 0.2.")
    chosen = WEEK * round(test_fraction * days / WEEK)
    needed = horizon + WEEK
    if chosen < needed:
        raise Problem(
            f"test_fraction {test_fraction} of {days} days leaves {chosen} days to test on, too few for "
            f"forecasts of {horizon} days: raise it so that at least {needed} are left."
        )
    return chosen
