"""The preprocessing component of monitors: what batch jobs have kept in a time window, as one table."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from mlops_runtime.batch import TIME
from mlops_runtime.collecting import TABLES

MLTABLE = """\
$schema: https://azuremlschemas.azureedge.net/latest/MLTable.schema.json
type: mltable
paths:
  - pattern: ./*.parquet
transformations:
  - read_parquet
"""


def collect(folder: Path, start: datetime, end: datetime) -> pd.DataFrame:
    """The rows that jobs with outputs anywhere below `folder` kept from `start` until before `end`, oldest first."""
    days = (f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}")
    found = [
        pd.read_parquet(file)
        for file in sorted(folder.rglob(f"{TABLES}/*/*.parquet"))
        if days[0] <= file.parent.name <= days[1]
    ]
    if not found:
        return pd.DataFrame()
    rows = pd.concat(found, ignore_index=True)
    return rows[(rows[TIME] >= start) & (rows[TIME] < end)].sort_values(TIME, kind="stable", ignore_index=True)


def moment(text: str) -> datetime:
    """A time as Azure ML writes it; without a zone it is UTC."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-window-start", type=moment, required=True)
    parser.add_argument("--data-window-end", type=moment, required=True)
    parser.add_argument("--input-data", type=Path, required=True, help="folder in the lake below which jobs write")
    parser.add_argument("--preprocessed-data", type=Path, required=True, help="folder for the MLTable")
    args = parser.parse_args()
    rows = collect(args.input_data, args.data_window_start, args.data_window_end)
    args.preprocessed_data.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(args.preprocessed_data / "rows.parquet", index=False)
    (args.preprocessed_data / "MLTable").write_text(MLTABLE, encoding="utf-8", newline="\n")
    print(f"{len(rows):,} rows")


if __name__ == "__main__":
    main()
