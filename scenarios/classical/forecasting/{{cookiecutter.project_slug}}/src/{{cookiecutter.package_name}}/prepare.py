"""Step 1: check the raw data against its contract, look for missing days, split by time."""

import argparse
from pathlib import Path

from mlops_runtime.contract import Contract
from mlops_runtime.tracking import start_step

from . import data


def prepare(raw_data: Path, contract: Contract, test_fraction: float, horizon: int) -> tuple[data.Table, data.Table]:
    """The training and the test table. Columns that the contract does not name are left out."""
    frame, version = data.load(raw_data, contract), data.version(raw_data)
    train, test = data.split(frame, test_fraction, horizon)
    return data.Table(train, contract, version), data.Table(test, contract, version)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw-data", type=Path, required=True, help="Parquet or CSV file")
    parser.add_argument("--contract", type=Path, required=True, help="what is promised of its columns")
    parser.add_argument("--test-fraction", type=float, required=True, help="share of the latest days to test on")
    parser.add_argument("--horizon", type=int, required=True, help="days that a forecast covers")
    parser.add_argument("--train-data", type=Path, required=True, help="folder to write")
    parser.add_argument("--test-data", type=Path, required=True, help="folder to write")
    args = parser.parse_args()

    train, test = prepare(args.raw_data, Contract.load(args.contract), args.test_fraction, args.horizon)
    train.save(args.train_data)
    test.save(args.test_data)
    for name, table in (("train", train), ("test", test)):
        print(f"{name}: {len(table.series)} days of {table.series.shape[1]} airports, {table.period}")
    with start_step("prepare"):
        import mlflow

        mlflow.log_params({"data_version": train.version, "train_period": train.period, "test_period": test.period})
        mlflow.log_metrics({"train_rows": len(train.frame), "test_rows": len(test.frame)})


if __name__ == "__main__":
    main()
