"""`mlops deploy` and `mlops rollback` on live endpoints: what they do, what they refuse, and how they recover."""

import itertools
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .cloud import Cloud
from .faults import Fault
from .shell import Shell
from .world import World, copy, kill

pytestmark = pytest.mark.full
PUT_ENDPOINT = r"/onlineEndpoints/[^/]+$"
TARGETS = ("online", "kubernetes")
on_one = pytest.mark.parametrize("world", ["online"], indirect=True)  # code that both targets share


def alternately(name: str, cases: Iterable[Any]) -> pytest.MarkDecorator:
    """Each case on one of the targets, which share what is tried."""
    return pytest.mark.parametrize(("world", name), list(zip(itertools.cycle(TARGETS), cases)), indirect=["world"])


@pytest.fixture(params=TARGETS)
def world(
    request: pytest.FixtureRequest, baked: Callable[..., Path], cloud: Cloud, shell: Shell, tmp_path: Path
) -> World:
    """A project of the target, with a first model in dev whose deployments answer as they should."""
    one = World(copy(baked("classification", request.param), tmp_path / "project"), cloud, shell)
    one.model("1")
    for colour in ("blue", "green"):
        one.behave(colour)
    return one


def test_first_update_unchanged_rollback(world: World) -> None:
    said = world.deploy("--dry-run")
    assert said.code == 0
    assert "create blue without traffic" in said.said
    assert not world.writes()

    first = world.deploy()
    assert first.code == 0, first.said
    assert world.traffic == {"blue": 100}
    blue = world.found("/deployments/blue")
    assert blue
    collector = blue["properties"]["dataCollector"]["collections"]
    assert {name: one["dataCollectionMode"] for name, one in collector.items()} == dict.fromkeys(
        ("model_inputs", "model_outputs", "refused"), "Enabled"
    )
    variables = blue["properties"]["environmentVariables"]
    assert (variables["MLOPS_MODEL_VERSION"], variables["MLOPS_MODEL_DIGEST"]) == ("1", "1".ljust(64, "0"))
    endpoint = (world.found() or {})["properties"]
    assert endpoint["authMode"].lower() == ("amltoken" if "compute" in endpoint else "aadtoken")
    assert world.tags == {}, "the lease was given back"
    scaled = world.cloud.autoscale.settings
    if "autoscale" in (world.root / "config/dev.yml").read_text(encoding="utf-8"):
        capacity = scaled[f"{world.endpoint}-blue"]["properties"]["profiles"][0]["capacity"]
        assert capacity == {"minimum": "1", "maximum": "3", "default": "1"}
    else:
        assert not scaled
        assert blue["properties"]["scaleSettings"]["maxInstances"] == 3

    before = len(world.writes())
    again = world.deploy()
    assert again.code == 0
    assert "nothing to do" in again.said
    assert len(world.writes()) == before, "nothing was sent"
    none = world.mlops("rollback", "--env", "dev")
    assert none.code == 1
    assert "nothing to go back to" in none.said

    world.model("2")
    second = world.deploy()
    assert second.code == 0, second.said
    steps = [one.json["properties"].get("traffic") for one in world.cloud.requests("PUT", PUT_ENDPOINT)]
    assert [step for step in steps if step and step != {"blue": 100}] == [
        {"blue": 90, "green": 10},
        {"blue": 50, "green": 50},
        {"green": 100},
        {"green": 100},
    ]
    assert world.traffic == {"green": 100}
    assert world.found("/deployments/blue"), "the one before stays"

    back = world.mlops("rollback", "--env", "dev")
    assert back.code == 0, back.said
    assert world.traffic == {"blue": 100}
    watch = world.cloud.get("dev", "/schedules/taxi-fares-watch")
    assert watch
    inputs = watch["properties"]["action"]["jobDefinition"]["inputs"]
    assert inputs["collected"]["uri"].endswith("/blue"), "what serves is what is looked at"
    assert inputs["model_version"]["value"] == "1"
    forth = world.mlops("rollback", "--env", "dev")
    assert forth.code == 0, forth.said
    assert world.traffic == {"green": 100}


def test_mirror(world: World) -> None:
    config = world.root / "config/shared.yml"
    world.deploy()
    world.model("2")
    text = config.read_text(encoding="utf-8")
    config.write_text(
        text.replace("minutes: 0, mirror: 0", "minutes: 0").replace("minutes: 0", "minutes: 0, mirror: 20")
    )
    done = world.deploy()
    if "mirror: 0" in text:
        mirrored = [one.json["properties"].get("mirrorTraffic") for one in world.cloud.requests("PUT", PUT_ENDPOINT)]
        assert {"green": 20} in mirrored
        assert world.traffic == {"green": 100}
    else:
        assert done.code == 2, "Kubernetes endpoints copy no requests"
        assert "not supported on Kubernetes" in done.said
        assert world.traffic == {"blue": 100}


@alternately("fault", ["bad answers", "accepts nonsense", "script fails"])
def test_failed_smoke_test_shifts_nothing(world: World, fault: str) -> None:
    world.deploy()
    world.model("2")
    if fault == "accepts nonsense":
        world.behave("green", bad=200)
    else:
        world.behave("green", good=500 if fault == "script fails" else 404, calls=0)
    world.cloud.arm.logs[f"{world.workspace.id}/onlineEndpoints/{world.endpoint}/deployments/green".lower()] = "planted"
    done = world.deploy()
    assert done.code == 1, done.said
    assert "green failed its test" in done.said
    assert "blue still gets all requests" in done.said
    assert "planted" in done.said, "the log is shown"
    assert world.traffic == {"blue": 100}
    assert list(world.tags) == ["refused"]
    assert not [
        one
        for one in world.cloud.requests("PUT", PUT_ENDPOINT)
        if "green" in (one.json["properties"].get("traffic") or {})
    ]
    world.behave("green")
    again = world.deploy()
    assert again.code == 0, again.said
    assert world.traffic == {"green": 100}


@on_one
def test_failing_half_way_is_rolled_back(world: World) -> None:
    world.deploy()
    world.model("2")
    world.behave("green", good=500, calls=1 + 4)  # the test, and the watch at 10 %
    done = world.deploy()
    assert done.code == 1, done.said
    assert "traffic: blue 50 %, green 50 %" in done.said
    assert "All requests went back to blue" in done.said
    assert "HTTP 500" in done.said
    assert world.traffic == {"blue": 100}
    assert list(world.tags) == ["refused"]
    world.behave("green")
    back = world.mlops("rollback", "--env", "dev")
    assert back.code == 1, "what was not good enough is nothing to go back to"
    assert world.traffic == {"blue": 100}


@on_one
def test_first_deployment_that_is_not_well(world: World) -> None:
    world.behave("blue", good=503, calls=1)
    done = world.deploy()
    assert done.code == 1, done.said
    assert "It gets no requests" in done.said
    assert world.traffic == {}
    world.behave("blue")
    again = world.deploy()
    assert again.code == 0, again.said
    assert world.traffic == {"blue": 100}
    assert world.tags == {}


def test_other_machines(world: World) -> None:
    for version in ("1", "2"):
        world.model(version)
        world.deploy()
    config = world.root / "config/dev.yml"
    text = config.read_text(encoding="utf-8")
    given = re.sub(r"instance_type: \S+", "instance_type: larger", text)
    assert given != text
    config.write_text(given, encoding="utf-8")
    done = world.deploy()
    assert done.code == 0, done.said
    assert world.traffic == {"blue": 100}
    blue = world.found("/deployments/blue")
    assert blue
    assert blue["properties"]["instanceType"] == "larger"


@on_one
def test_slow_answers_are_not_well(world: World) -> None:
    world.deploy()
    world.model("2")
    config = world.root / "config/shared.yml"
    config.write_text(config.read_text(encoding="utf-8").replace("p95_ms: 10000}", "p95_ms: 0.001}", 1))
    done = world.deploy()
    assert done.code == 1, done.said
    assert "95 % of the answers took up to" in done.said
    assert world.traffic == {"blue": 100}


@alternately("moment", ["endpoint", "deployment", "10 %", "50 %", "100 %"])
def test_killed_and_run_again(world: World, moment: str) -> None:
    first = moment in ("endpoint", "deployment")
    if not first:
        world.deploy()
        world.model("2")
    path = r"/deployments/(blue|green)$" if moment == "deployment" else PUT_ENDPOINT
    puts = len(world.cloud.requests("PUT", PUT_ENDPOINT))
    nth = {"endpoint": 1, "deployment": 1, "10 %": 2, "50 %": 3, "100 %": 4}[moment]
    assert puts == 0 or not first
    running = []
    world.cloud.faults.add(Fault("PUT", path, then=lambda _: kill(running[0]), nth=nth))
    running.append(world.start("deploy", "--env", "dev"))
    killed = running[0].wait()
    assert killed.code != 0
    shares = {"10 %": {"blue": 90, "green": 10}, "50 %": {"blue": 50, "green": 50}, "100 %": {"green": 100}}
    world.cloud.arm.release()
    world.cloud.arm.settle()
    assert world.traffic == shares.get(moment, {})
    assert world.tags["lease"], "nobody has said that it ended"
    done = world.deploy()
    assert done.code == 0, done.said
    assert world.traffic == ({"blue": 100} if first else {"green": 100})
    assert world.tags == {}


@on_one
def test_killed_then_rolled_back(world: World) -> None:
    world.deploy()
    world.model("2")
    running = []
    world.cloud.faults.add(Fault("PUT", PUT_ENDPOINT, then=lambda _: kill(running[0]), nth=3))
    running.append(world.start("deploy", "--env", "dev"))
    running[0].wait()
    done = world.mlops("rollback", "--env", "dev")
    assert done.code == 0, done.said
    assert world.traffic == {"blue": 100}
    assert list(world.tags) == ["refused"]
    assert world.mlops("rollback", "--env", "dev").code == 1, "it never served"


@alternately("nth", [3, 4])  # at 50 and 100 %
def test_killed_then_another_model(world: World, nth: int) -> None:
    for version in ("1", "2"):  # green serves, so that blue comes first where shares are equal
        world.model(version)
        world.deploy()
    assert world.traffic == {"green": 100}
    world.model("3")
    running = []
    world.cloud.faults.add(Fault("PUT", PUT_ENDPOINT, then=lambda _: kill(running[0]), nth=nth))
    running.append(world.start("deploy", "--env", "dev"))
    running[0].wait()
    world.model("4")
    world.behave("blue", good=500, calls=0)
    done = world.deploy()
    assert done.code == 1, done.said
    assert "traffic: green 100 %, as something else was on its way" in done.said
    assert world.traffic == {"green": 100}
    green = world.found("/deployments/green")
    assert green
    assert green["tags"]["model_version"] == "2", "what served was not replaced"


@on_one
def test_killed_with_everything_and_then_not_well(world: World) -> None:
    world.deploy()
    world.model("2")
    running = []
    world.cloud.faults.add(Fault("PUT", PUT_ENDPOINT, then=lambda _: kill(running[0]), nth=4))
    running.append(world.start("deploy", "--env", "dev"))
    running[0].wait()
    world.cloud.arm.release()
    world.cloud.arm.settle()
    assert world.traffic == {"green": 100}
    world.behave("green", good=500, calls=0)
    done = world.deploy()
    assert done.code == 1, done.said
    assert "All requests went back to blue" in done.said
    assert world.traffic == {"blue": 100}


@on_one
def test_two_at_once(world: World) -> None:
    world.deploy()
    world.model("2")
    world.cloud.faults.add(Fault("PUT", r"/deployments/green$", delay=6))
    one = world.start("deploy", "--env", "dev")
    while "create green" not in one.said:
        time.sleep(0.05)
    other = world.deploy()
    assert other.code == 1, other.said
    assert "is changing the endpoint" in other.said
    assert one.wait().code == 0
    assert world.traffic == {"green": 100}


@on_one
def test_lease_of_another_machine(world: World) -> None:
    world.deploy()
    world.model("2")
    endpoint = world.found()
    assert endpoint
    endpoint["tags"] = {"lease": f"elsewhere/1/2 {time.time() + 900:.0f}"}
    done = world.deploy()
    assert done.code == 1
    assert "elsewhere/1/2 is changing" in done.said
    assert world.mlops("rollback", "--env", "dev").code == 1
    assert world.deploy("--take-over").code == 0
    assert world.traffic == {"green": 100}
    endpoint["tags"] = {"lease": f"elsewhere/1/2 {time.time() - 1:.0f}"}
    world.model("3")
    assert world.deploy().code == 0, "a lease ends"


TROUBLE = {
    "throttled": Fault("PUT", "/deployments/green$", status=429, headers={"Retry-After": "1"}, times=2),
    "broken": Fault("GET", "/onlineEndpoints/[^/]+$", status=500, times=2),
    "dropped": Fault("GET", "/onlineEndpoints/[^/]+$", drop="before", times=2),
}


@alternately("name", TROUBLE)
def test_trouble_that_passes(world: World, name: str) -> None:
    world.deploy()
    world.model("2")
    world.cloud.faults.add(replace(TROUBLE[name]))
    done = world.deploy()
    assert done.code == 0, done.said
    assert world.traffic == {"green": 100}


STAYS = {
    "conflict": (Fault("PUT", PUT_ENDPOINT, status=409, nth=2), "wait until it has ended"),
    "expired": (Fault("PUT", PUT_ENDPOINT, status=401, nth=2, times=0), "az login"),
    "gone": (Fault("PUT", PUT_ENDPOINT, drop="before", nth=3, times=0), "check the network"),
}


@alternately("name", STAYS)
def test_trouble_that_stays_is_explained_and_run_again(world: World, name: str) -> None:
    fault, said = STAYS[name]
    world.deploy()
    world.model("2")
    world.cloud.faults.add(replace(fault))
    done = world.deploy()
    assert done.code == 2, done.said
    assert said in done.said
    world.cloud.faults.rules.clear()
    again = world.deploy()
    assert again.code == 0, again.said
    assert world.traffic == {"green": 100}


@on_one
def test_a_write_of_whose_success_nobody_was_told(world: World) -> None:
    world.deploy()
    world.model("2")
    world.cloud.faults.add(Fault("PUT", PUT_ENDPOINT, drop="after", nth=3))
    done = world.deploy()
    # The SDK writes again, which Azure refuses while the first write is not done.
    assert done.code == 0 or "wait until it has ended" in done.said, done.said
    assert world.deploy().code == 0
    assert world.traffic == {"green": 100}


@on_one
def test_an_operation_that_never_ends(world: World) -> None:
    world.deploy()
    world.model("2")
    file = world.root / "src/mlops_runtime/cloud/releases.py"
    file.write_text(file.read_text(encoding="utf-8").replace("= 90 * 60  #", "= 3  #"), encoding="utf-8")
    world.cloud.faults.add(Fault("PUT", r"/deployments/green$", ends="Never"))
    done = world.deploy()
    assert done.code == 2, done.said
    assert "has not ended" in done.said
    assert world.traffic == {"blue": 100}


FAILURES = {
    "quota": ("OutOfQuota", "Not enough quota available for Standard_F4s_v2 in SubscriptionId.", "ask for more quota"),
    "image": ("ImageBuildFailure", "The image build failed: conda could not resolve.", "image could not be built"),
    "crash": ("ResourceNotReady", "User container has crashed or terminated.", "container did not start"),
}


@alternately("name", FAILURES)
def test_failures_are_explained(world: World, name: str) -> None:
    code, message, helps = FAILURES[name]
    world.deploy()
    world.model("2")
    world.cloud.arm.logs[f"{world.workspace.id}/onlineEndpoints/{world.endpoint}/deployments/green".lower()] = "planted"
    world.cloud.faults.add(Fault("PUT", r"/deployments/green$", ends="Failed", code=code, message=message))
    done = world.deploy()
    assert done.code == 2, done.said
    assert message.rstrip(".") in done.said
    assert helps in done.said
    assert "planted" in done.said
    assert world.traffic == {"blue": 100}
    assert "lease" not in world.tags
    again = world.deploy()
    assert again.code == 0, again.said
    assert world.traffic == {"green": 100}


def test_only_what_is_promoted(world: World) -> None:
    world.use("prod")
    none = world.deploy()
    assert none.code == 2
    assert "mlops promote --env prod" in none.said
    world.model("aaaaaaaaaaaa", scope=world.cloud.registry, promoted_staging="a")
    assert world.deploy().code == 2, "staging is not prod"
    refused = world.deploy("--version", "aaaaaaaaaaaa")
    assert refused.code == 1
    assert "may not be deployed to prod" in refused.said
    world.model("bbbbbbbbbbbb", scope=world.cloud.registry, promoted_staging="a", promoted_prod="a, b")
    for colour in ("blue", "green"):
        world.behave(colour)
    done = world.deploy()
    assert done.code == 0, done.said
    assert world.traffic == {"blue": 100}
    blue = world.found("/deployments/blue")
    assert blue
    registry = "registries/registry" in str(blue["properties"]["model"])
    assert registry == ("mirror" in (world.root / "config/shared.yml").read_text(encoding="utf-8"))


def identity_of(world: World) -> Any:
    """The identity in the endpoint's last PUT: its type and which."""
    said = world.cloud.requests("PUT", PUT_ENDPOINT)[-1].json["identity"]
    return said["type"], set(said.get("userAssignedIdentities") or ())


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_endpoint_is_who_infrastructure_gives_the_roles(world: World, environment: str) -> None:
    world.use(environment)
    if environment == "prod":
        world.model("b" * 12, scope=world.cloud.registry, promoted_staging="a", promoted_prod="a, b")
    for colour in ("blue", "green"):
        world.behave(colour)
    done = world.deploy()
    assert done.code == 0, done.said
    assert identity_of(world) == ("UserAssigned", {world.identity(environment)})


def test_one_workspace_has_the_identity_of_prod(world: World) -> None:
    config = world.root / "config/shared.yml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("workspaces: separate", "workspaces: one"), encoding="utf-8"
    )
    done = world.deploy()
    assert done.code == 0, done.said
    assert identity_of(world) == ("UserAssigned", {world.identity("prod")})


@on_one
def test_an_identity_that_nobody_made_is_said(world: World) -> None:
    world.cloud.arm.identities.clear()
    done = world.deploy()
    assert done.code == 2, done.said
    assert "apply infrastructure/ for `shared`" in done.said
    config = world.root / "config/dev.yml"
    given = "  endpoint:\n    identity: {type: system_assigned}\n"
    config.write_text(config.read_text(encoding="utf-8").replace("  endpoint:\n", given, 1), encoding="utf-8")
    done = world.deploy()
    assert done.code == 0, done.said
    assert identity_of(world) == ("SystemAssigned", set())


@on_one
def test_identity_and_network_from_config(world: World) -> None:
    config = world.root / "config/dev.yml"
    group = world.workspace.id.partition("/providers/")[0]
    identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id"
    world.cloud.arm.identities.add(identity.lower())
    given = f"  endpoint:\n    identity: {{type: user_assigned, user_assigned_identities: [resource_id: {identity}]}}\n"
    config.write_text(config.read_text(encoding="utf-8").replace("  endpoint:\n", given, 1), encoding="utf-8")
    done = world.deploy()
    assert done.code == 0, done.said
    assert identity_of(world) == ("UserAssigned", {identity})


@on_one
def test_a_deployment_that_becomes_unready_is_rolled_back(world: World) -> None:
    """Requests may still be answered by instances that are left."""
    world.deploy()
    world.model("2")

    def fail(_: object) -> None:
        green = world.found("/deployments/green")
        if green and world.traffic.get("green") == 10:
            green["properties"]["provisioningState"] = "Failed"

    world.cloud.faults.add(Fault("POST", "/score$", then=fail, times=0))
    done = world.deploy()
    assert done.code == 1, done.said
    assert "Azure says that it is Failed" in done.said
    assert world.traffic == {"blue": 100}


@on_one
def test_lease_taken_over_on_the_way(world: World) -> None:
    """Whoever has lost the lease changes nothing more."""
    world.deploy()
    world.model("2")

    def take(_: object) -> None:
        (world.found() or {})["tags"]["lease"] = f"elsewhere/1/2 {time.time() + 900:.0f}"

    world.cloud.faults.add(Fault("PUT", r"/deployments/green$", then=take))
    done = world.deploy()
    assert done.code == 2, done.said
    assert "was taken over by elsewhere/1/2" in done.said
    assert world.traffic == {"blue": 100}
    assert world.tags["lease"].startswith("elsewhere/1/2")
