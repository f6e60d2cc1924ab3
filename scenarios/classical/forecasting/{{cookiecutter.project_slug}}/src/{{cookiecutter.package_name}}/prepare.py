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


def arguments() -> argparse.ArgumentParser:
    """The command line of this step, on one machine or with Spark: places are texts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw-data", required=True, help="Parquet or CSV")
    parser.add_argument("--contract", required=True, help="what is promised of its columns")
    parser.add_argument("--test-fraction", type=float, required=True, help="share of the latest days to test on")
    parser.add_argument("--horizon", type=int, required=True, help="days that a forecast covers")
    parser.add_argument("--train-data", required=True, help="folder to write")
    parser.add_argument("--test-data", required=True, help="folder to write")
    return parser


def main() -> None:
    args = arguments().parse_args()
    train, test = prepare(Path(args.raw_data), Contract.load(Path(args.contract)), args.test_fraction, args.horizon)
    train.save(Path(args.train_data))
    test.save(Path(args.test_data))
    for name, table in (("train", train), ("test", test)):
        print(f"{name}: {len(table.series)} days of {table.series.shape[1]} airports, {table.period}")
    with start_step("prepare"):
        import mlflow

        mlflow.log_params({"data_version": train.version, "train_period": train.period, "test_period": test.period})
        mlflow.log_metrics({"train_rows": len(train.frame), "test_rows": len(test.frame)})


if __name__ == "__main__":
    main()
