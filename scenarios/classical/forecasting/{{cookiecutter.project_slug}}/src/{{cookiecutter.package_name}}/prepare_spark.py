"""Step 1 with Spark, for more airports than one machine holds: the same checks and the same split as prepare.py.

Azure ML runs it where config says `compute.steps.prepare.component: prepare-spark.yml`. Spark starts a file and not a
module, so that the imports name the package.
"""

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from mlops_runtime.contract import Contract

from {{ cookiecutter.package_name }} import data, spark
from {{ cookiecutter.package_name }}.data import AIRPORT, DATE
from {{ cookiecutter.package_name }}.prepare import arguments

DAY = 24 * 60 * 60 * 1_000_000  # microseconds


def load(session: SparkSession, raw_data: str, contract: Contract) -> tuple[DataFrame, int, int]:
    """The rows of complete airports, and the first and last day (days since 1970); ContractError as `data.load`."""
    frame = spark.load(session, raw_data, contract)
    moment = sql.unix_micros(DATE)
    day = sql.floor(moment / DAY)
    first, last = frame.agg(sql.min(day), sql.max(day)).collect()[0]
    airports = frame.groupBy(AIRPORT).agg(
        sql.count_distinct(day).alias("days"),
        sql.count("*").alias("rows"),
        sql.sum((moment % DAY != 0).cast("int")).alias("odd"),
    )
    complete = (sql.col("odd") == 0) & (sql.col("rows") == sql.col("days")) & (sql.col("days") == last - first + 1)
    if broken := airports.where(~complete).orderBy(AIRPORT).take(spark.SHOWN):
        rows = frame.where(sql.col(AIRPORT).isin([row[AIRPORT] for row in broken])).toPandas()
        days = pd.Timestamp(first, unit="D"), pd.Timestamp(last, unit="D")
        data.to_series(rows, source=raw_data.rstrip("/").rpartition("/")[2], days=days)  # says what is wrong
    return frame, first, last


def prepare(
    session: SparkSession, raw_data: str, contract: Contract, test_fraction: float, horizon: int
) -> tuple[DataFrame, DataFrame, str]:
    """The training and the test rows, and the version of both together."""
    frame, first, last = load(session, raw_data, contract)
    version = spark.version(frame)
    until = (last - data.days_to_test(last - first + 1, test_fraction, horizon)) * DAY
    moment = sql.unix_micros(DATE)
    train, test = frame.where(moment <= until), frame.where(moment > until)
    return train.orderBy(DATE, AIRPORT), test.orderBy(DATE, AIRPORT), version


def main() -> None:
    args = arguments().parse_args()
    session = spark.session()
    contract = spark.read_contract(session, args.contract)
    train, test, version = prepare(session, args.raw_data, contract, args.test_fraction, args.horizon)
    spark.finish({"train": (train, args.train_data), "test": (test, args.test_data)}, contract, version, DATE)


if __name__ == "__main__":
    main()
