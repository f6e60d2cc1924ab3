"""Jobs that the workspace starts by itself: created where they are missing, replaced where they changed."""

from pathlib import Path
from typing import TYPE_CHECKING

from mlops_runtime import cloud, register
from mlops_runtime.cloud.assets import Assets, digest
from mlops_runtime.cloud.errors import explained
from mlops_runtime.cloud.jobs import overrides
from mlops_runtime.cloud.models import Registered
from mlops_runtime.config import Config, Scalar, read_yaml

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

WATCH = Path("mlops", "azureml", "monitor", "schedule.yml")
TRAIN = Path("mlops", "azureml", "train", "schedule.yml")  # where models are trained again by themselves
CONTENT = "content"  # tag: what the schedule was made from


def watch(settings: Config, client: "MLClient", model: Registered, collected: str) -> None:
    """Have what a deployment of this model collects at `collected` compared with what the model was accepted on."""
    values: dict[str, Scalar] = {"model": model.reference, "model_version": model.version, "collected": collected}
    _ensure(client, settings, WATCH, values, {})


def train(settings: Config, client: "MLClient") -> None:
    """Have the model trained again on newer data, if this repository wants that."""
    if (settings.root / TRAIN).is_file():
        _ensure(client, settings, TRAIN, dict(settings.training), register.provenance())


def _ensure(
    client: "MLClient", settings: Config, schedule: Path, values: dict[str, Scalar], variables: dict[str, str]
) -> None:
    file = settings.root / schedule
    pipeline = file.parent / read_yaml(file)["create_job"]
    ensure(client, file, overrides(settings, pipeline, values, Assets(client), variables))


def ensure(client: "MLClient", file: Path, changed: dict[str, Scalar]) -> bool:
    """Make the schedule of a YAML file run its pipeline with what is overridden; False when it does already."""
    from azure.core.exceptions import ResourceNotFoundError

    content = read_yaml(file)
    pipeline = file.parent / content["create_job"]
    version = digest(file, pipeline, *(f"{key}={value}" for key, value in sorted(changed.items())))
    with explained(f"To schedule {content['name']}"):
        try:
            there = client.schedules.get(content["name"])
            if there.is_enabled and (there.tags or {}).get(CONTENT) == version:
                return False
        except ResourceNotFoundError:
            pass
        schedule = cloud.load(file)
        schedule.create_job = cloud.load(pipeline, changed)
        schedule.tags = {CONTENT: version}
        client.schedules.begin_create_or_update(schedule).result()
    print(f"Scheduled {content['name']}: {content['trigger']['expression']}")
    return True
