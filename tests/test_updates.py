"""Projects of earlier versions adopt later ones, however they were made, and keep what their team has written.

The earlier versions are made from today's template by the changes in tests/updates/ and tagged in one repository.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cookiecutter.main import cookiecutter
from filelock import FileLock
from mlops_runtime import cli, template

from .conftest import SLUG_FOLDER, TEMPLATE
from .tasks import BY_NAME
from .test_entry_points import git, run
from .test_structure import files, tracked

pytestmark = pytest.mark.full
TODAY = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
EARLIER = sorted(path.stem for path in (TEMPLATE / "tests/updates").glob("*.yml"))
QUESTIONS = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
NEXT = dict(zip(EARLIER, [*EARLIER[1:], TODAY], strict=True))
MACHINERY = f"{SLUG_FOLDER}/src/mlops_runtime"


# Earlier versions


def earlier(folder: Path, version: str) -> None:
    """Turn a copy of the template into the version before the one that it is."""
    change = yaml.safe_load((TEMPLATE / f"tests/updates/{version}.yml").read_text(encoding="utf-8"))
    for name in change.get("remove", []):
        (folder / name).unlink()
    for name, then in change.get("rename", {}).items():
        (folder / name).rename(folder / then)
    for name, content in change.get("add", {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    for one in [*change["replace"], {"in": "pyproject.toml", "text": 'name = "mlops-template"\n', "by": None}]:
        places = [folder / one["in"]] if one["in"] != "*" else [p for p in files(folder) if b"\0" not in p.read_bytes()]
        texts = {place: place.read_text(encoding="utf-8") for place in places}
        assert any(one["text"] in text for text in texts.values()), f"tests/updates/{version}.yml: no {one['text']!r}"
        for place, text in texts.items():
            lines = text.splitlines(keepends=True)
            if one["by"] is None:
                text = "".join(f'version = "{version}"\n' if line.startswith("version =") else line for line in lines)
            elif one["text"] not in text:
                continue
            place.write_text(text.replace(one["text"], one["by"] or one["text"]), encoding="utf-8")


@pytest.fixture(scope="session")
def history(shared: Path) -> Path:
    """A repository of the template with a tag for each version."""
    root = shared / "history.git" / "mlops-template"
    with FileLock(shared / "history.lock"):
        if (root / "ready").exists():
            return root
        states = {TODAY: shared / "history" / TODAY}
        for name in tracked():
            if (TEMPLATE / name).is_file() and not name.startswith(("tests/", "docs/")):
                (states[TODAY] / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(TEMPLATE / name, states[TODAY] / name)
        later = TODAY
        for version in reversed(EARLIER):
            states[version] = shutil.copytree(states[later], shared / "history" / version)
            earlier(states[version], version)
            later = version
        root.mkdir(parents=True)
        git("init", "-q", "-b", "main", cwd=root)
        for version in [*EARLIER, TODAY]:
            for path in root.iterdir():
                if path.name != ".git":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            # As new files: git takes one of the same size and time for the one that it knows.
            shutil.copytree(states[version], root, dirs_exist_ok=True, copy_function=shutil.copy)
            git("add", "-A", cwd=root)
            git("commit", "-qm", f"Version {version}", cwd=root)
            git("tag", f"v{version}", cwd=root)
        (root / ".git/info/exclude").write_text("ready\n")
        (root / "ready").touch()
    return root


# Projects


@pytest.fixture(autouse=True)
def github(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git finds there what it would get from GitHub."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{history.as_uri()}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/acme/mlops-template.git")


def generate(source: str, version: str | None, out: Path, answers: dict[str, str]) -> Path:
    return Path(cookiecutter(source, version, True, answers, output_dir=str(out)))


def from_path(history: Path, version: str, folder: Path, answers: dict[str, str]) -> Path:
    place = folder / "clone"
    git("clone", "-q", history, place, cwd=folder)
    git("checkout", "-q", f"v{version}", cwd=place)
    git("remote", "remove", "origin", cwd=place)  # a template that lives on this machine alone
    return generate(str(place), None, folder, answers)


def from_git(history: Path, version: str, folder: Path, answers: dict[str, str]) -> Path:
    return generate(history.as_uri(), f"v{version}", folder, answers)


def from_cruft(history: Path, version: str, folder: Path, answers: dict[str, str]) -> Path:
    words = ["--no-input", "--output-dir", folder, "--extra-context", json.dumps(answers), "--checkout", f"v{version}"]
    done = run("cruft", "create", history.as_uri(), *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / answers["project_slug"]


def from_zip(history: Path, version: str, folder: Path, answers: dict[str, str]) -> Path:
    archive = folder / "template.zip"
    prefix = "--prefix=mlops-template/"
    git("archive", "--format=zip", prefix, "-o", archive, f"v{version}", cwd=history)
    return generate(str(archive), None, folder, answers)


def from_gh(history: Path, version: str, folder: Path, answers: dict[str, str]) -> Path:
    return generate("gh:acme/mlops-template", f"v{version}", folder, answers)


ENTRIES: dict[str, Callable[..., Path]] = {
    "path": from_path,
    "git": from_git,
    "gh": from_gh,
    "cruft": from_cruft,
    "zip": from_zip,
}


def make(history: Path, entry: str, version: str, folder: Path, **answers: str) -> Path:
    """A project of an earlier version, committed."""
    folder.mkdir(exist_ok=True)
    asked = {"project_name": "Taxi Fares", "project_slug": "taxi-fares", "author": 'José "Pepe" O\'Neil', **answers}
    project = ENTRIES[entry](history, version, folder, asked)
    git("init", "-q", "-b", "main", cwd=project)
    commit(project, "Start")
    return project


def commit(project: Path, message: str) -> None:
    git("add", "-A", cwd=project)
    git("commit", "-qm", message, cwd=project)


def environment(project: Path) -> dict[str, str]:
    """In which Python runs the project's own machinery."""
    return {**os.environ, "PYTHONPATH": str(project / "src"), "PYTHONDONTWRITEBYTECODE": "1"}


def update(project: Path, *arguments: str, code: int = 0) -> str:
    """What `mlops update` prints; it must end with that code."""
    command = [sys.executable, "-m", "mlops_runtime.cli", "update", *arguments]
    done = subprocess.run(
        command, cwd=project, env=environment(project), capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


# A team's work

RENAMED = {"infrastructure/queries/traffic.kql": "infrastructure/queries/requests.kql"}  # by the team
MOVED = {"tests/test_exploring.py": "tests/test_notebooks.py"}  # by a later version


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path.name} has no {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8", newline="")


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8", newline="")


@dataclass
class Work:
    """What a team has written since `start`: lines and files, by path; what it deleted."""

    lines: dict[str, list[bytes]]
    binary: dict[str, bytes]
    deleted: set[str]

    @classmethod
    def of(cls, project: Path) -> "Work":
        start, now = (states(project, commit) for commit in ("HEAD~1", "HEAD"))
        lines: dict[str, list[bytes]] = {}
        binary: dict[str, bytes] = {}
        for name, content in now.items():
            if content != start.get(name):
                if b"\0" in content:
                    binary[name] = content
                else:
                    before = start.get(RENAMED.get(name, name), b"")
                    lines[name] = list((Counter(words(content)) - Counter(words(before))).elements())
        return cls(lines, binary, start.keys() - now.keys())

    def check(self, project: Path) -> None:
        """Every line and every file is still there."""
        assert sum(map(len, self.lines.values())) >= 15
        for name, lines in self.lines.items():
            place = project / name if (project / name).exists() else project / MOVED[name]
            found = Counter(words(place.read_bytes()))
            lost = Counter(lines) - found
            assert not lost, f"{name} lost {list(lost)}"
        for name, content in self.binary.items():
            assert (project / name).read_bytes() == content, f"{name} was changed"
        for name in self.deleted:
            assert not (project / name).exists(), f"{name} came back"


def words(content: bytes) -> list[bytes]:
    return [line.rstrip(b"\r") for line in content.split(b"\n") if line.strip()]


def states(project: Path, commit: str) -> dict[str, bytes]:
    """All files of a commit."""
    archive = subprocess.run(["git", "archive", "--format=tar", commit], cwd=project, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar if one.isfile()}  # type: ignore[union-attr]


def work(project: Path) -> Work:
    """Edit, add, delete and rename files as teams do, where later versions change something and elsewhere."""
    package = project / "src/taxi_fares"
    append(package / "data.py", "\n\ndef ours() -> str:\n    return 'read from our lake'\n")
    edit(package / "train.py", '"""', '"""For taxis: ')
    (package / "fares.py").write_text('"""Fares."""\n\nPER_MILE = 2.5\n', newline="\n")
    (project / "docs").mkdir(exist_ok=True)
    (project / "docs/decisions.md").write_text("# What we decided\n\nNo tips.\n", newline="\n")
    edit(project / "pyproject.toml", '    "alembic>=1.13",\n', '    "alembic>=1.13",\n    "pyproj>=3.7", # distances\n')
    edit(project / "config/dev.yml", "  resource_group: rg-taxi-fares-dev", "  resource_group: rg-ours # shared")
    edit(
        project / "config/dev.yml",
        "  clusters:",
        "  clusters:\n    our-gpus: {size: Standard_NC24ads_A100_v4, nodes: 2}\n   ",
    )
    edit(project / "config/prod.yml", "budget: {monthly: ", "budget: {monthly: 1")
    append(project / "README.md", "\n## On call\n\nRing the bell.\n")
    append(project / ".gitignore", "\n# Ours\nnotes/\n")
    edit(project / "src/mlops_runtime/errors.py", "Wrong use or a failure", "Wrong use, or a failure")
    (project / "infrastructure/queries/requests.kql").rename(project / "infrastructure/queries/traffic.kql")
    append(project / "infrastructure/queries/traffic.kql", "| where RequestsPerMinute > 0\n")
    edit(project / "infrastructure/alerts.yml", "    query: requests\n", "    query: traffic\n")
    notebooks = project / "tests/test_notebooks.py"
    append(
        notebooks if notebooks.exists() else project / "tests/test_exploring.py", "\n\nHOURS = 24  # a day of taxis\n"
    )
    (project / "notebooks/explore.py").unlink()
    (project / ".devcontainer/devcontainer.json").unlink()
    sample = next(path for path in files(project / "data") if path.suffix not in (".md", ".yml"))
    sample.write_bytes(b"\0ours" + sample.read_bytes())
    render = "from pathlib import Path; from mlops_runtime import derived; derived.render(Path.cwd())"
    subprocess.run([sys.executable, "-c", render], cwd=project, env=environment(project), check=True)
    commit(project, "Work")
    return Work.of(project)


def fresh(history: Path, folder: Path, version: str, project: Path) -> dict[str, bytes]:
    """What a version makes of a project's answers, generated anew."""
    answers = {name: value for name, value in template.Record.read(project).answers.items() if name in QUESTIONS}
    made = generate(history.as_uri(), f"v{version}", folder / "fresh", answers)
    return {path.relative_to(made).as_posix(): path.read_bytes() for path in files(made)}


def expect_update(project: Path, made_of: Work, wanted: dict[str, bytes]) -> None:
    """The team's files are theirs, derived files are what the merged ones say, all others are the new version's."""
    made_of.check(project)
    stale = "from pathlib import Path; from mlops_runtime import derived; print(derived.stale(Path.cwd()))"
    command = [sys.executable, "-c", stale]
    assert subprocess.check_output(command, cwd=project, env=environment(project), text=True) == "[]\n"
    theirs = {*made_of.lines, *made_of.binary, *made_of.deleted, *(MOVED.get(name, name) for name in made_of.lines)}
    theirs |= {*RENAMED.values(), ".cruft.json", ".template.json"}
    found = {path.relative_to(project).as_posix(): path.read_bytes() for path in files(project)}
    theirs |= {name for name in found if "azuredeploy.parameters" in name}
    for name in (found.keys() | wanted.keys()) - theirs:
        assert found.get(name) == wanted.get(name), f"{name} is not that of the new version"
    assert git("diff", "--name-only", cwd=project) == "", "all of it is staged"


COMBINATIONS = {  # task, target, tool, CI system, made by, from: through which versions; None is the newest
    "classification online bicep github-actions git 0.0.2": [None],
    "image-classification batch terraform azure-pipelines zip 0.0.1": [None],
    "regression batch terraform gitlab-ci cruft 0.0.2": [None],
    "forecasting online terraform github-actions zip 0.0.2": ["0.0.3", None],
    "segmentation batch bicep gitlab-ci path 0.0.1": [None],
    "text-classification kubernetes bicep azure-pipelines git 0.0.1": ["0.0.2", "0.0.3", None],
    "token-classification online arm azure-pipelines path 0.0.3": [None],
    "text-generation kubernetes terraform gitlab-ci cruft 0.0.1": [None],
    "classification kubernetes arm azure-pipelines cruft 0.0.3": [None],
    "regression online bicep github-actions zip 0.0.3": [None],
    "segmentation online terraform github-actions gh 0.0.3": [None],
    "text-classification batch terraform gitlab-ci path 0.0.2": ["v0.0.3"],
}


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_update(history: Path, tmp_path: Path, combination: str) -> None:
    task, deployment, iac_tool, ci_system, entry, version = combination.split()
    through = COMBINATIONS[combination]
    answers = {"scenario": BY_NAME[task].scenario, "task": task, "deployment": deployment, "iac_tool": iac_tool}
    answers["ci_system"] = ci_system
    project = make(history, entry, version, tmp_path, **answers)
    made_of = work(project)
    for step in through:
        source = ["--template", history.as_uri()] if (project / ".template.json").exists() else []
        said = update(project, *source, *(["--to", step] if step else []))
        assert f"→ {(step or TODAY).removeprefix('v')} (" in said
        if step == "0.0.3":
            assert "To do by hand for 0.0.3:\n- Say in `docs/roadmap.md` what you plan.\n" in said
        commit(project, f"Update to {step}")
    last = (through[-1] or TODAY).removeprefix("v")
    expect_update(project, made_of, fresh(history, tmp_path, last, project))
    content = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert content["tool"]["mlops"]["template"]["version"] == last
    assert not (project / ".template.json").exists()
    if entry == "zip":  # linked by the update
        assert run("cruft", "check", "--checkout", f"v{last}", cwd=project).returncode == 0
    elif entry in ("git", "gh") and last == TODAY:
        assert "Up to date" in update(project, "--plan")


def test_no_choice_is_ever_taken_back(history: Path) -> None:
    """Whoever has made it would have no way to update."""
    for version in EARLIER:
        before = json.loads(git("show", f"v{version}:cookiecutter.json", cwd=history))
        for name, choices in before.items():
            if isinstance(choices, list) and not name.startswith("_"):
                assert set(choices) <= set(QUESTIONS[name]), f"{name} of {version}"


def test_without_a_teams_work_it_is_what_the_new_version_generates(history: Path, tmp_path: Path) -> None:
    project = make(history, "git", "0.0.1", tmp_path, iac_tool="terraform")
    plan = update(project, "--plan", code=1)
    assert git("status", "--porcelain", cwd=project) == ""
    assert update(project).startswith(plan), "what was planned is done"
    found = {path.relative_to(project).as_posix(): path.read_bytes() for path in files(project)}
    wanted = fresh(history, tmp_path, TODAY, project)
    assert {**found, ".cruft.json": b""} == {**wanted, ".cruft.json": b""}
    assert "azure_region: not asked → westeurope" in plan
    planned = {line[2:] for line in plan.splitlines() if line[:2] in ("+ ", "~ ", "- ")} - {"new  ~ changed  - removed"}
    assert planned == set(git("diff", "--cached", "--no-renames", "--name-only", cwd=project).splitlines())


CHANGES = [f"{name}={value}" for name in ("iac_tool", "deployment", "ci_system") for value in QUESTIONS[name][1:]]


@pytest.mark.parametrize("change", CHANGES)
def test_another_answer(history: Path, tmp_path: Path, change: str) -> None:
    """And a later version at once."""
    project = make(history, "git", "0.0.3", tmp_path)
    made_of = work(project)
    name, _, value = change.partition("=")
    said = update(project, "--set", change)
    assert f"    {name}: {QUESTIONS[name][0]} → {value}\n" in said
    commit(project, "Update")
    expect_update(project, made_of, fresh(history, tmp_path, TODAY, project))
    assert template.Record.read(project).answers[name] == value


def test_another_scenario_loses_nothing(history: Path, tmp_path: Path) -> None:
    project = make(history, "git", "0.0.3", tmp_path)
    made_of = work(project)
    said = update(project, "--set", "scenario=nlp", "--set", "task=text-classification", code=1)
    assert "! src/taxi_fares/data.py: you and the template changed the same lines" in said
    made_of.check(project)


def test_conflicts(history: Path, tmp_path: Path) -> None:
    project = make(history, "git", "0.0.2", tmp_path)
    edit(project / "config/dev.yml", "  default: serverless", "  default: our-cluster")
    append(project / "infrastructure/main.bicep", "// ours\n")
    commit(project, "Work")
    before = {path: path.read_bytes() for path in files(project)}
    said = update(project, "--set", "iac_tool=arm", code=1)
    assert "! config/dev.yml: you and the template changed the same lines" in said
    assert "! infrastructure/main.bicep: you changed it, the template no longer has it: yours stays" in said
    assert said.count("\n! ") == 2
    assert "2 conflicts to resolve" in said
    marked = (project / "config/dev.yml").read_text(encoding="utf-8")
    assert "<<<<<<< yours\n  default: our-cluster\n=======\n  default: cpu-cluster # or serverless\n>>>>>>> " in marked
    assert (project / "infrastructure/main.bicep").read_text(encoding="utf-8").endswith("// ours\n")
    assert not (project / "infrastructure/modules").exists(), "what nobody touched goes"
    assert {line[:2] for line in git("status", "--porcelain", cwd=project).splitlines()} >= {"UU", "UD"}
    assert "There are conflicts: resolve" in update(project, code=2)
    git("reset", "--hard", "-q", cwd=project)
    assert before == {path: path.read_bytes() for path in files(project)}


def test_cruft_and_mlops_take_turns(history: Path, tmp_path: Path) -> None:
    project = make(history, "cruft", "0.0.1", tmp_path)
    edit(project / ".cruft.json", '"template"', '"skip": ["docs/*"],\n  "template"')
    commit(project, "Leave our documents alone")
    for number, step in enumerate([*EARLIER[1:], TODAY]):
        if number % 2 == 0:
            update(project, "--to", step)
        else:
            done = run("cruft", "update", "--skip-apply-ask", "--checkout", f"v{step}", cwd=project)
            assert done.returncode == 0, done.stdout + done.stderr
        commit(project, f"Update to {step}")
    assert run("cruft", "check", cwd=project).returncode == 0
    assert "Up to date" in update(project)
    wanted = fresh(history, tmp_path, TODAY, project)
    assert {path.relative_to(project).as_posix() for path in files(project)} == {*wanted, "docs/roadmap.md"}


WRONG = {  # what is asked for: what is said
    "": "`mlops update --template URL`",
    "--template {here} --version 9.9.9": "has no 9.9.9: name the version that this project has by --version",
    "--template {here} --version 9": "Releases: v0.0.1, v0.0.2, v0.0.3",
    "--template {here} --to 9": "The template has no version, tag, branch or commit 9",
    "--template {here} --to --upload-pack=x": "expected one argument",
    "--template {here} --to=--all": "The template has no version, tag, branch or commit --all",
    "--template {here} --set colour=red": "there is no question colour; there are project_name, ",
    "--template {here} --set colour": "--set colour: write it as ANSWER=VALUE",
    "--template {here} --set iac_tool=pulumi": "iac_tool 'pulumi' is none of bicep, terraform",
    "--template {here} --set scenario=cv": "task 'classification' does not exist for 'cv': choose one of image-class",
    "--template https://user:secret@127.0.0.1:9/t.git": "cannot be read from https://127.0.0.1:9/t.git; name another",
}


def test_what_is_wrong_is_said(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = make(history, "zip", "0.0.3", tmp_path)
    monkeypatch.chdir(project)

    def said(words: str) -> str:
        try:
            code = cli.main(["update", *words.format(here=history.as_uri()).split()])
        except SystemExit as ended:  # of argparse
            code = int(str(ended.code))
        assert code == 2
        return capsys.readouterr().err

    for words, message in WRONG.items():
        found = said(words)
        assert message in found
        assert "secret" not in found
        assert len(found.splitlines()) < 8
    assert git("status", "--porcelain", cwd=project) == ""

    answers = template.Record.read(project).answers
    (project / ".template.json").unlink()
    commit(project, "Lose the record")
    assert "`mlops update --template URL --set ANSWER=VALUE, for each of its questions`" in said("")
    assert "add --set ANSWER=VALUE for project_slug" in said("--template {here} --set project_name=Taxi")
    given = [word for name, value in answers.items() for word in ("--set", f"{name}={value}")]
    update(project, "--template", history.as_uri(), *given)
    assert "uncommitted changes" in said("--template {here}")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git is not installed" in said("")
