"""`mlops events` and what pipelines do about them: found again under the same key until somebody has acted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .cloud import Cloud
from .jobs import JobScript
from .shell import Shell
from .test_outer_loop import PEOPLE, begin, candidate, git, jobs, looked, plan
from .wire import Json
from .world import World

pytestmark = pytest.mark.full
HOST = """
NAME = "Test"

def approvals(environment):
    return PEOPLE, "https://example.com/runs/1"

def authors(commit):
    return AUTHORS

def tell(event):
    return "https://example.com/" + event["key"]

def output(name, value):
    with open(".mlops/outputs", "a") as file:
        print(f"{name}={value}", file=file)
"""


@pytest.fixture
def world(baked: Callable[..., Path], cloud: Cloud, shell: Shell, tmp_path: Path) -> World:
    one = begin("classification", baked, cloud, shell, tmp_path)
    one.environment["CI"] = ""
    return one


def events(world: World, environment: str) -> list[Json]:
    """What is found, whose number the exit code says."""
    file = world.root / ".mlops" / f"{environment}.json"
    done = world.mlops("events", "--env", environment, "--report", str(file))
    found: list[Json] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    assert done.code == (1 if found else 0), done.said
    assert [one["key"] for one in found] == sorted({one["key"] for one in found})
    return found


def keys(world: World, environment: str) -> list[str]:
    return [one["key"] for one in events(world, environment)]


def host(world: World, *people: str, wrote: str = "dan") -> None:
    """Give the project the plug-in of a CI system on which these people have approved what somebody wrote."""
    text = HOST.replace("PEOPLE", repr(list(people))).replace("AUTHORS", repr(wrote.split()))
    (world.root / "src/mlops_runtime/host.py").write_text(text, encoding="utf-8")
    git(world.root, "add", ".")
    if git(world.root, "status", "--porcelain"):
        git(world.root, "commit", "--quiet", "--message", "Another host")


def test_a_candidate_from_training_to_production(world: World) -> None:
    host(world, "ben@example.com", "cat@example.com")
    assert events(world, "dev") == []
    candidate(world, "1", git_commit="0" * 40 + "+changes")
    assert events(world, "dev") == [], "what nobody could promote is no candidate"
    candidate(world, "2")
    (found,) = events(world, "dev")
    assert (found["kind"], found["version"], found["commit"]) == (
        "candidate",
        "2",
        git(world.root, "rev-parse", "HEAD"),
    )
    world.environment["CI"] = "true"
    assert keys(world, "dev") == ["dev-candidate-2"], "until somebody acts"
    outputs = (world.root / ".mlops/outputs").read_text().split()
    (world.root / ".mlops/outputs").unlink()
    assert outputs == ["kinds=candidate"]
    told = world.mlops("tell", ".mlops/dev.json")
    assert (told.code, "https://example.com/dev-candidate-2" in told.said) == (0, True), told.said

    promoted = world.mlops("promote", "--env", "staging", "--version", "2", "--approved-by-pipeline")
    assert (promoted.code, "approved by ben@example.com, cat@example.com" in promoted.said) == (0, True), promoted.said
    assert keys(world, "dev") == []
    plan(world, parent="2".ljust(12, "0"), polls=10**6)
    waiting = world.mlops("stage", "--env", "staging", "--patience", "0.01")
    assert (waiting.code, "is not over" in waiting.said) == (3, True), waiting.said
    assert keys(world, "staging") == ["staging-candidate-200000000000"]
    world.cloud.jobs.scripts.clear()
    plan(world, parent="2".ljust(12, "0"))
    passed = world.mlops("stage", "--env", "staging", "--patience", "5")
    assert passed.code == 0, passed.said
    assert len(jobs(world)) == 1, "the job that was sent before"
    assert keys(world, "staging") == []
    done = world.mlops("promote", "--env", "prod", "--approved-by-pipeline")
    assert done.code == 0, done.said


def test_without_approvals_of_the_pipeline(world: World) -> None:
    host(world)
    candidate(world, "1")
    refused = world.mlops("promote", "--env", "staging", "--approved-by-pipeline")
    assert (refused.code, "the approval of 1" in refused.said) == (1, True), refused.said
    config = world.root / "config/shared.yml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('unprotected: ""', 'unprotected: "CTO, 2030: one person"'), encoding="utf-8")
    git(world.root, "commit", "--quiet", "--all", "--message", "Decide")
    candidate(world, "2")
    done = world.mlops("promote", "--env", "staging", "--approved-by-pipeline")
    assert (done.code, "approved by nobody: CTO, 2030: one person" in done.said) == (0, True), done.said


def test_not_by_the_author_alone(world: World) -> None:
    """Whom the CI system knows by a name that is no e-mail; where it knows nobody, one does not suffice."""
    for wrote, said in (("ben", "ben wrote the code"), ("", "does not say who wrote commit")):
        host(world, "ben", wrote=wrote)
        candidate(world, "1" if wrote else "2")
        refused = world.mlops("promote", "--env", "staging", "--approved-by-pipeline")
        assert (refused.code, said in refused.said) == (1, True), refused.said
    host(world, "ben", wrote="ann")
    candidate(world, "3")
    done = world.mlops("promote", "--env", "staging", "--approved-by-pipeline")
    assert (done.code, "approved by ben" in done.said) == (0, True), done.said


def test_a_declined_candidate_is_not_asked_about_again(world: World) -> None:
    candidate(world, "1")
    done = world.mlops(
        "promote", "--env", "staging", "--version", "1", "--decline", "--approval", "https://example.com/1"
    )
    assert (done.code, keys(world, "dev")) == (0, []), done.said
    candidate(world, "2")
    assert keys(world, "dev") == ["dev-candidate-2"]


def test_failed_trainings(world: World) -> None:
    plan(world, failing="train", log="ValueError: planted\n")
    sent = world.mlops("submit", "--env", "dev", "--wait")
    name = sent.said.split("Submitted ")[1].split()[0]
    (found,) = events(world, "dev")
    assert found["key"] == f"dev-failed-{name}"
    assert "    ValueError: planted" in found["body"]
    plan(world, failing="register", log="Not registered:\n  score is too low\n")
    world.mlops("submit", "--env", "dev", "--wait")
    (found,) = events(world, "dev")
    assert "did not pass its gates" in found["title"], "only the newest counts"
    plan(world)
    world.mlops("submit", "--env", "dev", "--wait")
    assert events(world, "dev") == []


def alert(rule: str, state: str = "New") -> Json:
    """A fired alert as Azure Monitor lists it."""
    rules = "/subscriptions/s/resourceGroups/g/providers/microsoft.insights/scheduledqueryrules/"
    said = {"alertRule": rules + rule, "alertState": state, "monitorCondition": "Fired", "severity": "Sev2"}
    return {**said, "targetResourceName": "taxi", "startDateTime": "2030-01-01T00:00:00Z"}


def test_what_azure_monitor_sees(world: World) -> None:
    monitor, group = world.cloud.monitor, world.workspace.group
    assert events(world, "prod") == []
    named = "alert-taxifares-prod-"
    monitor.alerts[group] = [alert(f"{named}{name}") for name in ("latency", "latency", "key-use", "endpoint-latency")]
    monitor.alerts[group].append(alert(f"{named}network", "Closed"))
    monitor.budgets["budget-taxifares-prod"] = {
        "amount": 1000,
        "currentSpend": {"amount": 850},
        "forecastSpend": {"amount": 1200},
    }
    monitor.rows["Requests = count()"] = [{"Requests": 0}]
    found = {one["key"]: one for one in events(world, "prod")}
    kinds = sorted(one["kind"] for one in found.values())
    assert kinds == ["infrastructure", "infrastructure", "security", "usage", "usage", "usage"], found
    latency = found[f"prod-infrastructure-{named}latency"]
    assert latency["title"] == "prod: The endpoint answers slowly"
    assert latency["body"].count("since 2030-01-01") == 2, "one event for a rule"
    assert "For platform technical support." in latency["body"]
    assert any("85 % of the month's budget is spent" in one["title"] for one in found.values())
    assert any("120 % of the month's budget is forecast" in one["title"] for one in found.values())


def test_one_workspace_is_looked_at_once(world: World) -> None:
    monitor = world.cloud.monitor
    monitor.alerts[world.workspace.group] = [alert("alert-taxifares-prod-latency")]
    config = world.root / "config/shared.yml"
    text = config.read_text(encoding="utf-8")
    assert "workspaces: separate" in text
    config.write_text(text.replace("workspaces: separate", "workspaces: one"), encoding="utf-8")
    assert keys(world, "dev") == []
    assert keys(world, "prod") == ["prod-infrastructure-alert-taxifares-prod-latency"]


def test_what_production_needs(world: World) -> None:
    """classical: drift starts training, whose result waits for its trial in staging."""
    candidate(world, "9", "prod")
    world.use("prod")
    world.model("1", scope=world.cloud.registry, promoted_prod="ben")
    assert world.deploy().code == 0
    assert events(world, "prod") == [], "nobody has looked yet"
    looked(world, "prod")
    (found,) = events(world, "prod")
    assert (found["key"], found["kind"]) == ("prod-retrain-1", "retrain")
    assert "data_drift: x moved" in found["body"]

    candidate(world, "1", "dev")
    assert world.mlops("promote", "--env", "staging", *PEOPLE).code == 0
    plan(world, parent="1".ljust(12, "0"))
    assert world.mlops("stage", "--env", "staging").code == 0
    world.cloud.jobs.plan(JobScript(polls=10**6), "taxi-fares")
    first, second = (world.mlops("submit", "--env", "staging", "--scheduled") for _ in range(2))
    assert first.code == 0, first.said
    assert first.said == second.said, "it runs already"
    candidate(world, "8", "staging")
    assert keys(world, "staging") == ["staging-retrained-8"]
