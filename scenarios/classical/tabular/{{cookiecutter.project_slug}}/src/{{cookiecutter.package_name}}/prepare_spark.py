"""Step 1 with Spark, for more rows than one machine holds: the same checks and the same split as prepare.py.

Azure ML runs it where config says `compute.steps.prepare.component: prepare-spark.yml`. Spark starts a file and not a
module, so that the imports name the package.
"""

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as sql

from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from {{ cookiecutter.package_name }} import data, spark
from {{ cookiecutter.package_name }}.prepare import arguments


def split(frame: DataFrame, contract: Contract, test_fraction: float) -> tuple[DataFrame, DataFrame]:
    """What `data.split` does, with the same moment between both parts. Rows of one moment are ordered by their id."""
    time = data.time_column(contract)
    if time is None:
        raise Problem(f"The contract {contract.name} has no column with the role time: Spark needs one to order rows.")
    moment = sql.unix_micros(time)
    rows = frame.count()
    counted = frame.groupBy(moment.alias("moment")).count()
    until = counted.withColumn("until", sql.sum("count").over(Window.orderBy("moment")))
    first = until.where(sql.col("until") > data.first_to_test(rows, test_fraction)).orderBy("moment").take(1)[0]
    train_rows = first["until"] - first["count"]
    data.require_rows(train_rows, rows - train_rows, test_fraction)
    ordered = [time, *contract.names("id")]
    train, test = frame.where(moment < first["moment"]), frame.where(moment >= first["moment"])
    return train.orderBy(*ordered), test.orderBy(*ordered)


def prepare(
    session: SparkSession, raw_data: str, contract: Contract, target: str, test_fraction: float
) -> tuple[DataFrame, DataFrame, Contract, str]:
    """The training and the test rows, the contract of their columns, and the version of both together."""
    contract = data.narrowed(contract, target)
    frame = spark.load(session, raw_data, contract)
    return *split(frame, contract, test_fraction), contract, spark.version(frame)


def main() -> None:
    args = arguments().parse_args()
    session = spark.session()
    contract = spark.read_contract(session, args.contract)
    train, test, contract, version = prepare(session, args.raw_data, contract, args.target, args.test_fraction)
    parts = {"train": (train, args.train_data), "test": (test, args.test_data)}
    spark.finish(parts, contract, version, contract.names("time")[0])


if __name__ == "__main__":
    main()
