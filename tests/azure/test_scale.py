"""Steps on more machines, as a sweep and with Spark, by config alone: what reaches Azure ML, through the real SDK."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..tasks import BY_NAME
from .cloud import Cloud
from .shell import Shell
from .wire import Json
from .world import World, copy

pytestmark = pytest.mark.full
SPARK = {"component": "prepare-spark.yml", "instance_type": "standard_e8s_v3", "instances": 4}
LAKE = {"raw_data": "azureml://datastores/gold/paths/flights"}
SWEEP = {
    "search_space": {"family": {"type": "choice", "values": ["ridge", "lasso"]}},
    "objective": {"goal": "minimize", "primary_metric": "loss"},
    "limits": {"max_total_trials": 4, "max_concurrent_trials": 2, "timeout": 3600},
    "early_termination": {"type": "median_stopping", "evaluation_interval": 1, "delay_evaluation": 2},
}
GPU = {"compute": "gpu-cluster", "instance_type": "Standard_NC4as_T4_v3", "instances": 2, "processes_per_instance": 4}


def configure(root: Path, steps: Json, default: str = "cpu-cluster", data: Json | None = None) -> None:
    """Write `compute:` and `data:` of dev."""
    file = root / "config/dev.yml"
    content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    content |= {"compute": {"default": default, "steps": steps}, "data": data or {}}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")


def example(root: Path) -> Json:
    """What the README gives as an example."""
    section = (root / "README.md").read_text(encoding="utf-8").partition("## On Azure ML, at scale")[2]
    return dict(yaml.safe_load(re.findall("```yaml\n(.*?)```", section, re.DOTALL)[0]))


def begin(task: str, baked: Callable[..., Path], cloud: Cloud, shell: Shell, folder: Path) -> World:
    return World(copy(baked(task, "online"), folder / "project"), cloud, shell)


def submit(world: World) -> Json:
    """The job that is sent."""
    done = world.mlops("submit", "--env", "dev")
    assert done.code == 0, done.said
    sent = world.cloud.requests("PUT", r"/jobs/[^/]+$")
    return dict(sent[-1].json["properties"])


def test_spark_then_sweep(baked: Callable[..., Path], cloud: Cloud, shell: Shell, tmp_path: Path) -> None:
    """Data preparation with Spark, training as a sweep, the rest on serverless compute; the YAML stays as it is."""
    world = begin("classification", baked, cloud, shell, tmp_path)
    train = {"instance_type": "Standard_DS4_v2", "sweep": SWEEP}
    steps = {"prepare": SPARK, "train": train, "evaluate": {"instance_type": "Standard_E8s_v3"}}
    configure(world.root, steps, default="serverless", data=LAKE)
    checked = world.mlops("check")
    assert checked.code == 0, checked.said
    dry = world.mlops("submit", "--env", "dev", "--dry-run")
    assert re.search(r"jobs.train: .*'type': 'sweep'", dry.said), dry.said
    assert re.search(r"jobs.prepare: .*'runtime_version': '3.5'", dry.said)
    assert not world.cloud.log, "nothing was sent"

    job = submit(world)
    assert job["settings"]["default_compute"].endswith("/computes/serverless"), "as for `azureml:serverless` in YAML"
    assert job["inputs"]["raw_data"]["jobInputType"] == "uri_folder", "as the Spark component reads it"
    prepare, sweep, evaluate = (job["jobs"][name] for name in ("prepare", "train", "evaluate"))
    assert prepare["type"] == "spark"
    assert re.search(r"/components/prepare_spark/versions/[0-9a-f]{12}$", prepare["componentId"])
    assert prepare["resources"] == {"instance_type": "standard_e8s_v3", "runtime_version": "3.5"}
    assert prepare["conf"]["spark.executor.instances"] == 4
    assert prepare["conf"]["spark.driver.memory"] == "28g", "the component's, where config is silent"
    assert prepare["identity"] == {"identity_type": "Managed"}
    assert set(prepare["inputs"]) == {"raw_data", "contract", "target", "test_fraction"}
    assert sweep["type"] == "sweep"
    assert "componentId" not in sweep
    assert re.search(r"/components/train/versions/[0-9a-f]{12}$", sweep["trial"]["componentId"])
    assert sweep["search_space"] == SWEEP["search_space"]
    assert sweep["objective"] == SWEEP["objective"]
    assert sweep["limits"]["max_total_trials"] == 4
    assert sweep["sampling_algorithm"] == "random"
    assert sweep["early_termination"]["policy_type"] == "MedianStopping"
    assert set(sweep["inputs"]) == {"train_data", "trials", "seed"}, "what is searched is no input"
    assert sweep["resources"] == {"instance_type": "Standard_DS4_v2", "instance_count": 1}
    assert evaluate["resources"] == {"instance_type": "Standard_E8s_v3", "instance_count": 1}
    assert job["jobs"]["register"]["environment_variables"], "the step that needs to know of the commit does"
    (made,) = world.cloud.requests("PUT", "/components/prepare_spark/versions/")
    spark = made.json["properties"]["componentSpec"]
    assert spark["entry"]["file"] == "taxi_fares/prepare_spark.py"
    assert {one["mode"].lower() for one in spark["outputs"].values()} == {"direct"}

    again = world.mlops("submit", "--env", "dev")
    assert "Registered" not in again.said, "Spark's component and environment have content versions too"


@pytest.mark.parametrize("task", ["image-classification", "text-classification"])
def test_distributed(baked: Callable[..., Path], cloud: Cloud, shell: Shell, tmp_path: Path, task: str) -> None:
    world = begin(task, baked, cloud, shell, tmp_path)
    world.cloud.arm.add_compute(world.workspace, "gpu-cluster")
    configure(world.root, {"train": GPU})
    checked = world.mlops("check")
    assert checked.code == 0, checked.said
    steps = submit(world)["jobs"]
    assert steps["train"]["distribution"] == {"distribution_type": "PyTorch", "process_count_per_instance": 4}
    assert steps["train"]["resources"] == {"instance_type": "Standard_NC4as_T4_v3", "instance_count": 2}
    assert steps["train"]["computeId"].endswith("/computes/gpu-cluster")
    assert not {"distribution", "resources", "computeId"} & set(steps["evaluate"]), "only the step that config names"


@pytest.mark.parametrize("task", list(BY_NAME))
def test_the_readmes_example(baked: Callable[..., Path], shell: Shell, tmp_path: Path, task: str) -> None:
    """Azure ML's schema accepts it."""
    root = copy(baked(task, "online"), tmp_path / "project")
    given = example(root)
    configure(root, given["compute"]["steps"], given["compute"]["default"], given.get("data"))
    done = shell.run("mlops", "check", cwd=root)
    assert done.code == 0, done.said
    assert given["compute"]["steps"]["train"]["sweep"]


FAULTS: dict[str, tuple[Json, str]] = {
    "distribution": ({"train": {"sweep": {**SWEEP, "search_space": {"family": {"type": "chance"}}}}}, "max_value"),
    "limits": ({"train": {"sweep": {**SWEEP, "limits": {"max_trials": 4}}}}, "limits"),
    "machine": ({"prepare": {**SPARK, "instance_type": "Standard_DS4_v2"}}, "instance_type"),
    "policy": ({"train": {"sweep": {**SWEEP, "early_termination": {"type": "bored"}}}}, "early_termination"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_check_asks_the_sdk(baked: Callable[..., Path], shell: Shell, tmp_path: Path, fault: str) -> None:
    steps, said = FAULTS[fault]
    root = copy(baked("classification", "online"), tmp_path / "project")
    configure(root, steps, data=LAKE)
    done = shell.run("mlops", "check", cwd=root)
    assert done.code == 1, done.said
    assert "✗ compute" in done.said
    assert "config/dev.yml: compute: " in done.said
    assert said in done.said
