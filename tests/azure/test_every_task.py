"""Every task goes from a candidate to production, one of each scenario on every target, once twice and back."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from ..tasks import BY_NAME
from .cloud import Cloud
from .shell import Done, Shell
from .test_batch import KIND, default
from .test_outer_loop import PEOPLE, begin, candidate, looked, plan, registered

pytestmark = pytest.mark.full
TARGETS = ("online", "batch", "kubernetes")
AGAIN = {"classification": "online", "image-classification": "batch", "text-classification": "kubernetes"}
OTHERS = [(task, TARGETS[number % 3]) for number, task in enumerate(BY_NAME) if task not in AGAIN]


@pytest.mark.parametrize(("task", "target"), [*itertools.product(AGAIN, TARGETS), *OTHERS])
def test_from_a_candidate_to_production(
    baked: Callable[..., Path], cloud: Cloud, shell: Shell, tmp_path: Path, task: str, target: str
) -> None:
    world = begin(task, baked, cloud, shell, tmp_path, target)

    def works(*arguments: str, code: int = 0) -> Done:
        done = world.mlops(*arguments)
        assert done.code == code, done.said
        return done

    def serving() -> str:
        return default(world) if target == "batch" else str(world.traffic)

    served = []
    for version in ("1", "2") if target == AGAIN.get(task) else ("1",):
        plan(world)
        works("submit", "--env", "dev", "--wait")
        candidate(world, version)
        works("promote", "--env", "staging", code=1)
        works("promote", "--env", "staging", *PEOPLE)
        parent = version.ljust(12, "0") if BY_NAME[task].scenario != "cv" else ""
        plan(world, parent=parent, version=f"7{version}")
        works("stage", "--env", "staging")
        works("promote", "--env", "prod", *PEOPLE)
        source = f"7{version}" if parent else version.ljust(12, "0")  # cv: the registry's own
        assert registered(world)["source_prod"] == f"staging/{source}"
        world.use("prod")
        works("deploy", "--env", "prod")
        served.append(serving())
    assert list(cloud.arm.below(f"{world.workspace.id}/{KIND if target == 'batch' else 'onlineEndpoints'}"))
    if len(served) == 1:
        return
    assert served[0] != served[1]
    looked(world, "prod")
    assert "Action: retrain" in works("monitor", "--env", "prod", code=1).said
    works("rollback", "--env", "prod")
    assert serving() == served[0]
