"""Steps as config wants them: what is refused before anything is sent. What is sent is in tests/azure/test_scale.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlops_runtime import config
from mlops_runtime.cloud import jobs
from mlops_runtime.cloud.assets import Assets
from mlops_runtime.errors import Problem

SPARK = {"component": "prepare-spark.yml", "instance_type": "standard_e8s_v3"}
LAKE = "azureml://datastores/gold/paths/flights"
TRAIN = "mlops/azureml/train/pipeline.yml"


def sweep(metric: str = "loss", **searched: Any) -> dict[str, Any]:
    """A sweep over these settings, by default over the seed."""
    space = searched or {"seed": {"type": "choice", "values": [0, 1]}}
    limits = {"max_total_trials": 2}
    return {"search_space": space, "objective": {"goal": "minimize", "primary_metric": metric}, "limits": limits}


def overrides(root: Path, steps: dict[str, Any], pipeline: str = TRAIN, **data: str) -> dict[str, Any]:
    """What differs from a pipeline's YAML when config says this."""
    shared = config.load_shared(root / "config/shared.yml")
    own = config.read_section(root / "config/dev.yml", config.EnvironmentSettings)
    given = {"root": root, "environment": "dev", "compute": {"default": "cpu-cluster", "steps": steps}, "data": data}
    given |= {"infrastructure": shared.infrastructure, "estate": own.infrastructure, "deployment": config.Section()}
    settings = config.Config.model_validate({**dict(shared), **dict(own), **given})
    return jobs.overrides(settings, root / pipeline, {}, Assets(None), {})


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no step": ({"trian": {"instances": 2}}, r"compute\.steps\.trian: no pipeline has such a step; .*train, watch"),
    "no setting": ({"train": {"sweep": sweep(depth={})}}, r"search_space\.depth: .*it has family, trials, seed"),
    "data": ({"train": {"sweep": sweep(train_data={})}}, r"search_space\.train_data: the step has no such setting"),
    "metric": ({"train": {"sweep": sweep("accuracy_of_mine")}}, r"primary_metric: nothing in src/taxi_fares logs"),
    "both": ({"train": {"sweep": sweep(), "processes_per_instance": 2}}, "remove it"),
    "alone": ({"train": {"processes_per_instance": 2}}, "reads WORLD_SIZE: each process would do the whole work"),
    "no file": ({"prepare": {"component": "spark.yml"}}, r"compute\.steps\.prepare\.component: .*does not exist"),
    "no stand-in": ({"prepare": {"component": "train.yml"}}, r"its inputs must be those of prepare\.yml; .*raw_data"),
    "no machine": ({"prepare": {"component": "prepare-spark.yml"}}, "Spark needs an instance_type"),
    "spark sweep": ({"prepare": {**SPARK, "sweep": sweep()}}, "a Spark step has neither sweep"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named(baked: Callable[..., Path], name: str) -> None:
    steps, said = FAULTS[name]
    with pytest.raises(Problem, match=said):
        overrides(baked("classification"), steps, raw_data=LAKE)


@pytest.mark.parametrize("key", ["search_spaces", "objective.target", "limits.max_total_trials"])
def test_schema_of_a_sweep(key: str) -> None:
    content = sweep()
    *path, last = key.split(".")
    inside = content
    for part in path:
        inside = inside[part]
    inside[last] = "many"
    with pytest.raises(ValueError, match=last):
        config.Sweep.model_validate(content)


def test_spark_wants_the_lake(baked: Callable[..., Path]) -> None:
    """The sample is one file and an asset; many files are a folder."""
    root = baked("classification")
    with pytest.raises(Problem, match=r"reads a uri_folder, and raw_data is .*flights\.parquet: name a folder"):
        overrides(root, {"prepare": SPARK})
    changed = overrides(root, {"prepare": SPARK}, raw_data=LAKE)
    assert (changed["inputs.raw_data.path"], changed["inputs.raw_data.type"]) == (LAKE, "uri_folder")


def test_spark_on_an_attached_pool(baked: Callable[..., Path]) -> None:
    pool = {"component": "prepare-spark.yml", "compute": "pool", "conf": {"spark.executor.memory": "8g"}}
    node = overrides(baked("classification"), {"prepare": pool}, raw_data=LAKE)["jobs.prepare"]
    assert node["compute"] == "azureml:pool"
    assert "resources" not in node
    assert (node["conf"]["spark.executor.memory"], node["conf"]["spark.driver.memory"]) == ("8g", "28g")


def test_steps_of_one_pipeline_are_no_trouble_for_another(baked: Callable[..., Path]) -> None:
    changed = overrides(baked("classification"), {"train": {"instances": 2}}, "mlops/azureml/monitor/pipeline.yml")
    assert not [key for key in changed if "resources" in key]
