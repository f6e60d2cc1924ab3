"""What is generated is exactly what the answers asked for, on every operating system."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from .conftest import SLUG_FOLDER, TEMPLATE
from .tasks import ALL, BY_NAME, SCENARIOS, WORDS, one_at_a_time

Baked = Callable[..., Path]
BINARY = {".parquet", ".png"}
LONGEST_PATH = 140
RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
task_ids = list(BY_NAME)
EACH = one_at_a_time()
each_ids = ["-".join(answers.values()) for answers in EACH]


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and ".git" not in path.relative_to(root).parts)


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TEMPLATE,
        capture_output=True,
        check=True,
    )
    return [name for name in listed.stdout.decode().split("\0") if name]


QUERIES = (
    *("capacity", "client_errors", "failed_jobs", "key_use", "latency", "network", "ongoing_service", "queue_time"),
    *("refused_callers", "requests", "server_errors", "staleness", "throttling", "unused"),
)
MODULES = (
    *("access", "alerts", "endpoint", "environment", "event-hubs", "governance", "identities", "images", "kubernetes"),
    *("logs", "names", "private-endpoints", "receivers", "registry", "shared", "spark", "storage", "types", "vault"),
    "workspace",
)
EVERYWHERE = [
    *(".devcontainer/devcontainer.json", ".editorconfig", ".gitattributes", ".gitignore", ".pre-commit-config.yaml"),
    *(".python-version", "LICENSE", "README.md", "pyproject.toml"),
    *(f".github/{name}" for name in ("CODEOWNERS", "dependabot.yml", "pull_request_template.md")),
    *(f".github/actions/{name}/action.yml" for name in ("azure", "setup", "tell")),
    *(f".github/workflows/{name}.yml" for name in ("apply", "ci", "infrastructure", "monitor", "release", "train")),
    ".github/workflows/template-update.yml",
    *(f"config/{name}.yml" for name in ("shared", "dev", "staging", "prod")),
    *("data/README.md", "data/contract.yml", "notebooks/explore.py"),
    *(f"mlops/azureml/environments/{name}.yml" for name in ("conda", "train", "serve-conda", "serve")),
    *("mlops/azureml/deploy/endpoint.yml", "mlops/azureml/deploy/deployment.yml"),
    *(f"mlops/azureml/train/{name}.yml" for name in ("pipeline", "prepare", "train", "evaluate", "register")),
    *(f"mlops/azureml/monitor/{name}.yml" for name in ("pipeline", "schedule", "watch")),
    *(f"infrastructure/{name}.yml" for name in ("alerts", "costs", "names", "pipelines", "policies", "rbac", "roles")),
    *(f"infrastructure/queries/{name}.kql" for name in QUERIES),
    *("infrastructure/README.md", "infrastructure/checkov.yml", "infrastructure/main.bicep"),
    *("infrastructure/policy-as-code.ps1", "infrastructure/ps-rule.yaml", "infrastructure/psrule.ps1"),
    *(f"infrastructure/modules/{name}.bicep" for name in MODULES),
]
SPARK = {
    f"mlops/azureml/{name}.yml" for name in ("train/prepare-spark", "environments/spark", "environments/spark-conda")
}
OF_SCENARIO = {"classical": {"mlops/azureml/train/schedule.yml", *SPARK}, "cv": {"mlops/azureml/stage/pipeline.yml"}}
OF_TASK = {task: {"mlops/azureml/monitor/monitor.yml"} for task in ("classification", "regression")}


@pytest.mark.parametrize("task", task_ids)
def test_files(baked: Baked, task: str) -> None:
    root = baked(task)
    names = {path.relative_to(root).as_posix() for path in files(root)}
    outside_code = {name for name in names if not name.startswith(("src/", "tests/"))} - {".cruft.json"}
    facts = BY_NAME[task]
    data = [*(f"data/{name}" for name in facts.data), f"mlops/azureml/data/{facts.asset}.yml"]
    assert outside_code == {*EVERYWHERE, *data, *OF_SCENARIO.get(facts.scenario, ()), *OF_TASK.get(task, ())}
    top = {name.split("/")[1] for name in names if name.startswith("src/")}
    assert top == {".amlignore", "taxi_fares", "mlops_runtime"}


@pytest.mark.parametrize("answers", EACH, ids=each_ids)
def test_text_files(baked: Baked, answers: dict[str, str]) -> None:
    root = baked(**answers)
    for path in files(root):
        if path.suffix in BINARY or path.name == ".cruft.json":
            continue
        content = path.read_bytes()
        name = path.relative_to(root).as_posix()
        text = content.decode("utf-8")
        assert content.strip(), f"{name} is empty"
        assert b"\r" not in content, f"{name} has Windows line endings"
        assert text.endswith("\n"), f"{name} has no final newline"
        assert not text.endswith("\n\n"), f"{name} ends with blank lines"
        most = "\n\n\n\n" if path.suffix == ".py" else "\n\n\n"
        assert most not in text, f"{name} has a scar of blank lines"
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), f"{name} has trailing blanks"
        if "mlops_runtime" not in path.parts:
            text = text.replace('"cookiecutter>=2.7.1,<3", # renders the template for `mlops update`', "")
            assert "cookiecutter" not in text.lower(), f"{name} tells that it comes from a template"
            assert not re.search(r"\{%|\{#", text), f"{name} has leftover template marks"
            assert not re.search(r"(?<!\$)\{\{", text), f"{name} has leftover template marks"


@pytest.mark.parametrize("answers", EACH, ids=each_ids)
def test_no_empty_folders_and_plain_modes(baked: Baked, answers: dict[str, str]) -> None:
    root = baked(**answers)
    for path in root.rglob("*"):
        if path.is_dir():
            assert any(path.iterdir()), f"{path} is empty"
        else:
            assert not path.is_symlink()
            assert not path.stat().st_mode & 0o111, f"{path} is executable"


@pytest.mark.parametrize("task", task_ids)
def test_no_trace_of_other_tasks(baked: Baked, task: str) -> None:
    root = baked(task)
    words = [word for word, where in WORDS.items() if not {task, BY_NAME[task].scenario} & set(where)]
    for path in files(root):
        if path.suffix in BINARY or "mlops_runtime" in path.parts or path.name == ".cruft.json":
            continue
        text = path.read_text(encoding="utf-8").lower()
        for word in words:
            assert word not in text, f"{path.relative_to(root)} mentions {word!r}"


# Words of a tool or host that only its own projects have; pipelines, their scripts and the machinery are alike.
OTHERS = {
    "iac_tool": {"bicep": r"\.?bicep", "terraform": r"terraform|\.tf\b", "arm": r"azuredeploy|\barm\b"},
    "ci_system": {
        "github-actions": r"github(?!\.com|\.io)",
        "azure-pipelines": r"azure[- ]pipelines|azure repos",
        "gitlab-ci": r"gitlab",
    },
}


@pytest.mark.parametrize("answers", EACH, ids=each_ids)
def test_no_trace_of_other_tools(baked: Baked, answers: dict[str, str]) -> None:
    root = baked(**answers)
    alike = {".azuredevops", ".github", ".gitlab", ".gitlab-ci.yml", "azure-pipelines", "renovate.json", "src"}
    for key, words in OTHERS.items():
        strange = re.compile("|".join(word for value, word in words.items() if value != answers[key]), re.IGNORECASE)
        for path in files(root):
            name = path.relative_to(root)
            if path.suffix in {*BINARY, ".ps1"} or name.parts[0] in {*alike, ".cruft.json", ".template.json"}:
                continue
            found = strange.search(path.read_text(encoding="utf-8"))
            assert not found, f"{name} mentions {found[0]}"


def test_paths_are_legal_everywhere(baked: Baked) -> None:
    roots = [baked(**answers) for answers in EACH]
    baked_names = [path.relative_to(root).as_posix() for root in roots for path in files(root)]
    for names in (tracked(), sorted(set(baked_names))):
        assert names
        seen: dict[str, str] = {}
        for name in names:
            assert len(name) < LONGEST_PATH, f"{name} is too long"
            assert not re.search(r'[<>:"|?*\\\x00-\x1f]', name), f"{name} is illegal on Windows"
            for part in name.split("/"):
                assert not part.endswith((" ", ".")), f"{name} is illegal on Windows"
                assert not RESERVED.match(part), f"{name} is illegal on Windows"
            other = seen.setdefault(name.lower(), name)
            assert other == name, f"{name} and {other} differ only by case"


def layers() -> list[Path]:
    """Every folder whose files go into some project."""
    return sorted(path.parent for path in TEMPLATE.rglob(SLUG_FOLDER) if path.is_dir())


def test_two_layers_never_write_the_same_path() -> None:
    """Except alternatives, of which a project gets one: they are siblings."""
    writers: dict[str, list[Path]] = {}
    for layer in layers():
        for path in files(layer / SLUG_FOLDER):
            if "__pycache__" not in path.parts:
                writers.setdefault(path.relative_to(layer / SLUG_FOLDER).as_posix(), []).append(layer)
    for name, found in writers.items():
        for i, one in enumerate(found):
            for other in found[i + 1 :]:
                kinds = [layer.relative_to(TEMPLATE).parts for layer in (one, other)]
                assert [kind[:1] for kind in kinds] != [(), ()], f"{name} is in {one} and {other}"
                assert kinds[0][:1] == kinds[1][:1], f"{name} is in {one} and {other}"
                nested = one.is_relative_to(other) or other.is_relative_to(one)
                assert not nested, f"{name} is in {one} and {other}, which both apply"


def test_copied_patterns_match_files_only() -> None:
    """Cookiecutter removes a matching folder before it copies it: with other layers' and the team's files."""
    import fnmatch

    patterns = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))["_copy_without_render"]
    folders, matched = set(), set()
    for layer in layers():
        for path in (layer / SLUG_FOLDER).rglob("*"):
            name = path.relative_to(layer / SLUG_FOLDER).as_posix()
            hits = {pattern for pattern in patterns if fnmatch.fnmatch(name, pattern)}
            matched |= hits
            if hits and path.is_dir():
                folders.add(name)
    assert not folders
    assert matched == set(patterns), "a pattern that matches nothing"


def test_every_fragment_has_its_slot() -> None:
    slots = set()
    shared = [path for folder in (TEMPLATE / "composed", TEMPLATE / "ci") for path in files(folder)]
    for path in shared:
        slots |= set(re.findall(r"fragments\['([^']+)'\]", path.read_text(encoding="utf-8")))
    layers = [TEMPLATE / name for name in ("scenarios", "ci", "iac", "deployments", "licenses")]
    folders = [folder for layer in layers for folder in layer.rglob("fragments") if folder.is_dir()]
    carried = {path.name for folder in folders for path in folder.iterdir()}
    assert carried <= slots


def test_tasks_are_those_that_the_hook_accepts() -> None:
    hook = (TEMPLATE / "hooks/pre_gen_project.py").read_text(encoding="utf-8")
    accepted = yaml.safe_load(re.search(r"TASKS = (\{.*?\n\})", hook, re.DOTALL)[1])
    assert accepted == SCENARIOS
    offered = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))["scenario"]
    assert offered == list(SCENARIOS)
    for task in ALL:
        assert len([p for p in (TEMPLATE / "scenarios" / task.scenario).rglob(task.name) if p.is_dir()]) == 1
