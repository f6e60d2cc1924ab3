"""GitHub's workflows: accepted by its linters, every name in them resolved, and each of them executed on fakes."""

import fnmatch
import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from mlops_runtime.errors import Problem
from mlops_runtime.happened import Choice

from ..conftest import SLUG_FOLDER, TEMPLATE, some_quick
from .commands import faults
from .github import LAYER, Host, act, commit, git, load, runnable, texts

Baked = Callable[..., Path]
WORKFLOWS = {path.stem: path.read_text(encoding="utf-8") for path in (LAYER / ".github" / "workflows").iterdir()}
ENVIRONMENTS = {"plan", "monitor", "shared", "shared-project-lead", "dev", "staging", "prod-project-lead", "prod"}
ACTIONS = json.loads(Path(__file__).with_name("github_actions.json").read_text(encoding="utf-8"))
VARIABLES = {"AZURE_CLIENT_ID", "AZURE_SUBSCRIPTION_ID", "AZURE_TENANT_ID", "WORKSPACES"}
OUTPUTS = {"mlops events": {"kinds"}, "mlops next": set(Choice().outputs())}  # of a step that calls these
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def tool(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name(name), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8", check=False)


def steps(files: dict[str, str]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every step with where it is and the job, or action, that it is part of."""
    for name, text in files.items():
        content = load(text)
        for title, job in (content.get("jobs") or {"": content["runs"]}).items():
            for step in job.get("steps", []):
                yield f"{name}:{title}", job, step


# What linters see


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    shutil.copytree(LAYER / ".github", root / ".github")
    (root / ".github" / "dependabot.yml").unlink()  # rendered, and checked there
    commit(root)
    return root


def findings(root: Path) -> str:
    """What the linters say; actionlint calls shellcheck, which is beside it."""
    files = [str(path.relative_to(root)) for path in sorted((root / ".github").rglob("*.yml"))]
    workflows = [name for name in files if "/workflows/" in name]
    actions = [name for name in files if "/actions/" in name]
    shellcheck = str(Path(sys.executable).with_name("shellcheck"))
    asked = [
        tool("actionlint", "-shellcheck", shellcheck, cwd=root),
        tool("zizmor", "--offline", "--quiet", "--persona", "pedantic", ".", cwd=root),
        tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows, cwd=root),
        tool("check-jsonschema", "--builtin-schema", "vendor.github-actions", *actions, cwd=root),
    ]
    return "".join(done.stdout + done.stderr for done in asked if done.returncode != 0)


def test_linters_find_nothing(repository: Path) -> None:
    assert findings(repository) == ""


FAULTS = {
    "an output that no job has": ("release", "needs.find.outputs.commit", "needs.find.outputs.commmit"),
    "an unquoted variable": ("apply", '--env "$ENVIRONMENT"', "--env $ENVIRONMENT"),
    "text of others in a script": ("release", 'told.json --version "$VERSION"', 'told.json --version "${{ inputs.version }}"'),
    "an action by its tag": ("train", "checkout@3d3c42e5aac5ba805825da76410c181273ba90b1", "checkout@v7"),
    "a token that stays on the disk": ("train", "persist-credentials: false", "fetch-depth: 1"),
    "a job that others would share": ("train", "permissions: {}\n", ""),
    "a job that needs nothing known": ("release", "needs: [find, first-approval]", "needs: [find, approval]"),
    "an input that an own action lacks": ("ci", "infrastructure: true", "infrastucture: true"),
}


@pytest.mark.parametrize("fault", some_quick(FAULTS))
def test_linters_find_planted_faults(repository: Path, fault: str) -> None:
    name, old, new = FAULTS[fault]
    path = repository / ".github" / "workflows" / f"{name}.yml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert findings(repository)


def test_the_answers_change_nothing(baked: Baked) -> None:
    """What is checked here once holds for every combination: the files are copied, and no other layer has any."""
    patterns = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))["_copy_without_render"]
    for name in texts():
        assert any(fnmatch.fnmatch(f".github/{name}", pattern) for pattern in patterns), name
    others = [path for path in TEMPLATE.rglob(f"{SLUG_FOLDER}/.github") if not path.is_relative_to(LAYER)]
    assert not [path for path in others if TEMPLATE / "tests" not in path.parents]
    assert texts(baked("classification") / ".github") == texts()


# What names mean


def test_published_actions_have_these_inputs() -> None:
    files = texts()
    for where, _, step in steps(files):
        if "@" not in step.get("uses", ""):
            continue
        facts = ACTIONS[step["uses"]]
        assert set(step.get("with", {})) <= set(facts["inputs"]), where
        assert set(facts["required"]) <= set(step.get("with", {})), where
    for name, text in files.items():
        for action, version in re.findall(r"uses: (\S+@[0-9a-f]{40}) # (\S+)", text):
            assert version in ACTIONS[action]["versions"], f"{name}: {action} is not {version}"
    used = {step["uses"] for _, _, step in steps(files) if "@" in step.get("uses", "")}
    assert used == set(ACTIONS)


def test_own_actions_and_workflows_are_there_with_their_inputs() -> None:
    files = texts()
    for name, text in files.items():
        for path in re.findall(r"uses: \$/\.github/(\S+)", text):
            assert path in files or f"{path}/action.yml" in files, f"{name}: {path}"
    for where, _, step in steps(files):
        uses = step.get("uses", "")
        if uses.startswith("$/"):
            inputs = load(files[f"{uses.removeprefix('$/.github/')}/action.yml"]).get("inputs", {})
            assert set(step.get("with", {})) <= set(inputs), where
            needed = {key for key, rules in inputs.items() if rules.get("required") == "true"}
            assert needed <= set(step.get("with", {})), where


def test_every_command_is_known_with_its_options() -> None:
    """By the parsers of the commands themselves; the fakes refuse what is in no workflow."""
    for where, _, step in steps(texts()):
        lines = [line for line in step.get("run", "").splitlines() if "mlops" in line]
        if find_spec("mlops_runtime.commands.update") is None:
            lines = [line for line in lines if "mlops update" not in line]
        chosen = re.sub(r"\$\{\w+:\+(--[a-z]+)\}", r"\1", "\n".join(lines))  # options that are not always there
        assert faults(chosen) == [], where


def test_every_variable_output_environment_and_path_is_there(baked: Baked) -> None:
    files = texts()
    for name, text in files.items():
        assert set(re.findall(r"vars\.([A-Z_]+)", text)) <= VARIABLES, name
        assert "secrets." not in text, f"{name} needs a secret"
        assert "continue-on-error" not in text, name
        assert "|| true" not in text, name
    for name, text in WORKFLOWS.items():
        content = load(text)
        for title, job in content["jobs"].items():
            named = set(
                re.findall(r"[a-z][a-z-]+", re.sub(r"vars\.WORKSPACES == 'one'|inputs\.\w+", "", environment(job)))
            )
            assert named <= ENVIRONMENTS, f"{name}: {title}"
            for value in (job.get("outputs") or {}).values():
                step, output = re.search(r"steps\.([\w-]+)\.outputs\.(\w+)", value).groups()
                found = [one for one in job["steps"] if one.get("id") == step]
                assert found, f"{name}: {title} has no step {step}"
                script = found[0]["run"]
                given: Any = next((names for command, names in OUTPUTS.items() if command in script), script)
                assert output in given, f"{name}: {step} has no output {output}"
            for other, output in re.findall(r"needs\.([\w-]+)\.outputs\.(\w+)", text):
                assert output in content["jobs"][other]["outputs"], f"{name}: {other}.{output}"
    root = baked("classification")
    trigger = [
        pattern for text in WORKFLOWS.values() for pattern in (load(text)["on"].get("push") or {}).get("paths", [])
    ]
    for pattern in set(trigger) - {"policies/**"}:  # which a team may make
        assert (root / pattern.removesuffix("/**")).exists(), pattern


def environment(job: dict[str, Any]) -> str:
    return str(job.get("environment", ""))


def test_rights() -> None:
    """Nothing at the top; a job signs in only with an environment, and has a limit of time."""
    for name, text in WORKFLOWS.items():
        content = load(text)
        assert content["permissions"] == {}, name
        for title, job in content["jobs"].items():
            if "uses" in job:  # its jobs say it themselves
                continue
            where = f"{name}: {title}"
            assert int(job["timeout-minutes"]) <= 360, where
            signs_in = any("actions/azure" in step.get("uses", "") for step in job["steps"])
            assert signs_in == (job["permissions"].get("id-token") == "write"), where
            assert not signs_in or environment(job), where
            assert "write-all" not in str(job["permissions"]), where
            written = {right for right, value in job["permissions"].items() if value == "write"} - {"id-token"}
            assert not (name == "ci" and written - {"pull-requests"}), where
            assert not (name == "train" and title != "tell" and written), where
            for step in job["steps"]:
                if "upload-artifact" in step.get("uses", ""):
                    assert int(step["with"]["retention-days"]) <= 90, where


def test_pull_requests_from_elsewhere_get_no_identity() -> None:
    plan = load(WORKFLOWS["ci"])["jobs"]["plan"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in plan["if"]
    for title, job in load(WORKFLOWS["ci"])["jobs"].items():
        assert title == "plan" or "id-token" not in job["permissions"]
    for name, text in WORKFLOWS.items():
        assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(load(text)["on"]), name


def test_one_check_speaks_for_all_of_ci() -> None:
    """A branch can require it: it reports whatever was skipped, which the jobs themselves do not."""
    jobs = load(WORKFLOWS["ci"])["jobs"]
    last = jobs["ci"]
    assert set(last["needs"]) == set(jobs) - {"ci"}
    assert (last["name"], last["if"], last["permissions"]) == ("ci", "${{ always() }}", {})


def test_people_are_told_when_a_workflow_fails() -> None:
    """By a job of its own, which alone may write issues for that, and of whichever job has failed."""
    for name, text in WORKFLOWS.items():
        jobs = load(text)["jobs"]
        if name in ("apply", "ci"):  # a part of infrastructure; a change shows it
            continue
        tell = jobs["tell"]
        assert {*tell["needs"]} == set(jobs) - {"tell"}, name
        assert tell["permissions"] == {"contents": "read", "issues": "write"}, name
        assert not environment(tell), name


def test_drift_takes_no_waiting_change_out_of_the_queue() -> None:
    """Of the runs that wait in one group GitHub keeps the newest."""
    group = load(WORKFLOWS["infrastructure"])["concurrency"]["group"]
    assert group == "${{ github.event_name == 'schedule' && 'drift' || 'infrastructure' }}"


def test_no_pipe_hides_a_failure() -> None:
    """GitHub's own shell for `run` looks at the end of a pipe only; a step with `shell: bash` looks at all of it."""
    for where, _, step in steps(texts()):
        words = shlex.shlex(step.get("run", ""), posix=True, punctuation_chars="|&;")
        words.whitespace_split = True
        assert step.get("shell") == "bash" or not {"|", "|&"} & set(words), where


def test_code_owners(baked: Baked) -> None:
    """Who they are is not known when a project begins; GitHub ignores lines whose owner is not there."""
    root = baked("classification")
    lines = (root / ".github" / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    assert all(line.startswith("#") for line in lines)
    rules = [line.removeprefix("# ").split() for line in lines if line.startswith("# /")]
    assert [owner for _, owner in rules] == ["@acme/platform"] * len(rules)
    there = {path for path, _ in rules if path.endswith("/") and (root / path.strip("/")).is_dir()}
    assert {path for path, _ in rules} - there == {"/policies/"}, "which a team may add"
    gitlab = TEMPLATE / "ci" / "gitlab-ci" / SLUG_FOLDER / ".gitlab" / "CODEOWNERS"
    theirs = {path for path in re.findall(r"(?m)^/\S+", gitlab.read_text(encoding="utf-8")) if "gitlab" not in path}
    assert there == {"/.github/", *theirs - {"/policies/"}}


def test_pull_requests_have_a_template(baked: Baked) -> None:
    text = (baked("classification") / ".github" / "pull_request_template.md").read_text(encoding="utf-8")
    for script in re.findall(r"`uv run (mlops [^`]+)`", text):
        assert faults(f"uv run {script}") == []
    assert "mlops run" in text


def test_dependabot(baked: Baked) -> None:
    """It looks at every folder that has workflows, actions or dependencies."""
    content = yaml.safe_load((baked("classification") / ".github" / "dependabot.yml").read_text(encoding="utf-8"))
    looked = {one["package-ecosystem"]: one.get("directories") or [one["directory"]] for one in content["updates"]}
    assert looked == {"github-actions": ["/", "/.github/actions/*"], "uv": ["/"], "pre-commit": ["/"]}


# What runs


@pytest.fixture
def host(tmp_path: Path) -> Host:
    assert shutil.which("jq"), "jq is not installed: jobs use it, as every runner of GitHub has it"
    return Host(tmp_path)


# What stands before git in a private repository: without a token that git was told of, GitHub has nothing there.
PRIVATE = """\
#!/bin/sh
case $1 in
  ls-remote | push)
    if [ -z "$GH_TOKEN" ] || ! grep -q "gh auth setup-git" "$FAKE"; then
      echo "fatal: could not read Username for 'https://github.com': terminal prompts disabled" >&2
      exit 128
    fi ;;
esac
exec {git} "$@"
"""


@pytest.fixture
def origin(host: Host) -> Path:
    """The private repository that jobs read and to which they push."""
    tool = host.bin / "git"
    tool.write_text(PRIVATE.replace("{git}", str(shutil.which("git"))), encoding="utf-8")
    tool.chmod(0o755)
    origin = host.folder / "origin"
    git(host.root, "clone", "-q", "--bare", host.root, origin)
    git(host.root, "remote", "add", "real", str(origin))
    git(host.root, "config", f"url.{origin}.insteadOf", "https://github.com/acme/taxi-fares")
    return origin


FAILED = {"key": "dev-failed-x", "kind": "failed", "environment": "dev", "title": "Job x", "body": "log", "version": ""}
FAILED["commit"] = ""
CANDIDATE = {**FAILED, "key": "dev-candidate-7", "kind": "candidate", "version": "7"}
RETRAIN = {**FAILED, "key": "prod-retrain-7", "kind": "retrain", "environment": "prod", "title": "Drift"}
VULNERABLE = {**FAILED, "key": "prod-security-7", "kind": "security", "environment": "prod", "title": "CVE"}


def found(host: Host, *events: dict[str, str]) -> dict[str, Any]:
    """What `mlops events` says of these."""
    commit = git(host.root, "rev-parse", "HEAD")
    report = [{**event, "commit": commit if event["version"] else ""} for event in events]
    return {"exit": 1, "report": report, "outputs": {"kinds": " ".join(event["kind"] for event in events)}}


def chosen(host: Host, name: str = "dev-7", *, promoted: bool = False, retrained: bool = False) -> dict[str, Any]:
    """What `mlops next` gives to the jobs that follow, and leaves for people."""
    choice = Choice(name, name.partition("-")[2], git(host.root, "rev-parse", "HEAD"), promoted, retrained)
    return {"outputs": choice.outputs(), "report": [FAILED]}


NEXT = 'mlops next dev.json staging.json --told told.json --version '
MORE = "more for {--env}\n"


@pytest.mark.full
class TestRelease:
    def test_a_candidate_goes_to_production(self, host: Host) -> None:
        host.rules = {"mlops events --env dev": found(host, CANDIDATE, FAILED), "mlops next": chosen(host)}
        assert host.run("schedule", "release"), host.output
        assert host.lines(client=True) == [
            "app-monitor: gate monitor",
            "app-monitor: mlops events --env dev --report dev.json",
            "app-monitor: mlops events --env staging --report staging.json",
            f"app-monitor: {NEXT}",
            "app-monitor: mlops tell told.json",
            "app-staging: gate staging",
            "app-staging: mlops promote --env staging --version 7 --approved-by-pipeline",
            "app-staging: mlops stage --env staging --patience 330",
            ": gate prod-project-lead",
            "app-prod: gate prod",
            "app-prod: mlops scan --env prod --report scan.json",
            "app-prod: mlops promote --env prod --approved-by-pipeline",
            "app-prod: mlops deploy --env prod",
        ]
        assert host.told() == [FAILED], "what `mlops next` has left for people"

    def test_nothing_waits(self, host: Host) -> None:
        assert host.run("schedule", "release"), host.output
        assert host.lines("gate") == ["gate monitor"]

    def test_nothing_before_the_bootstrap(self, host: Host) -> None:
        host.variables = {}
        for workflow in ("release", "monitor", "train", "infrastructure"):
            assert host.run("workflow_dispatch", workflow), host.output
            assert host.calls == []

    @pytest.mark.parametrize(
        ("rules", "last", "where"),
        [
            ({"gate staging": {"exit": 1}}, "gate staging", "staging"),
            ({"mlops promote --env staging": {"exit": 1}}, "mlops promote --env staging", "staging"),
            ({"mlops stage": {"exit": 1}}, "mlops stage --env staging", "staging"),
            ({"gate prod-project-lead": {"exit": 1}}, "gate prod-project-lead", "prod"),
            ({"gate prod": {"exit": 1}, "gate prod-project-lead": {}}, "gate prod", "prod"),
            ({"mlops promote --env prod": {"exit": 1}}, "mlops promote --env prod", "prod"),
            ({"mlops deploy": {"exit": 1}}, "mlops deploy --env prod", "prod"),
        ],
    )
    def test_a_refusal_ends_it_and_is_told(self, host: Host, rules: dict[str, Any], last: str, where: str) -> None:
        host.rules = {"mlops next": chosen(host), **rules}
        assert not host.run("schedule", "release")
        done = host.lines()
        assert done[-1] == "mlops tell told.json"
        assert done[-2].startswith(last)
        told = host.told()[-1]
        assert {**told, "title": "", "body": ""} == {
            **{
                "key": "release/dev-7",
                "kind": "failed",
                "environment": where,
                "version": "7",
                "title": "",
                "body": "",
                "commit": "",
            }
        }
        assert "https://github.com/acme/taxi-fares/actions/runs/" in told["body"]

    def test_a_vulnerability_ends_it_before_anything_is_promoted(self, host: Host) -> None:
        scan = {"exit": 1, "report": [VULNERABLE]}
        host.rules = {"mlops next": chosen(host), "mlops scan": scan}
        assert not host.run("schedule", "release")
        assert not host.lines("mlops promote --env prod", "mlops deploy")
        assert [event["key"] for event in host.told()] == ["dev-failed-x", "prod-security-7", "release/dev-7"]

    def test_a_trial_that_is_not_over_waits_for_the_next_run(self, host: Host) -> None:
        host.rules = {"mlops next": chosen(host), "mlops stage": {"exit": 3}}
        assert host.run("schedule", "release"), host.output
        assert host.lines()[-1].startswith("mlops stage")
        assert host.told() == [FAILED]

    def test_a_version_by_hand_is_data(self, host: Host) -> None:
        text = 'x"; touch owned; echo "'
        host.rules = {"mlops next": {"exit": 2, "report": []}}
        assert not host.run("workflow_dispatch", "release", inputs={"version": text})
        assert f"{NEXT}{text}" in host.lines()
        assert not host.lines("gate staging")
        assert host.told()[-1]["key"] == "release/"

    def test_the_commit_of_the_model_is_checked_out(self, host: Host) -> None:
        made_by = git(host.root, "rev-parse", "HEAD")
        host.rules = {"mlops next": chosen(host)}
        host.write("later.py", "")
        commit(host.root, "Go on")
        assert host.run("schedule", "release"), host.output
        later = [call["head"] for call in host.calls if call["line"].startswith(("mlops stage", "mlops deploy"))]
        assert later == [made_by, made_by]

    def test_what_was_trained_again(self, host: Host) -> None:
        host.rules = {"mlops next": chosen(host, "staging-9", promoted=True, retrained=True)}
        assert host.run("schedule", "release"), host.output
        assert host.lines("mlops stage") == ["mlops stage --env staging --retrained --patience 330"]
        assert not host.lines("mlops promote --env staging")
        assert host.lines()[-1] == "mlops deploy --env prod"

    def test_what_was_begun_goes_on_with_its_trial(self, host: Host) -> None:
        host.rules = {"mlops next": chosen(host, "staging-c0ffee", promoted=True)}
        assert host.run("schedule", "release"), host.output
        assert host.lines("mlops stage") == ["mlops stage --env staging --patience 330"]
        assert not host.lines("mlops promote --env staging"), "it is promoted already"

    def test_one_workspace(self, host: Host) -> None:
        host.variables["WORKSPACES"] = "one"
        host.rules = {"mlops next": chosen(host)}
        assert host.run("schedule", "release"), host.output
        assert host.lines("gate") == ["gate monitor", "gate prod", "gate prod-project-lead", "gate prod"]


@pytest.mark.full
class TestInfrastructure:
    def test_each_environment_is_planned_approved_and_applied(self, host: Host) -> None:
        host.rules = {"mlops infrastructure plan": {"exit": 1, "report": MORE}}
        assert host.run("push", "infrastructure"), host.output
        assert host.lines(client=True) == [
            line
            for environment in ("shared", "dev", "staging", "prod")
            for line in (
                "app-plan: gate plan",
                f"app-plan: mlops infrastructure plan --env {environment} --report plan.md",
                *([f": gate {environment}-project-lead"] if environment in ("shared", "prod") else []),
                f"app-{environment}: gate {environment}",
                f"app-{environment}: mlops infrastructure apply --env {environment} --report plan.md",
            )
        ]

    def test_nobody_is_asked_where_nothing_changes(self, host: Host) -> None:
        assert host.run("push", "infrastructure"), host.output
        assert host.lines("gate", "mlops infrastructure apply") == ["gate plan"] * 4

    @pytest.mark.parametrize("gate", ["gate shared-project-lead", "gate staging"])
    def test_a_refusal_ends_it(self, host: Host, gate: str) -> None:
        host.rules = {"mlops infrastructure plan": {"exit": 1, "report": MORE}, gate: {"exit": 1}}
        assert not host.run("push", "infrastructure")
        assert host.lines()[-1] == gate

    def test_a_plan_that_fails_is_no_change(self, host: Host) -> None:
        host.rules = {"mlops infrastructure plan": {"exit": 2, "report": "no"}}
        assert not host.run("push", "infrastructure")
        assert len(host.lines()) == 2

    @pytest.mark.parametrize(
        ("workflow", "job", "applied"),
        [("infrastructure", "staging", ["shared", "dev", "staging"]), ("apply", "first-approval", ["dev", "staging"])],
    )
    def test_what_ran_out_of_time_has_not_passed(self, host: Host, workflow: str, job: str, applied: list[str]) -> None:
        """GitHub calls such a job cancelled, which is neither its `failure()` nor its `cancelled()`."""
        host.edit(workflow, f"needs.{job}.result", "'cancelled'")
        host.rules = {"mlops infrastructure plan": {"exit": 1, "report": MORE}}
        assert host.run("push", "infrastructure"), host.output
        assert [line.split()[4] for line in host.lines("mlops infrastructure apply")] == applied

    def test_a_failure_is_told(self, host: Host) -> None:
        """After a called workflow has failed act runs nothing more, which GitHub does: here it only says so."""
        host.edit("infrastructure", "needs.*.result", """fromJSON('["failure", "skipped"]')""")
        assert host.run("push", "infrastructure"), host.output
        assert failed(host) == "infrastructure/failed"

    def test_drift_is_told_and_nothing_applied(self, host: Host) -> None:
        host.rules = {"mlops infrastructure plan --env staging": {"exit": 1, "report": "+ a lock"}}
        assert host.run("schedule", "infrastructure"), host.output
        assert not host.lines("mlops infrastructure apply")
        (told,) = host.told()
        assert (told["key"], told["kind"], told["environment"]) == ("drift/staging", "infrastructure", "staging")
        assert "+ a lock" in told["body"]

    def test_one_workspace(self, host: Host) -> None:
        host.variables["WORKSPACES"] = "one"
        host.rules = {"mlops infrastructure plan": {"exit": 1, "report": MORE}}
        assert host.run("push", "infrastructure"), host.output
        applied = [line.split()[4] for line in host.lines("mlops infrastructure apply")]
        assert applied == ["shared", "prod"]


@pytest.mark.full
class TestMonitor:
    def test_events_are_told_and_training_is_begun(self, host: Host) -> None:
        events = {**found(host, RETRAIN), "files": {".mlops/monitor-prod/report.html": "-"}}
        scan = {"exit": 1, "report": [VULNERABLE]}
        host.rules = {"mlops events --env prod": events, "mlops scan": scan}
        assert host.run("schedule", "monitor"), host.output
        assert host.told()[:2] == [RETRAIN, VULNERABLE]
        assert "kept .mlops/monitor-prod/" in host.output
        assert host.lines(client=True)[-2:] == [
            "app-staging: gate staging",
            "app-staging: mlops submit --env staging --scheduled",
        ]

    def test_dev_and_staging_are_told_of_too(self, host: Host) -> None:
        """release.yml does not look while one of its runs waits for an approval; what it asks for is not told here."""
        host.rules = {"mlops events --env dev": found(host, FAILED, CANDIDATE)}
        assert host.run("schedule", "monitor"), host.output
        assert host.lines("mlops events", "mlops tell")[2:] == [
            "mlops tell scan.json",
            "mlops events --env dev --report dev.json",
            "mlops events --env staging --report staging.json",
            "mlops tell dev.json --but candidate --but retrained",
            "mlops tell staging.json --but candidate --but retrained",
        ]

    def test_nothing_has_happened(self, host: Host) -> None:
        assert host.run("schedule", "monitor"), host.output
        assert host.told() == []
        assert host.lines("gate") == ["gate monitor"]

    def test_a_failure_is_one(self, host: Host) -> None:
        host.rules = {"mlops events --env prod": {"exit": 2, "report": []}}
        assert not host.run("schedule", "monitor")
        assert failed(host) == "monitor/failed"

    def test_a_training_that_nobody_approves_is_told(self, host: Host) -> None:
        host.rules = {"mlops events --env prod": found(host, RETRAIN), "gate staging": {"exit": 1}}
        assert not host.run("schedule", "monitor")
        assert not host.lines("mlops submit")
        assert failed(host) == "monitor/failed"


@pytest.mark.full
@pytest.mark.parametrize(("workspaces", "app"), [("separate", "dev"), ("one", "prod")])
def test_train_does_not_wait(host: Host, workspaces: str, app: str) -> None:
    host.variables["WORKSPACES"] = workspaces
    assert host.run("push", "train"), host.output
    assert host.lines(client=True) == [f"app-{app}: gate {app}", f"app-{app}: mlops submit --env dev"]
    assert host.lines("uv sync") == ["uv sync --extra azure"]


@pytest.mark.full
def test_a_training_that_was_not_submitted_is_told(host: Host) -> None:
    host.rules = {"mlops submit": {"exit": 2}}
    assert not host.run("push", "train")
    assert failed(host) == "train/failed"


@pytest.mark.full
@pytest.mark.parametrize("workflow", ["infrastructure", "monitor", "template-update", "train"])
def test_a_job_that_ran_out_of_time_is_told(host: Host, origin: Path, workflow: str) -> None:
    """GitHub calls it cancelled, which is not a `failure()`."""
    host.edit(workflow, "needs.*.result", """fromJSON('["success", "cancelled"]')""")
    assert host.run("workflow_dispatch", workflow), host.output
    assert failed(host) == f"{workflow}/failed"


def failed(host: Host) -> str:
    """The workflow of which people are told last that it has failed, by nobody's identity on Azure."""
    told = host.told()[-1]
    assert host.lines(client=True)[-1] == ": mlops tell told.json"
    assert told["kind"] == "failed"
    assert "/actions/runs/" in told["body"]
    return told["key"]


@pytest.mark.full
class TestTemplateUpdate:
    def waiting(self, host: Host, code: int, **files: str) -> None:
        update = {"exit": code, "prints": "! README.md: conflict" if code else "~ README.md", "files": files}
        host.rules = {"mlops update": update, "mlops update --plan": {"exit": 1}}

    def test_nothing_waits(self, host: Host, origin: Path) -> None:
        assert host.run("schedule", "template-update"), host.output
        assert host.lines() == ["gh auth setup-git", "mlops update --plan"]

    @pytest.mark.parametrize("code", [0, 1])
    def test_it_becomes_a_pull_request(self, host: Host, origin: Path, code: int) -> None:
        self.waiting(host, code, **{"README.md": "# Newer\n"})
        assert host.run("schedule", "template-update"), host.output
        created = next(call for call in host.calls if call["line"].startswith("gh pr create"))
        assert ("conflicts" in created["line"]) == bool(code)
        assert "README.md" in created["body"]
        assert git(origin, "show", "template-update:README.md") == "# Newer"
        token = [call["line"] for call in host.calls if call["token"]]
        assert not [line for line in token if "update" in line.split()], "the template's code has no token"
        assert host.run("schedule", "template-update"), host.output
        assert host.lines() == ["gh auth setup-git"], "one at a time"

    def test_a_repository_that_does_not_answer_has_not_said_no(self, host: Host, origin: Path) -> None:
        shutil.rmtree(origin)
        assert not host.run("schedule", "template-update")
        assert not host.lines("mlops update")
        assert failed(host) == "template-update/failed"

    def test_a_branch_of_a_like_name_is_another(self, host: Host, origin: Path) -> None:
        git(origin, "branch", "ideas/template-update")
        assert host.run("schedule", "template-update"), host.output
        assert host.lines("mlops update") == ["mlops update --plan"]

    def test_an_update_that_fails_is_told(self, host: Host, origin: Path) -> None:
        host.rules = {"mlops update --plan": {"exit": 2}}
        assert not host.run("schedule", "template-update")
        assert failed(host) == "template-update/failed"

    def test_what_changes_workflows_is_told(self, host: Host, origin: Path) -> None:
        self.waiting(host, 0, **{".github/workflows/train.yml": "name: newer\n"})
        assert host.run("schedule", "template-update"), host.output
        (told,) = host.told()
        assert (told["key"], told["kind"]) == ("template-update", "update")
        assert "~ README.md" in told["body"]
        assert git(origin, "branch", "--list", "template-update") == ""


@pytest.mark.full
class TestCi:
    def change(self, host: Host, *names: str) -> None:
        for name in names:
            host.write(name, "# new\n")
        commit(host.root, "Change")

    def request(self, host: Host, repository: str = "acme/taxi-fares") -> bool:
        head = {"repo": {"full_name": repository}, "ref": "idea"}
        return host.run("pull_request", "ci", pull_request={"number": 3, "head": head, "base": {"ref": "main"}})

    def checked(self, host: Host) -> None:
        """Have the scan's archive be one that gets past its checksum, as this test has no other."""
        path = host.root / ".github" / "workflows" / "ci.yml"
        text = path.read_text(encoding="utf-8").replace("sha256sum --check --strict", "cat")
        path.write_text(text.replace('"$RUNNER_TEMP/gitleaks" git', "gitleaks git"), encoding="utf-8")
        commit(host.root, "Have another archive")

    def test_a_change_of_everything(self, host: Host) -> None:
        self.checked(host)
        self.change(host, "config/dev.yml", "src/a.py", "infrastructure/ps-rule.yaml")
        host.rules = {
            "mlops infrastructure plan": {"exit": 1, "report": MORE},
            "pwsh": {"files": {".mlops/psrule/psrule.txt": "findings"}},
        }
        assert self.request(host), host.output
        done = set(host.lines("ruff", "mypy", "pytest", "mlops", "gate"))
        assert done >= {"ruff check", "ruff format --check", "mypy", "pytest -n auto", "mlops check", "mlops run"}
        assert done >= {"mlops config render --check", "mlops scan --report scan.json", "mlops infrastructure check"}
        assert host.lines("mlops infrastructure check", "pwsh") == [
            "mlops infrastructure check",
            "pwsh -NoProfile -NonInteractive -File infrastructure/psrule.ps1",
        ]
        assert not any(call["client"] for call in host.calls if call["line"].startswith("pwsh"))
        assert "kept .mlops/psrule/" in host.output
        assert host.lines("gate", "mlops infrastructure plan", "gh", client=True)[-6:] == [
            "app-plan: gate plan",
            *(
                f"app-plan: mlops infrastructure plan --env {environment} --report plan.md"
                for environment in ("shared", "dev", "staging", "prod")
            ),
            "app-plan: gh pr comment 3 --edit-last --create-if-none --body-file comment.md",
        ]
        body = next(call["body"] for call in host.calls if "body" in call)
        assert re.findall(r"# (\w+)\n\nmore for \1\n", body) == ["shared", "dev", "staging", "prod"]

    def test_a_change_from_elsewhere_gets_no_identity(self, host: Host) -> None:
        self.checked(host)
        self.change(host, "config/dev.yml")
        assert self.request(host, "mallory/taxi-fares"), host.output
        assert "mlops infrastructure check" in host.lines()
        assert not host.lines("gate plan", "mlops infrastructure plan")
        assert not host.lines("pwsh"), "there is nothing that PSRule reads"

    def test_long_plans_are_cut_alike_and_say_so(self, host: Host) -> None:
        self.checked(host)
        self.change(host, "config/dev.yml")
        lines = "".join(f"+ resource {number} of {{--env}}, ünlike others\n" for number in range(1500))
        report = "### {--env}: many\n\n- breaks CKV_1\n\n````text\n" + lines + "````\n\nShown as `0`\n"
        host.rules = {
            "mlops infrastructure plan": {"exit": 1, "report": report},
            "mlops infrastructure plan --env dev": {"exit": 1, "report": MORE},
        }
        assert self.request(host), host.output
        body = next(call["body"] for call in host.calls if "body" in call)
        assert len(body) < 65_536, "GitHub refuses longer comments"
        assert re.findall(r"(?m)^# (\w+)$", body) == ["shared", "dev", "staging", "prod"]
        parts = re.split(r"(?m)^# \w+$", body)[1:]
        for part in (parts[0], parts[2], parts[3]):
            fences = re.findall(r"(?m)^````(?:text)?$", part)
            assert fences == ["````text", "````"], "what follows is not in it"
            *_, before, end, _, note = part.strip().splitlines()
            assert re.fullmatch(r"\+ resource \d+ of \w+, ünlike others", before), "whole lines"
            assert end == "````"
            assert re.search(r"longer: .*https://github\.com/acme/taxi-fares/actions/runs/", note)
        assert parts[1].strip() == "more for dev"

    def test_a_change_of_text_is_looked_at_for_secrets_alone(self, host: Host) -> None:
        self.checked(host)
        self.change(host, "docs/more.md")
        assert self.request(host), host.output
        assert host.lines("gitleaks") == ["gitleaks git --no-banner --redact"]
        assert host.lines() == []
        assert not host.lines("uv")
        assert "changes: success\n" in re.sub(r"(?m)^.*\| ", "", host.output), "the check that is required says it"

    def test_a_secret_in_text_ends_it(self, host: Host) -> None:
        self.checked(host)
        self.change(host, "docs/more.md")
        host.rules = {"gitleaks": {"exit": 1}}
        assert not self.request(host)
        assert "Failure - Main See that nothing failed" in host.output

    def test_a_plan_that_fails_is_no_change(self, host: Host) -> None:
        self.checked(host)
        self.change(host, "config/dev.yml")
        host.rules = {"mlops infrastructure plan --env dev": {"exit": 2, "report": "no"}}
        assert not self.request(host)
        assert not host.lines("gh pr comment")

    def test_policies_of_the_team_are_infrastructure(self, host: Host) -> None:
        self.checked(host)
        self.change(host, "policies/global-settings.jsonc")
        host.rules = {"mlops infrastructure plan": {"exit": 1, "report": MORE}}
        assert self.request(host), host.output
        assert "app-plan: mlops infrastructure plan --env shared --report plan.md" in host.lines("mlops", client=True)
        assert "policies/**" in load(texts()["workflows/infrastructure.yml"])["on"]["push"]["paths"]

    def test_psrule_that_fails_ends_it_and_its_findings_are_kept(self, host: Host) -> None:
        self.checked(host)
        self.change(host, "infrastructure/ps-rule.yaml")
        host.rules = {"pwsh": {"exit": 1, "files": {".mlops/psrule/psrule.txt": "findings"}}}
        assert not self.request(host)
        assert "kept .mlops/psrule/" in host.output
        assert not host.lines("gate plan")

    def test_a_faulty_policy_or_another_archive_ends_it(self, host: Host) -> None:
        self.change(host, "config/dev.yml")
        host.rules = {"mlops infrastructure check": {"exit": 1}, "curl": {"report": "not gitleaks"}}
        assert not self.request(host)
        assert not host.lines("gate plan")
        assert not host.lines("tar"), "what is not the published archive is not unpacked"
        assert "FAILED" in host.output


# The plug-in


@pytest.fixture
def plugin(plug_ins_of: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The host's plug-in, in a job of run 5; `asked` are its calls, `answers` what GitHub says to them."""
    plug_ins_of("ci/github-actions")
    host = importlib.import_module("mlops_runtime.host")
    asked: list[Any] = []
    answers: dict[str, Any] = {}

    def gh(path: str, method: str = "", body: Any = None) -> Any:
        asked.append((path, method, body))
        return answers[f"{method} {path}".strip()]

    def load(environment: str) -> Any:
        return SimpleNamespace(infrastructure=SimpleNamespace(workspaces=answers.get("workspaces", "separate")))

    monkeypatch.setattr(host, "gh", gh)
    monkeypatch.setattr(host.config, "load", load)
    run = {"GITHUB_RUN_ID": "5", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/taxi-fares"}
    for name, value in run.items():
        monkeypatch.setenv(name, value)
    host.asked, host.answers = asked, answers
    return host


def review(who: str, *environments: str, state: str = "approved") -> dict[str, Any]:
    return {"state": state, "user": {"login": who}, "environments": [{"name": name} for name in environments]}


REVIEWS = "repos/{owner}/{repo}/actions/runs/5/approvals"


def test_who_approved(plugin: Any) -> None:
    plugin.answers[REVIEWS] = [
        review("lea", "prod-project-lead"),
        review("mallory", "prod", state="rejected"),
        review("olaf", "prod"),
        review("olaf", "prod"),
        review("tess", "staging"),
    ]
    where = "https://github.com/acme/taxi-fares/actions/runs/5"
    assert plugin.approvals("prod") == (["lea", "olaf"], where)
    assert plugin.approvals("staging") == (["tess"], where)
    assert plugin.approvals("dev") == ([], where)
    plugin.answers["workspaces"] = "one"
    assert plugin.approvals("staging") == (["lea", "olaf"], where)


def test_outside_of_a_job(plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_RUN_ID")
    with pytest.raises(Problem, match="GITHUB_RUN_ID is not set"):
        plugin.approvals("prod")


def issues(page: int) -> str:
    return f"repos/{{owner}}/{{repo}}/issues?state=open&creator=github-actions%5Bbot%5D&per_page=100&page={page}"


def test_an_event_becomes_one_issue(plugin: Any) -> None:
    plugin.answers[issues(1)] = []
    plugin.answers["POST repos/{owner}/{repo}/issues"] = {"html_url": "https://github.com/acme/taxi-fares/issues/1"}
    assert plugin.tell(FAILED).endswith("/issues/1")
    made = plugin.asked[-1][2]
    assert made == {"title": "Job x", "body": "log\n\n<!-- dev-failed-x -->", "labels": ["failed"]}

    there = {"number": 1, "title": made["title"], "body": made["body"], "html_url": "…/1"}
    other = {"number": 2, "title": "", "body": None, "html_url": "…/2"}
    plugin.answers[issues(1)], plugin.answers[issues(2)] = [other] * 100, [there]
    plugin.asked.clear()
    assert plugin.tell(FAILED) == "…/1"
    assert [method for _, method, _ in plugin.asked] == ["", ""], "nothing has changed"
    plugin.answers["PATCH repos/{owner}/{repo}/issues/1"] = {}
    assert plugin.tell({**FAILED, "body": "more"}) == "…/1"
    assert plugin.asked[-1][1:] == ("PATCH", {"title": "Job x", "body": "more\n\n<!-- dev-failed-x -->"})


COMMITS = "repos/{owner}/{repo}/commits/c0ffee"
WROTE = {
    "squashed": (["ann"], ["p"], "ann", ["ann"]),
    "with another's name": (["ann"], ["p"], "ben", ["ann", "ben"]),
    "merged by somebody": (["ann"], ["p", "q"], "ben", ["ann"]),
    "pushed": ([], ["p"], "ann", ["ann"]),
    "a merge that was pushed": ([], ["p", "q"], "ben", ["ben"]),
    "an e-mail without an account": ([], ["p"], None, []),
    "such a one, by a pull request": (["ann"], ["p"], None, ["ann"]),
}


@pytest.mark.parametrize("how", WROTE)
def test_who_wrote_a_commit(plugin: Any, how: str) -> None:
    """By login, as approvals are."""
    pulls, parents, author, wanted = WROTE[how]
    open_one = {"user": {"login": "eve"}, "merged_at": None}
    merged = [{"user": {"login": name}, "merged_at": "2030-01-01T00:00:00Z"} for name in pulls]
    plugin.answers[f"{COMMITS}/pulls"] = [open_one, *merged]
    made = {"parents": [{"sha": sha} for sha in parents], "author": {"login": author} if author else None}
    plugin.answers[COMMITS] = made
    assert plugin.authors("c0ffee") == wanted
    plugin.answers[COMMITS] = {**made, "author": made["author"] or {}}
    assert plugin.authors("c0ffee") == wanted


def test_what_was_tried(plugin: Any) -> None:
    """Its issue is open; that of version 7 of another environment, or of 77, is another."""
    marks = ["<!-- release/staging-7 -->", "<!-- release/dev-77 -->", "text <!-- release/dev-7 --> text"]
    there = [{"number": n, "body": f"no\n\n{mark}", "html_url": f"…/{n}"} for n, mark in enumerate(marks)]
    plugin.answers[issues(1)] = there
    assert plugin.tried(CANDIDATE) == ""
    assert "…/0 is open" in plugin.tried({**CANDIDATE, "environment": "staging"})
    there.append({"number": 9, "body": "no\n\n<!-- release/dev-7 -->", "html_url": "…/9"})
    assert "…/9 is open" in plugin.tried(CANDIDATE)


def test_what_is_released_next_is_outputs(plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(file))
    plugin.release(Choice("dev-7", "7", "c0ffee"))
    found = re.findall(r"^(\w+)<<(\w+)\n(.*)\n\2$", file.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: value for name, _, value in found} == Choice("dev-7", "7", "c0ffee").outputs()


def test_what_is_told_is_text(plugin: Any) -> None:
    """It cannot take another issue's place, and GitHub takes it whatever its length."""
    plugin.answers[issues(1)] = []
    plugin.answers["POST repos/{owner}/{repo}/issues"] = {"html_url": ""}
    plugin.tell({**FAILED, "title": "a\nb" * 200, "body": "<!-- release/7 -->" + "x" * 100_000})
    made = plugin.asked[-1][2]
    assert "\n" not in made["title"]
    assert len(made["title"]) <= 256
    assert "<!-- release/7 -->" not in made["body"]
    assert made["body"].endswith("\n\n<!-- dev-failed-x -->")
    assert len(made["body"]) < 65_536


def test_an_output_is_one(plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(file))
    plugin.output("version", "7\ncommit=evil\nEOF")
    head, *lines, end, rest = file.read_text(encoding="utf-8").split("\n")
    assert head == f"version<<{end}"
    assert lines == ["7", "commit=evil", "EOF"]
    assert rest == ""


# With the real commands


@pytest.fixture
def project(baked: Baked, tmp_path: Path) -> Path:
    """A generated project, of whose tests one file is enough here: they run on their own elsewhere."""
    root = tmp_path / "repository"
    shutil.copytree(baked("classification"), root)
    runnable(root)
    path = root / ".github" / "workflows" / "ci.yml"
    text = path.read_text(encoding="utf-8").replace("pytest -n auto", "pytest tests/test_data.py")
    path.write_text(text, encoding="utf-8")
    return root


def ci(root: Path, *jobs: str) -> list[subprocess.CompletedProcess[str]]:
    """Run jobs of the workflow as a push would, with the Python that runs these tests."""
    commit(root)
    chosen = ("push", "--workflows", ".github/workflows/ci.yml", "--matrix", f"python:{PYTHON}")
    return [act(root, *chosen, "--env", f"UV_PYTHON={PYTHON}", "--job", job) for job in jobs]


@pytest.mark.full
def test_ci_succeeds_with_the_real_commands(project: Path) -> None:
    test, train = ci(project, "test", "train")
    for done in (test, train):
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r"\d+ passed", test.stdout)
    assert re.search(r"Registered \S+ version 1\.", train.stdout)
    kept = set(re.findall(r"kept (\.\S+)", train.stdout))
    # The third pattern is where a failed step leaves its log.
    assert kept == {".mlops/steps/*/*/log.txt", ".mlops/steps/evaluate/*/outputs/evaluation/"}


@pytest.mark.full
def test_ci_stops_at_a_fault(project: Path) -> None:
    (project / "src/mlops_runtime/fault.py").write_text("import os\n", encoding="utf-8")
    (done,) = ci(project, "test")
    assert done.returncode != 0
    assert "Failure - Main Lint" in done.stdout
