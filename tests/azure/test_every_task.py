"""Every task deploys to every target and back."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ..tasks import BY_NAME
from .cloud import Cloud
from .jobs import JobScript
from .shell import Shell
from .test_batch import KIND, RIGHT, SCRIPT, default
from .world import World, copy

pytestmark = pytest.mark.full


@pytest.mark.parametrize("target", ["online", "batch", "kubernetes"])
@pytest.mark.parametrize("task", list(BY_NAME))
def test_deploy_and_back(
    deployed: Callable[[str, str], Path], cloud: Cloud, shell: Shell, tmp_path: Path, task: str, target: str
) -> None:
    world = World(copy(deployed(task, target), tmp_path / "project"), cloud, shell)
    if target == "batch":
        (world.root / "src/taxi_fares/score.py").write_text(SCRIPT, encoding="utf-8")
        cloud.jobs.plan(JobScript(outputs={"score": {"predictions.csv": RIGHT}}), world.endpoint)
    for colour in ("blue", "green"):
        world.behave(colour)

    def serving() -> str:
        return default(world) if target == "batch" else str(world.traffic)

    served = []
    for version in ("1", "2"):
        world.model(version)
        done = world.deploy()
        assert done.code == 0, done.said
        served.append(serving())
    assert served[0] != served[1]
    made = list(cloud.arm.below(f"{world.workspace.id}/{KIND if target == 'batch' else 'onlineEndpoints'}"))
    assert made
    done = world.mlops("rollback", "--env", "dev")
    assert done.code == 0, done.said
    assert serving() == served[0]
