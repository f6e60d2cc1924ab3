"""`mlops submit`, `promote` and `stage`: from a candidate to what may go to production, through the real SDK."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .cloud import Cloud
from .faults import Fault
from .jobs import JobScript
from .shell import Shell
from .test_batch import RIGHT, SCRIPT
from .wire import Json
from .world import GOOD, World, copy

pytestmark = pytest.mark.full
LINEAGE = {"data_version": "d1", "git_author": "ann@example.com", "environment": "python 3.11"}
PEOPLE = ("--approved-by", "ben@example.com", "--approved-by", "cat@example.com")


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, encoding="utf-8")
    return done.stdout.strip()


@pytest.fixture
def world(baked: Callable[..., Path], cloud: Cloud, shell: Shell, tmp_path: Path) -> World:
    return begin("classification", baked, cloud, shell, tmp_path)


def begin(
    task: str, baked: Callable[..., Path], cloud: Cloud, shell: Shell, folder: Path, target: str = "online"
) -> World:
    """A committed project without any model yet, whose deployments in staging and prod will answer as they should."""
    one = World(copy(baked(task, target), folder / "project"), cloud, shell)
    if target == "batch":
        (one.root / "src/taxi_fares/score.py").write_text(SCRIPT, encoding="utf-8")
    git(one.root, "init", "--quiet")
    git(one.root, "add", ".")
    git(one.root, "commit", "--quiet", "--message", "First")
    for environment in ("staging", "prod"):
        one.use(environment)
        one.behave("blue")
        one.behave("green")
        cloud.jobs.plan(JobScript(outputs={"score": {"predictions.csv": RIGHT}}), one.endpoint)
    one.use("dev")
    return one


def candidate(world: World, version: str, environment: str = "dev", **tags: str) -> None:
    """A version as the register step leaves it."""
    world.use(environment)
    world.model(version, **{**LINEAGE, "git_commit": git(world.root, "rev-parse", "HEAD"), **tags})


def plan(world: World, gates: list[Json] | None = GOOD, parent: str = "", version: str = "7", **script: object) -> None:
    """The next jobs go like this; the evaluate step tracks these gates, the register step a version with a parent."""

    def then(job: Json) -> None:
        run = world.cloud.jobs.step(job["name"], "evaluate")
        scope = world.cloud.arm.scope_of(run.workspace)
        assert scope
        verdict = json.dumps({"passed": all(gate["passed"] for gate in gates or []), "gates": gates}).encode()
        world.cloud.storage.write(scope.account, "azureml", {f"{run.folder}/evaluation/verdict.json": verdict})
        if parent:
            candidate(world, version, "staging", parent=parent)

    world.cloud.jobs.plan(JobScript(then=then, **script), "stage-|^train$")  # type: ignore[arg-type]


def registered(world: World) -> dict[str, str]:
    """The tags of the registry's versions together."""
    scope = world.cloud.registry
    found: dict[str, str] = {}
    for one in world.cloud.arm.below(f"{scope.id}/models/taxi-fares/versions"):
        found |= one["properties"]["tags"]
    return found


def jobs(world: World) -> list[Json]:
    return [one.json["properties"] for one in world.cloud.requests("PUT", r"/jobs/[^/]+$")]


def test_submit(world: World) -> None:
    dry = world.mlops("submit", "--env", "dev", "--set", "trials=3", "--dry-run")
    assert dry.code == 0, dry.said
    assert "inputs.trials: 3" in dry.said
    assert not world.cloud.log, "nothing was sent"

    first = world.mlops("submit", "--env", "dev", "--set", "trials=3", "--wait")
    assert first.code == 0, first.said
    assert "https://ml.azure.com/runs/" in first.said
    assert "Completed    register" in first.said
    (job,) = jobs(world)
    commit = git(world.root, "rev-parse", "HEAD")
    assert job["inputs"]["trials"]["value"] == "3"
    assert re.search(r"/data/flights/versions/[0-9a-f]{12}$", job["inputs"]["raw_data"]["uri"])
    for step in job["jobs"].values():
        assert re.search(r"/components/\w+/versions/[0-9a-f]{12}$", step["componentId"]), "never `latest`"
    assert job["jobs"]["register"]["environment_variables"]["MLOPS_GIT_COMMIT"] == commit
    others = [step for name, step in job["jobs"].items() if name != "register"]
    assert not any(step.get("environment_variables") for step in others), "what is unchanged is used again"

    before = len(world.writes())
    again = world.mlops("submit", "--env", "dev", "--set", "trials=3")
    assert again.code == 0, again.said
    assert "Registered" not in again.said
    assert len(world.writes()) == before + 1, "only the job was sent: all that it needs is there with this content"

    (world.root / "src/taxi_fares/model.py").open("a").write("# changed\n")
    changed = world.mlops("submit", "--env", "dev")
    assert changed.said.count("Registered component") == 4, changed.said
    assert "Registered environment" not in changed.said
    assert jobs(world)[-1]["jobs"]["register"]["environment_variables"]["MLOPS_GIT_COMMIT"] == f"{commit}+changes"


def test_submit_says_which_step_failed(world: World) -> None:
    plan(world, failing="train", log="Traceback …\nValueError: planted\n", polls=1)
    failed = world.mlops("submit", "--env", "dev", "--wait")
    assert failed.code == 2
    assert "in the step train" in failed.said
    assert "ValueError: planted" in failed.said

    plan(world, failing="register", log="Not registered:\n  score is too low\n", polls=2)
    sent = world.mlops("submit", "--env", "dev")
    assert sent.code == 0
    name = sent.said.split("Submitted ")[1].split()[0]
    early = world.mlops("submit", "--env", "dev", "--job", name)
    assert early.code == 1
    assert "goes on waiting" in early.said
    refused = world.mlops("submit", "--env", "dev", "--job", name, "--wait")
    assert refused.code == 1, "a gate that refuses is not a failure"
    assert "score is too low" in refused.said

    unknown = world.mlops("submit", "--env", "dev", "--job", "nonsense")
    assert unknown.code == 2
    assert "was not found" in unknown.said


FAULTS = {
    "throttled": (Fault("PUT", "/jobs/", status=429, headers={"Retry-After": "0"}), 0, "Submitted"),
    "forbidden": (Fault("PUT", "/components/", status=403, code="AuthorizationFailed"), 2, "infrastructure/rbac.yml"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_submit_with_faults(world: World, fault: str) -> None:
    planted, code, said = FAULTS[fault]
    world.cloud.faults.add(planted)
    done = world.mlops("submit", "--env", "dev")
    assert done.code == code, done.said
    assert said in done.said


def test_promote_to_staging(world: World) -> None:
    none = world.mlops("promote", "--env", "staging", *PEOPLE)
    assert none.code == 2
    assert "has no version whose tag gates is passed in the workspace of dev" in none.said

    candidate(world, "1")
    for approvers, said in (((), "the approval of 1"), (("--approved-by", "Ann@example.com"), "somebody else")):
        refused = world.mlops("promote", "--env", "staging", *approvers)
        assert refused.code == 1
        assert said in refused.said
    assert not world.writes(), "a refusal changes nothing"

    # What is half done is completed by running the command again.
    world.cloud.faults.add(Fault("POST", "/import", status=409, code="Conflict"))
    broken = world.mlops("promote", "--env", "staging", *PEOPLE)
    assert broken.code == 2, broken.said
    assert "promoted_staging" not in registered(world)
    done = world.mlops("promote", "--env", "staging", *PEOPLE, "--approval", "https://example.com/approval")
    assert done.code == 0, done.said
    tags = registered(world)
    assert tags["promoted_staging"] == "ben@example.com, cat@example.com"
    assert tags["approval_staging"] == "https://example.com/approval"
    assert tags["source_staging"] == "dev/1"
    assert LINEAGE.items() <= tags.items()
    there = {
        one.path.split("/")[-3] for one in world.cloud.requests("PUT", r"/registries/.*/(components|environments)/")
    }
    assert {"prepare", "train", "evaluate", "register", "taxi-fares-train", "taxi-fares-serve"} <= there

    uploads = world.cloud.requests("PUT", "/tempdatarefs/")
    assert len([one for one in uploads if b"/codes/" in one.body]) == 1, "all components have the same code"

    before = len(world.writes())
    again = world.mlops("promote", "--env", "staging", *PEOPLE)
    assert again.code == 0
    assert "already" in again.said
    assert len(world.writes()) == before


def test_promote_wants_the_commit_of_the_model(world: World) -> None:
    candidate(world, "1", git_commit="0" * 40)
    done = world.mlops("promote", "--env", "staging", *PEOPLE)
    assert done.code == 2
    assert "check that commit out" in done.said


def test_unreachable_registry(world: World) -> None:
    candidate(world, "1")
    world.cloud.faults.add(Fault("GET", "registrymanagement", status=404, times=100))
    done = world.mlops("promote", "--env", "staging", *PEOPLE)
    assert done.code == 2
    assert "What to do" in done.said


def test_stage_trains_again_and_tries(world: World) -> None:
    """classical, nlp: what goes to production is what was trained on production data, and only that."""
    early = world.mlops("stage", "--env", "staging")
    assert early.code == 2
    assert "run `mlops promote` first" in early.said
    candidate(world, "1")
    assert world.mlops("promote", "--env", "staging", *PEOPLE).code == 0

    plan(world, parent="1".ljust(12, "0"), polls=1)
    passed = world.mlops("stage", "--env", "staging")
    assert passed.code == 0, passed.said
    job = jobs(world)[-1]
    assert job["inputs"]["raw_data"]["uri"].startswith("azureml://datastores/gold/")
    assert job["jobs"]["register"]["environment_variables"]["MLOPS_PARENT"] == "1".ljust(12, "0")
    folder = world.root / ".mlops/stage" / "1".ljust(12, "0")
    record = json.loads((folder / "verdict.json").read_text())
    assert record["passed"]
    assert record["tried"] == "7"
    assert set(record["checks"]) == {"model and bias on production data", "test deployment", "load"}
    assert "It may go to production" in (folder / "verdict.html").read_text()

    schedule = world.cloud.get("staging", "/schedules/taxi-fares-train")
    assert schedule, "from now on it is trained again every week"
    inputs = schedule["properties"]["action"]["jobDefinition"]["inputs"]
    assert inputs["raw_data"]["uri"].startswith("azureml://datastores/gold/")

    few = world.mlops("promote", "--env", "prod", *PEOPLE[:2])
    assert few.code == 1
    assert "the approval of 2" in few.said
    done = world.mlops("promote", "--env", "prod", *PEOPLE)
    assert done.code == 0, done.said
    assert registered(world)["source_prod"] == "staging/7"
    world.use("prod")
    world.behave("blue")
    deployed = world.deploy()
    assert deployed.code == 0, deployed.said
    assert world.traffic == {"blue": 100}
    watch = world.cloud.get("prod", "/schedules/taxi-fares-watch")
    assert watch
    inputs = watch["properties"]["action"]["jobDefinition"]["inputs"]
    assert inputs["collected"]["uri"].endswith("/modelDataCollector/taxi-fares-prod/blue")
    assert inputs["model"]["uri"].startswith("azureml://registries/")
    assert inputs["labels"]["uri"].startswith("azureml://datastores/gold/"), "performance needs the truth"
    step = watch["properties"]["action"]["jobDefinition"]["jobs"]["watch"]
    assert step["inputs"]["labels"]["value"] == "${{parent.inputs.labels}}"
    monitor = world.cloud.get("prod", "/schedules/taxi-fares-monitor")
    assert monitor
    signals = monitor["properties"]["action"]["monitorDefinition"]["signals"]
    assert {one["value"] for one in (t["threshold"] for t in signals["data_drift"]["metricThresholds"])} == {0.25}
    before = len(world.writes())
    assert world.deploy().code == 0
    assert len(world.writes()) == before, "the same model, the same schedules: nothing is sent"


def test_stage_tries_what_was_trained_by_itself(world: World) -> None:
    """Drift leads to retraining, and that back to staging: without a job, as it has seen production data already."""
    candidate(world, "6", "staging")
    candidate(world, "7", "staging", parent="1".ljust(12, "0"))
    done = world.mlops("stage", "--env", "staging", "--retrained")
    assert done.code == 0, done.said
    assert not jobs(world)
    record = json.loads((world.root / ".mlops/stage/retrained-6/verdict.json").read_text())
    assert record["tried"] == "6", "what has a parent belongs to a trial of its own"
    promoted = world.mlops("promote", "--env", "prod", *PEOPLE)
    assert promoted.code == 0, promoted.said
    assert registered(world)["source_prod"] == "staging/6"
    again = world.mlops("stage", "--env", "staging", "--retrained")
    assert again.code == 2
    assert "from scheduled training that is untried" in again.said


def test_stage_wants_the_commit_of_the_model(world: World) -> None:
    candidate(world, "1")
    assert world.mlops("promote", "--env", "staging", *PEOPLE).code == 0
    git(world.root, "commit", "--quiet", "--allow-empty", "--message", "Another")
    done = world.mlops("stage", "--env", "staging")
    assert done.code == 2
    assert "check that commit out" in done.said
    assert not jobs(world)


def test_stage_goes_on_with_the_job_that_it_sent(world: World) -> None:
    candidate(world, "1")
    world.mlops("promote", "--env", "staging", *PEOPLE)
    plan(world, parent="1".ljust(12, "0"), polls=10**6)
    running = world.start("stage", "--env", "staging")
    while not jobs(world) and running.alive():
        pass
    running.kill()
    plan(world, parent="1".ljust(12, "0"))
    done = world.mlops("stage", "--env", "staging")
    assert done.code == 0, done.said
    assert len(jobs(world)) == 1


BROKEN = "mlops_runtime.contract.ContractError: flights.parquet breaks the contract flights"
VERDICTS = {
    "biased": ({"gates": [{**GOOD[0], "passed": False, "reason": "groups differ"}]}, "groups differ"),
    "bad data": ({"failing": "prepare", "log": f"{BROKEN}:\n  column x: 12 values are out of range\n"}, "out of range"),
    "refused": ({"failing": "register", "log": "Not registered:\n  score is 0.1\n"}, "score is 0.1"),
}


@pytest.mark.parametrize("fault", VERDICTS)
def test_stage_says_no(world: World, fault: str) -> None:
    script, said = VERDICTS[fault]
    candidate(world, "1")
    world.mlops("promote", "--env", "staging", *PEOPLE)
    plan(world, parent="1".ljust(12, "0"), **script)  # type: ignore[arg-type]
    done = world.mlops("stage", "--env", "staging")
    assert done.code == 1, done.said
    assert said in done.said
    assert world.mlops("promote", "--env", "prod", *PEOPLE).code in (1, 2)


def test_stage_tells_trouble_from_bad_data(world: World) -> None:
    candidate(world, "1")
    world.mlops("promote", "--env", "staging", *PEOPLE)
    plan(world, parent="1".ljust(12, "0"), failing="prepare", log="OSError: No space left on device\n")
    done = world.mlops("stage", "--env", "staging")
    assert done.code == 2, done.said
    assert "No space left" in done.said
    assert "verdict" not in registered(world)


def test_stage_says_no_to_what_breaks_under_load(world: World) -> None:
    config = world.root / "config/shared.yml"
    text = config.read_text(encoding="utf-8")
    asked = "requests_per_second: 1, seconds: 2, p95_ms: 10000"
    assert asked in text
    text = text.replace(asked, "requests_per_second: 1000, seconds: 0.01, p95_ms: 0.001")
    config.write_text(text, encoding="utf-8")
    git(world.root, "commit", "--quiet", "--all", "--message", "Ask for more")
    candidate(world, "1")
    world.mlops("promote", "--env", "staging", *PEOPLE)
    plan(world, parent="1".ljust(12, "0"))
    world.use("staging")
    world.behave("blue", good=503, calls=5)
    done = world.mlops("stage", "--env", "staging")
    assert done.code == 1, done.said
    for objective in ("95 % of 10 answers", "% of the requests failed", "answers per second"):
        assert re.search(f"NO  load: .*{objective}", done.said), done.said


def test_stage_evaluates_images(baked: Callable[..., Path], cloud: Cloud, shell: Shell, tmp_path: Path) -> None:
    """cv: the candidate itself is tried on production data and goes on."""
    world = begin("image-classification", baked, cloud, shell, tmp_path)
    candidate(world, "1")
    assert world.mlops("promote", "--env", "staging", *PEOPLE).code == 0
    plan(world)
    done = world.mlops("stage", "--env", "staging")
    assert done.code == 0, done.said
    job = jobs(world)[-1]
    assert set(job["jobs"]) == {"prepare", "evaluate"}
    assert "registries" in job["inputs"]["model"]["uri"]
    promoted = world.mlops("promote", "--env", "prod", *PEOPLE)
    assert promoted.code == 0, promoted.said
    assert registered(world)["promoted_prod"]


REGISTER = """
import os, sys, json
from pathlib import Path
from azure.ai.ml import MLClient
from azure.identity import DefaultAzureCredential
from mlops_runtime import register, tracking
client = MLClient(DefaultAzureCredential(), {subscription!r}, {group!r}, "dev")
os.environ["MLFLOW_TRACKING_URI"] = client.workspaces.get("dev").mlflow_tracking_uri
os.environ["MLFLOW_EXPERIMENT_NAME"] = "taxi-fares"
for _ in range(2):
    print(register.register(Path("candidate"), Path("evaluation"), "taxi-fares"))
print("champion", tracking.champion("taxi-fares").version)
print(sorted(path.name for path in tracking.fetch(tracking.champion("taxi-fares")).iterdir()))
"""


def test_the_register_step_on_azure(world: World) -> None:
    """What the last step of the pipeline does, with MLflow against Azure ML: no logged models, no aliases."""
    root = world.root
    (root / "candidate/data/model").mkdir(parents=True)
    (root / "candidate/MLmodel").write_text("flavors: {}\n")
    (root / "candidate/requirements.txt").write_text("numpy==2.1\n")
    (root / "candidate/data/model/weights.json").write_text("1")
    (root / "evaluation").mkdir()
    metrics = {"data_version": "d1", "champion": None, "champion_asked_for": "latest"}
    (root / "evaluation/metrics.json").write_text(json.dumps({**metrics, "metrics": {"score": {"value": 0.9}}}))
    code = REGISTER.format(subscription=world.workspace.subscription, group=world.workspace.group)
    done = world.shell.run("python", code, cwd=root, **world.environment)
    assert done.code == 0, done.said
    assert "version 1 is this model already" in done.said, "the same model is registered once"
    assert "champion 1" in done.said
    assert "evaluation" in done.said.splitlines()[-1]
    (version,) = world.cloud.arm.below(f"{world.workspace.id}/models/taxi-fares/versions")
    tags = version["properties"]["tags"]
    assert tags["gates"] == "passed"
    assert tags["git_commit"].startswith(git(root, "rev-parse", "HEAD"))
    refused = world.mlops("promote", "--env", "staging", *PEOPLE)
    assert "were not committed" in refused.said


def looked(world: World, environment: str) -> None:
    """The scheduled look at what is deployed runs, and finds that it should be trained again."""
    world.use(environment)
    signal = {"value": 0.4, "threshold": 0.25, "action": "retrain", "status": "fired", "found": "x moved", "advice": ""}
    record = {"model": "taxi-fares", "version": "1", "rows": 300, "data": "collected requests", "action": "retrain"}

    def found(job: Json) -> None:
        files = {
            "metrics.json": json.dumps({**record, "signals": {"data_drift": signal}}).encode(),
            "report.html": b"<p>",
        }
        run = world.cloud.jobs.step(job["name"], "watch")
        names = {f"{run.folder}/findings/{name}": content for name, content in files.items()}
        world.cloud.storage.write(world.workspace.account, "azureml", names)

    world.cloud.jobs.plan(JobScript(then=found), "taxi-fares-watch")
    run = "from azure.ai.ml import MLClient; from azure.identity import DefaultAzureCredential as C; "
    scope = world.workspace
    run += f"client = MLClient(C(), {scope.subscription!r}, {scope.group!r}, {environment!r}); "
    run += "client.jobs.get(client.schedules.trigger('taxi-fares-watch').job_name)"
    done = world.shell.run("python", run, cwd=world.root, **world.environment)
    assert done.code == 0, done.said


def test_what_was_found_in_production(world: World) -> None:
    """`mlops monitor --env`: the newest look that has completed says what to do."""
    world.model("1")
    world.behave("blue")
    assert world.deploy().code == 0
    early = world.mlops("monitor", "--env", "dev")
    assert early.code == 2
    assert "Nobody has looked yet" in early.said

    looked(world, "dev")
    done = world.mlops("monitor", "--env", "dev")
    assert done.code == 1, done.said
    assert "FIRED  data_drift: 0.4, above the threshold 0.25" in done.said
    assert "Action: retrain" in done.said
