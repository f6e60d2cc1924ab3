"""Tables that one machine does not hold: read, held against their contract and written with Spark.

Places are addresses as Spark reads them: folders of the lake, or paths. `prepare_spark.py` is the step; what it writes,
`data.Table.load` reads.
"""

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from mlops_runtime.contract import Contract, ContractError, Type
from mlops_runtime.errors import Problem
from mlops_runtime.tracking import start_step

SOURCE = Path(__file__).resolve().parents[1]
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",  # times stay what is written
    "spark.sql.legacy.parquet.nanosAsLong": "true",  # pandas writes nanoseconds, which Spark has no type for
    "spark.sql.parquet.outputTimestampType": "INT96",  # which pandas reads as it reads its own times
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
}
TYPES: dict[Type, str] = {
    "string": "string",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "datetime": "timestamp",
    "bytes": "binary",
}
FAULT = "_fault"  # column: what is wrong with a part of the rows
SHOWN = 3  # examples in a message

Parts = Iterator[pd.DataFrame]


def session() -> SparkSession:
    """Spark, whose workers import this project's code."""
    spark = SparkSession.builder.getOrCreate()
    for key, value in SETTINGS.items():
        spark.conf.set(key, value)
    archive = Path(tempfile.mkdtemp(), "code")  # Spark reads it as long as it runs
    spark.sparkContext.addPyFile(shutil.make_archive(str(archive), "zip", SOURCE))
    return spark


def read_contract(spark: SparkSession, place: str) -> Contract:
    """The contract at an address."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, PurePosixPath(place).name)
        file.write_text(spark.read.text(place, wholetext=True).collect()[0][0], encoding="utf-8")
        return Contract.load(file)


def load(spark: SparkSession, place: str, contract: Contract) -> DataFrame:
    """The contract's columns of a Parquet or CSV file, or of a folder of them; ContractError says what breaks it."""
    source = PurePosixPath(place).name
    kinds = {PurePosixPath(name).suffix for name in _files(spark, place)}
    if kinds == {".parquet"}:
        raw = spark.read.parquet(place)
    elif kinds == {".csv"}:
        raw = spark.read.csv(place, header=True, escape='"', multiLine=True)
    else:
        found = ", ".join(sorted(kinds)) or "nothing"
        raise Problem(f"{source} must be Parquet files or CSV files by their names, of one kind; it has {found}.")
    contract.validate_shape(raw.columns, raw.count(), source)
    raw = raw.select([_readable(raw, name, column.type) for name, column in contract.columns.items()])
    schema = ", ".join(f"`{name}` {TYPES[column.type]}" for name, column in contract.columns.items())
    checked = raw.mapInPandas(_check(contract, kinds == {".csv"}), f"{schema}, {FAULT} string").persist()
    faults = checked.where(sql.col(FAULT).isNotNull()).select(FAULT)
    if broken := faults.count():
        more = f"\n  and {broken - 1} more parts of the rows break it" if broken > 1 else ""
        raise ContractError(f"{source} breaks the contract {contract.name}:\n{faults.take(1)[0][0]}{more}")
    _require_unique(checked, contract, source)
    return checked.drop(FAULT)


def _readable(raw: DataFrame, name: str, kind: Type) -> Any:
    """A column as pandas takes it: times as times."""
    column, found = sql.col(f"`{name}`"), raw.schema[name].dataType.typeName()
    if kind == "datetime" and found == "long":
        column = sql.timestamp_micros(sql.expr(f"`{name}` div 1000"))
    elif kind == "datetime" and found in ("date", "timestamp_ntz"):
        column = column.cast("timestamp")
    return column.alias(name)


def _check(contract: Contract, texts: bool) -> Callable[[Parts], Parts]:
    """What holds each part of the rows against the contract; `texts`: as CSV has them, pandas finds out the types."""
    part = contract.model_copy(update={"min_rows": 1, "unique": []})  # these are about all rows
    strings: dict[Hashable, Any] = {name: str for name, column in contract.columns.items() if column.type == "string"}

    def check(frames: Parts) -> Parts:
        for frame in frames:
            if frame.empty:
                continue
            given = pd.read_csv(io.StringIO(frame.to_csv(index=False)), dtype=strings) if texts else frame
            try:
                yield part.validate_table(given).assign(**{FAULT: None})
            except ContractError as error:
                said = str(error).partition("\n")[2] or str(error)
                yield pd.DataFrame({FAULT: [said]}, columns=[*contract.columns, FAULT], dtype=object)

    return check


def _require_unique(frame: DataFrame, contract: Contract, source: str) -> None:
    if not contract.unique:
        return
    twice = frame.groupBy(*contract.unique).count().where(sql.col("count") > 1)
    if number := twice.count():
        examples = ", ".join(str(tuple(row)[:-1]) for row in twice.orderBy(*contract.unique).take(SHOWN))
        names = ", ".join(contract.unique)
        raise ContractError(
            f"{source} breaks the contract {contract.name}:\n"
            f"  column {names}: must be unique: {number} value(s), for example {examples}"
        )


def version(frame: DataFrame) -> str:
    """12 digits that depend on the rows alone: not on their order, their files or the files' names."""
    columns = [sql.col(f"`{name}`") for name in frame.columns]
    digest = sql.xxhash64(*columns, *(sql.isnull(column) for column in columns)).cast("decimal(38,0)")
    rows, total = frame.agg(sql.count("*"), sql.sum(digest)).collect()[0]
    return hashlib.sha256(f"{frame.columns} {rows} {total}".encode()).hexdigest()[:12]


def finish(parts: dict[str, tuple[DataFrame, str]], contract: Contract, version: str, time: str) -> None:
    """Save the parts, name → (rows in order of time, place), and track what they are."""
    params, metrics = {"data_version": version}, {}
    for name, (frame, place) in parts.items():
        metrics[f"{name}_rows"] = save(frame, contract, version, place)
        params[f"{name}_period"] = _period(frame, time)
        print(f"{name}: {metrics[f'{name}_rows']:,} rows, {params[f'{name}_period']}")
    if "MLFLOW_TRACKING_URI" in os.environ:  # Azure ML sets it
        with start_step("prepare"):
            import mlflow

            mlflow.log_params(params)
            mlflow.log_metrics(metrics)


def save(frame: DataFrame, contract: Contract, version: str, place: str) -> int:
    """Write the rows as they are ordered, with their contract and version, as `data.Table.save` does; how many rows."""
    frame.write.mode("overwrite").parquet(f"{place}/data.parquet")
    rows = int(frame.count())
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "contract.yml")
        contract.save(file)
        _write(frame.sparkSession, f"{place}/contract.yml", file.read_text(encoding="utf-8"))
    facts = json.dumps({"version": version, "rows": rows}, indent=2)
    _write(frame.sparkSession, f"{place}/data.json", facts + "\n")
    return rows


def _period(frame: DataFrame, time: str) -> str:
    """From when to when, for people."""
    ends = [sql.date_format(end(time), "yyyy-MM-dd") for end in (sql.min, sql.max)]
    return " to ".join(frame.agg(*ends).collect()[0])


def _files(spark: SparkSession, place: str) -> list[str]:
    """The names of what is at an address, without what Spark passes over."""
    path, system = _system(spark, place)
    root, found, names = str(system.getFileStatus(path).getPath()), system.listFiles(path, True), []
    while found.hasNext():
        name = str(found.next().getPath())
        if not any(part.startswith(("_", ".")) for part in PurePosixPath(name.removeprefix(root)).parts):
            names.append(name)
    return names


def _write(spark: SparkSession, place: str, text: str) -> None:
    path, system = _system(spark, place)
    stream = system.create(path, True)
    stream.write(bytearray(text.encode()))
    stream.close()


def _system(spark: SparkSession, place: str) -> tuple[Any, Any]:
    """An address and its file system, through the JVM: a driver's Python knows only its own disk."""
    path = spark._jvm.org.apache.hadoop.fs.Path(place)
    return path, path.getFileSystem(spark._jsc.hadoopConfiguration())
