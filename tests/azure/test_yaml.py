"""Azure ML accepts what every task and target says of endpoints and deployments; `mlops check` finds faults in it."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from ..tasks import BY_NAME
from .shell import Shell
from .world import copy

pytestmark = pytest.mark.full
TARGETS = ["online", "batch", "kubernetes"]
OWN = {
    "online": {"mlops/azureml/deploy/deployment.yml"},
    "batch": {"mlops/azureml/deploy/deployment.yml", "mlops/azureml/monitor/preprocess.yml"},
    "kubernetes": {"mlops/azureml/deploy/deployment.yml", "mlops/azureml/deploy/instance-types.yml"},
}
REST = """
from azure.ai.ml import load_job
from mlops_runtime import cli, cloud, config, release

assert cli.main(["check"]) == 0
steps = load_job("mlops/azureml/train/pipeline.yml")._to_rest_object().properties.jobs
assert sorted(steps) == ["evaluate", "prepare", "register", "train"], steps
for environment in config.ENVIRONMENTS:
    settings = config.load(environment)
    changes = release.changes(settings)
    endpoint = cloud.load(settings.root / release.ENDPOINT, changes[release.ENDPOINT])
    kind = "batch" if hasattr(endpoint, "_to_rest_batch_endpoint") else "online"
    rest = getattr(endpoint, f"_to_rest_{kind}_endpoint")(location="here").as_dict()
    assert endpoint.name == f"taxi-fares-{environment}", endpoint.name
    sign_in = "amltoken" if hasattr(endpoint, "compute") else "aadtoken"  # on Kubernetes there is no other without keys
    assert rest["properties"]["authMode"].lower() == sign_in, rest
    deployment = cloud.load(settings.root / release.DEPLOYMENT, changes[release.DEPLOYMENT])
    print(environment, deployment._to_rest_object(location="here").as_dict()["properties"])
"""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("task", list(BY_NAME))
def test_becomes_rest_objects(baked: Callable[..., Path], shell: Shell, task: str, target: str, tmp_path: Path) -> None:
    done = shell.run("python", REST, cwd=copy(baked(task, target), tmp_path / "project"))
    assert done.code == 0, done.said
    assert "score.py" in done.said or "batch.py" in done.said
    assert done.said.count("✓") == 9


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_target_adds(baked: Callable[..., Path], target: str) -> None:
    found = {
        one: {path.relative_to(baked("classification", one)).as_posix() for path in files(baked("classification", one))}
        for one in TARGETS
    }
    shared = set.intersection(*found.values())
    own = {name for name in found[target] - shared if not name.startswith("src/")}
    assert own | {"mlops/azureml/deploy/deployment.yml"} == OWN[target]


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


FAULTS = {
    "type": ("mlops/azureml/deploy/deployment.yml", "scoring_script: ", "scoring_script: no-", "no-"),
    "environment": ("mlops/azureml/deploy/deployment.yml", "-serve@latest", "-served@latest", "served"),
    "code": ("mlops/azureml/deploy/deployment.yml", "code: ../../../src", "code: ../../src", "code: ../../src"),
    "key": ("mlops/azureml/deploy/deployment.yml", "endpoint_name:", "endpont_name:", "endpoint"),
    "endpoint": ("mlops/azureml/deploy/endpoint.yml", "auth_mode: ", "auth_mode: no-", "auth_mode"),
    "config": ("config/prod.yml", "  settings:\n", "  settings:\n    instance_count_: 2\n", "config/prod.yml"),
    "name": ("config/prod.yml", "name: taxi-fares-prod", "name: 1-taxi", "name must have 3 to 32"),
    "schema": ("config/shared.yml", "retention_days: 90", "retention_days: 0", "deployment.collection.retention_days"),
    "step": ("mlops/azureml/train/train.yml", "type: command", "type: comand", "comand"),
    "component": (
        "mlops/azureml/train/pipeline.yml",
        "component: ./train.yml",
        "component: ./trainn.yml",
        "trainn.yml",
    ),
    "unknown": ("config/dev.yml", "location:", "loction:", "loction"),
    "contract": ("data/contract.yml", "type: number", "type: numbr", "numbr"),
    "conda to train": ("mlops/azureml/environments/conda.yml", "numpy", "numpie", "out of date"),
    "conda": ("mlops/azureml/environments/serve-conda.yml", "numpy", "numpie", "out of date"),
}


@pytest.mark.parametrize(("name", "target"), list(zip(FAULTS, itertools.cycle(TARGETS), strict=False)))
def test_check_finds(baked: Callable[..., Path], shell: Shell, name: str, target: str, tmp_path: Path) -> None:
    file, old, new, said = FAULTS[name]
    root = copy(baked("classification", target), tmp_path / "project")
    path = root / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    done = shell.run("mlops", "check", cwd=root)
    assert done.code == 1, done.said
    assert said in done.said
