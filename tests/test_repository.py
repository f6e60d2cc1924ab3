"""The template's own repository on GitHub: workflows, forms and hooks are valid and do what they say."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import TEMPLATE
from .tasks import BY_NAME
from .test_lint import CHECKS, YAMLLINT, run

WORKFLOWS = sorted((TEMPLATE / ".github/workflows").glob("*.yml"))
FORMS = sorted((TEMPLATE / ".github/ISSUE_TEMPLATE").glob("*.yml"))
Change = Callable[[str], str]

# Stand-ins on the path: they note what they were asked, do what the test needs of it, and refuse the rest.
FAKES = {
    "uv": """
if words[:3] == ["run", "--no-default-groups", "python"]:
    sys.exit(subprocess.run([sys.executable, *words[3:]]).returncode)
elif words[0] == "export":
    output = pathlib.Path(words[words.index("--output-file") + 1])
    output.write_text("# " + words[words.index("--project") + 1])
elif words[:3] != ["sync", "--quiet", "--no-default-groups"] or not pathlib.Path("pyproject.toml").is_file():
    sys.exit(f"uv: unknown {words}")
""",
    "uvx": """
if words[:3] == ["--from", "pip-audit==2.10.1", "pip-audit"]:
    sys.exit(int("VULNERABLE" in os.environ and os.environ["VULNERABLE"] in pathlib.Path(words[-1]).read_text()))
elif words[:4] == ["--from", "cyclonedx-bom==7.5.0", "cyclonedx-py", "environment"]:
    pathlib.Path(words[words.index("--output-file") + 1]).write_text("{}")
else:
    sys.exit(f"uvx: unknown {words}")
""",
    "gh": """
if words[:2] != ["release", "create"] or "GH_TOKEN" not in os.environ or "GH_REPO" not in os.environ:
    sys.exit(f"gh: unknown {words}")
missing = [word for word in words[3:] if word.startswith("dist/") and not pathlib.Path(word).is_file()]
sys.exit(f"gh: no {missing}" if missing else 0)
""",
}
FAKE = """#!{python}
import json, os, pathlib, subprocess, sys
words = sys.argv[1:]
with open({calls!r}, "a") as file:
    file.write(json.dumps([{name!r}, *words]) + "\\n")
{does}"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the repository's own configuration as a git repository."""
    root = tmp_path / "repository"
    shutil.copytree(TEMPLATE / ".github", root / ".github")
    shutil.copy(TEMPLATE / ".pre-commit-config.yaml", root)
    subprocess.run(["git", "init", "-q", root], check=True)
    return root


def faults(root: Path) -> str:
    """What the linters say of the workflows."""
    workflows = sorted((root / ".github/workflows").glob("*.yml"))
    schema = ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows]
    checks = [CHECKS["actionlint"], CHECKS["zizmor"], CHECKS["dependabot schema"], schema]
    checks.append(["yamllint", "-s", "-d", YAMLLINT, ".github"])
    failed = [done for check in checks if (done := run(*check, cwd=root)).returncode != 0]
    return "".join(done.stdout + done.stderr for done in failed)


def test_workflows_pass_their_linters(repository: Path) -> None:
    assert not faults(repository)
    # The inputs of an action are known to actionlint by its version and not by its commit.
    for file in (repository / ".github/workflows").glob("*.yml"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"uses: (?!\$/)(?!\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+\n)", text), f"{file.name}: not pinned"
        file.write_text(re.sub(r"@[0-9a-f]{40} # (v\d+)\S*", r"@\1", text), encoding="utf-8")
    done = run(*CHECKS["actionlint"], cwd=repository)
    assert done.returncode == 0, done.stdout


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "change"),
    {
        "ci.yml": lambda text: text.replace("  pull_request:\n", "  pull_request_target:\n"),
        "examples.yml": lambda text: text.replace("@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f", "@v7"),
        "release.yml": lambda text: text.replace('"$GITHUB_REF_NAME" dist/*', '"${{ github.ref_name }}" dist/*'),
    }.items(),
)
def test_a_careless_workflow_is_seen(repository: Path, name: str, change: Change) -> None:
    file = repository / ".github/workflows" / name
    text = file.read_text(encoding="utf-8")
    assert change(text) != text
    file.write_text(change(text), encoding="utf-8")
    assert faults(repository)


def test_permissions_and_limits() -> None:
    for file in WORKFLOWS:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert content["permissions"] == {}, file.name
        for name, job in content["jobs"].items():
            assert "uses" in job or job["timeout-minutes"] <= 120, name
            written = {key for key, value in job["permissions"].items() if value == "write"}
            assert not written or job["environment"] == "release", f"{file.name}: {name} writes without approval"
            assert "pull_request_target" not in content[True], "runs a stranger's change with rights"


@pytest.mark.parametrize("form", FORMS, ids=lambda path: str(path.stem))
def test_forms(form: Path, tmp_path: Path) -> None:
    schema = "vendor.github-issue-config" if form.stem == "config" else "vendor.github-issue-forms"
    check = ["check-jsonschema", "--builtin-schema", schema]
    done = run(*check, form, cwd=TEMPLATE)
    assert done.returncode == 0, done.stdout
    text = form.read_text(encoding="utf-8").replace("textarea", "text").replace("false", "no answer")
    (tmp_path / form.name).write_text(text, encoding="utf-8")
    assert run(*check, tmp_path / form.name, cwd=TEMPLATE).returncode != 0


@pytest.mark.parametrize("of", ["template", "project"])
def test_pre_commit_has_nothing_to_look_up(repository: Path, baked: Callable[..., Path], of: str) -> None:
    """Hooks run what the environment has installed, whose update is theirs: autoupdate works and changes nothing."""
    config = repository / ".pre-commit-config.yaml"
    if of == "project":
        shutil.copy(baked("classification") / config.name, config)
    before = config.read_bytes()
    for words in (["validate-config"], ["autoupdate"]):
        done = run("pre-commit", *words, cwd=repository)
        assert done.returncode == 0, done.stdout + done.stderr
    assert config.read_bytes() == before


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the repository as it is here, about to be released."""
    root = tmp_path / "clone"
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TEMPLATE,
        capture_output=True,
        check=True,
    )
    for name in filter(None, names.stdout.decode().split("\0")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TEMPLATE / name, root / name)
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    (root / "CHANGELOG.md").write_text(f"{changes}\n## 7.8.9 – today\n\n- Something.\n", encoding="utf-8")
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    project = re.sub(r'^version = ".*"$', 'version = "7.8.9"', project, count=1, flags=re.MULTILINE)
    (root / "pyproject.toml").write_text(project, encoding="utf-8")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Release 7.8.9"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


def execute(root: Path, workflow: str, job: str, **variables: str) -> tuple[int, str, list[list[str]]]:
    """Run the scripts of a job, as its runner would; the exit code, what was printed, and what the fakes were asked."""
    content = yaml.safe_load((root / ".github/workflows" / workflow).read_text(encoding="utf-8"))
    said: dict[str, Any] = content["jobs"][job]
    fakes, calls, scratch = root.parent / "fakes", root.parent / "calls", root.parent / "scratch"
    for folder in (fakes, scratch):
        folder.mkdir(exist_ok=True)
    for name, does in FAKES.items():
        text = FAKE.format(python=sys.executable, calls=str(calls), name=name, does=does)
        (fakes / name).write_text(text, encoding="utf-8")
        (fakes / name).chmod(0o755)
    base = {**os.environ, **variables, "RUNNER_TEMP": str(scratch), "PATH": f"{fakes}{os.pathsep}{os.environ['PATH']}"}
    printed, code = "", 0
    for step in said["steps"]:
        if "run" not in step:
            continue
        own = {**content.get("env", {}), **said.get("env", {}), **step.get("env", {})}
        expressions = {"${{ github.token }}": "token", "${{ github.repository }}": "org/template"}
        own = {key: expressions.get(value, value) for key, value in own.items()}
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(shell, cwd=root, env={**base, **own}, capture_output=True, encoding="utf-8", check=False)
        printed, code = printed + done.stdout + done.stderr, done.returncode
        if code:
            break
    asked = [json.loads(line) for line in calls.read_text(encoding="utf-8").splitlines()] if calls.exists() else []
    return code, printed, asked


@pytest.mark.full
def test_a_release(clone: Path) -> None:
    code, said, _ = execute(clone, "release.yml", "pack", GITHUB_REF_NAME="v7.8.9")
    assert code == 0, said
    names = {"mlops-template-7.8.9.zip", "mlops-template-7.8.9.zip.sha256", "notes.md", "template.cdx.json"}
    assert {path.name for path in (clone / "dist").iterdir()} == names | {
        f"example-{task}.cdx.json" for task in BY_NAME
    }
    assert (clone / "dist/notes.md").read_text(encoding="utf-8") == "- Something.\n"
    checked = subprocess.run(["sha256sum", "-c", "mlops-template-7.8.9.zip.sha256"], cwd=clone / "dist", check=False)
    assert checked.returncode == 0
    code, said, asked = execute(clone, "release.yml", "publish", GITHUB_REF_NAME="v7.8.9")
    assert code == 0, said
    (published,) = [words for words in asked if words[0] == "gh"]
    assert published[:5] == ["gh", "release", "create", "v7.8.9", "dist/example-classification.cdx.json"]
    assert "--verify-tag" in published
    assert not [word for word in published if word.startswith("dist/notes")]


@pytest.mark.parametrize(("tag", "reason"), [("v7.8.8", "has version 7.8.9"), ("7.8.9", "tag v7.8.9")])
def test_a_wrong_tag_is_refused(clone: Path, tag: str, reason: str) -> None:
    code, said, asked = execute(clone, "release.yml", "pack", GITHUB_REF_NAME=tag)
    assert (code, reason in said) == (1, True)
    assert len(asked) == 1
    assert not (clone / "dist").exists()


def test_a_version_of_which_nothing_is_said_is_refused(clone: Path) -> None:
    changes = (clone / "CHANGELOG.md").read_text(encoding="utf-8")
    (clone / "CHANGELOG.md").write_text(changes.replace("## 7.8.9 – today", "## 7.8.90"), encoding="utf-8")
    code, said, _ = execute(clone, "release.yml", "pack", GITHUB_REF_NAME="v7.8.9")
    assert (code, "says nothing of 7.8.9" in said) == (1, True)


@pytest.mark.full
def test_the_audit_looks_at_every_example(clone: Path) -> None:
    code, said, asked = execute(clone, "ci.yml", "audit")
    assert code == 0, said
    looked = [words[words.index("--project") + 1] for words in asked if words[1] == "export"]
    assert [Path(one).name for one in looked] == ["", *sorted(f"example-{task}" for task in BY_NAME)]
    assert sum(words[0] == "uvx" for words in asked) == len(looked)
    assert execute(clone, "ci.yml", "audit", VULNERABLE="example-segmentation")[0] == 1
    chosen = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    for question in ("ci_system", "iac_tool", "deployment", "license"):
        missing = [answer for answer in chosen[question] if answer not in said]
        assert not missing, f"no example has {question} {missing}"
