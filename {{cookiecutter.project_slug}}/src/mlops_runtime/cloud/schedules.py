"""Jobs that the workspace starts by itself: created where they are missing, replaced where they changed."""

from pathlib import Path
from typing import TYPE_CHECKING

from mlops_runtime import cloud
from mlops_runtime.cloud.assets import digest
from mlops_runtime.cloud.errors import explained
from mlops_runtime.config import Scalar, read_yaml

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

CONTENT = "content"  # tag: what the schedule was made from


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
