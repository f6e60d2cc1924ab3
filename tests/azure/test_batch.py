"""`mlops deploy` and `mlops rollback` on batch endpoints: what they do, what they refuse, and how they recover."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .cloud import Cloud
from .faults import Fault
from .jobs import JobScript
from .shell import Shell
from .world import World, copy, kill

pytestmark = pytest.mark.full
KIND = "batchEndpoints"
PUT_ENDPOINT = r"/batchEndpoints/[^/]+$"
PUT_DEPLOYMENT = r"/batchEndpoints/[^/]+/deployments/[^/]+$"
SCRIPT = '''
"""A scoring script that doubles."""

from pathlib import Path
from types import SimpleNamespace

from mlops_runtime import serving

service = SimpleNamespace(inputs=SimpleNamespace(columns={}))


def init():
    """Nothing to load."""


def run(files):
    return serving.read_table(Path(files[0])).assign(prediction=lambda rows: rows["a"] * 2)
'''
RIGHT = b"1 2\n2 4\n"  # as Azure ML writes tables: with spaces between the columns


@pytest.fixture
def world(baked: Callable[..., Path], cloud: Cloud, shell: Shell, tmp_path: Path) -> World:
    """A project with a batch endpoint and a first model in dev, whose jobs answer as the script does."""
    one = World(copy(baked("classification", "batch"), tmp_path / "project"), cloud, shell)
    (one.root / "src/taxi_fares/score.py").write_text(SCRIPT, encoding="utf-8")
    one.model("1")
    answers(one, RIGHT)
    return one


def answers(world: World, predictions: bytes) -> None:
    """Batch jobs write this."""
    world.cloud.jobs.plan(JobScript(outputs={"score": {"predictions.csv": predictions}}), "taxi-fares-dev")


def default(world: World) -> str:
    """The endpoint's default deployment."""
    found = world.found(kind=KIND) or {"properties": {}}
    return str((found["properties"].get("defaults") or {}).get("deploymentName") or "")


def tags(world: World) -> dict[str, str]:
    """The endpoint's tags."""
    return dict((world.found(kind=KIND) or {}).get("tags") or {})


def test_first_update_unchanged_rollback(world: World) -> None:
    said = world.deploy("--dry-run")
    assert said.code == 0, said.said
    assert "let m-" in said.said
    assert not world.writes()

    first = world.deploy()
    assert first.code == 0, first.said
    one = default(world)
    assert one.startswith("m-")
    made = world.found(f"/deployments/{one}", KIND)
    assert made
    assert made["properties"]["outputAction"] == "AppendRow"
    assert made["properties"]["environmentVariables"]["MLOPS_PACKAGE"] == "taxi_fares"
    assert made["properties"]["errorThreshold"] == 0
    assert tags(world) == {}

    before = len(world.writes())
    again = world.deploy()
    assert "nothing to do" in again.said
    assert len(world.writes()) == before, "nothing was sent"
    assert world.mlops("rollback", "--env", "dev").code == 1

    world.model("2")
    second = world.deploy()
    assert second.code == 0, second.said
    two = default(world)
    assert two != one
    back = world.mlops("rollback", "--env", "dev")
    assert back.code == 0, back.said
    assert default(world) == one
    watch = world.cloud.get("dev", "/schedules/taxi-fares-watch")
    assert watch
    said = watch["properties"]["action"]["jobDefinition"]["inputs"]["model_version"]["value"]
    assert said == "1", "what scores is what is looked at"
    assert world.mlops("rollback", "--env", "dev").code == 0
    assert default(world) == two

    endpoint = f"{world.workspace.id}/batchEndpoints/{world.endpoint}"
    theirs = world.found(f"/deployments/{one}", KIND)
    assert theirs
    world.cloud.arm.put(f"{endpoint}/deployments/of-a-person", {**theirs, "name": "of-a-person", "tags": {}})
    world.model("3")
    third = world.deploy()
    assert third.code == 0, third.said
    assert f"removed {one}" in third.said
    assert world.found(f"/deployments/{two}", KIND)
    assert not world.found(f"/deployments/{one}", KIND)
    assert world.found("/deployments/of-a-person", KIND)


@pytest.mark.parametrize(
    ("predictions", "reason"),
    [(b"1 2\n", "1 rows and not 2"), (b"1\n2\n", "1 columns and not a, prediction"), (b"", "0 rows and not 2")],
)
def test_wrong_answers_are_refused(world: World, predictions: bytes, reason: str) -> None:
    world.deploy()
    one = default(world)
    world.model("2")
    answers(world, predictions)
    done = world.deploy()
    assert done.code == 1, done.said
    assert reason in done.said
    assert f"{one} stays the default" in done.said
    assert default(world) == one
    answers(world, RIGHT)
    again = world.deploy()
    assert again.code == 0, again.said
    assert default(world) != one


def test_failed_job_is_refused(world: World) -> None:
    world.cloud.jobs.plan(JobScript("Failed", failing="batchscoring", log="ValueError: planted"), "taxi-fares-dev")
    done = world.deploy()
    assert done.code == 1, done.said
    assert "planted" in done.said
    assert "The endpoint has no default" in done.said
    assert default(world) == ""


@pytest.mark.parametrize("moment", ["endpoint", "deployment", "job", "default"])
def test_killed_and_run_again(world: World, moment: str) -> None:
    world.deploy()
    one = default(world)
    world.model("2")
    running = []
    where = {"endpoint": (PUT_ENDPOINT, 1), "deployment": (PUT_DEPLOYMENT, 1), "default": (PUT_ENDPOINT, 2)}
    path, nth = where.get(moment, (r"/jobs$", 1))
    method = "POST" if moment == "job" else "PUT"
    world.cloud.faults.add(Fault(method, path, then=lambda _: kill(running[0]), nth=nth))
    running.append(world.start("deploy", "--env", "dev"))
    assert running[0].wait().code != 0
    world.cloud.arm.release()
    world.cloud.arm.settle()
    assert (default(world) == one) == (moment != "default")
    done = world.deploy()
    assert done.code == 0, done.said
    assert default(world) != one
    assert "lease" not in tags(world)
    if moment != "default":
        assert world.mlops("rollback", "--env", "dev").code == 0
        assert default(world) == one


def test_two_at_once(world: World) -> None:
    world.cloud.faults.add(Fault("PUT", PUT_DEPLOYMENT, delay=6))
    one = world.start("deploy", "--env", "dev")
    while "create m-" not in one.said:
        time.sleep(0.05)
    other = world.deploy()
    assert other.code == 1, other.said
    assert "is changing the endpoint" in other.said
    assert one.wait().code == 0
    assert default(world)


def test_failure_is_explained(world: World) -> None:
    fault = Fault("PUT", PUT_DEPLOYMENT, status=400, code="OutOfQuota", message="Not enough quota available.")
    world.cloud.faults.add(fault)
    done = world.deploy()
    assert done.code == 2
    assert "ask for more quota" in done.said
    assert default(world) == ""
    assert world.deploy().code == 0


TRIAL = """
from mlops_runtime import cloud, config, target
from mlops_runtime.cloud import models

settings = config.load("dev")
model = models.choose(cloud.workspace(settings), settings.project.name, None)
for kind, gates in target.trial(settings, model).items():
    print([(kind, gate.passed, gate.reason) for gate in gates])
"""


def test_trial_in_staging(world: World) -> None:
    good = world.shell.run("python", TRIAL, cwd=world.root, **world.environment)
    assert good.code == 0, good.said
    assert "('test deployment', True, 'm-" in good.said
    world.model("2")
    answers(world, b"")
    bad = world.shell.run("python", TRIAL, cwd=world.root, **world.environment)
    assert bad.code == 0, bad.said
    assert "('test deployment', False, 'm-" in bad.said
