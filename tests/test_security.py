"""What docs/security.md says: hostile models are not executed, the code passes bandit, the page of rights is fresh."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import TEMPLATE, Environment
from .tasks import BY_NAME
from .test_lint import PROJECTS

Baked = Callable[..., Path]
Used = Callable[[str], Path]
NAMED = re.compile(r"`((?:tests/)?(?:azure|bootstrap|ci|infrastructure|runtime)?/?test_\w+\.py)(?:::(\w+))?`")
IGNORED = ("MLmodel: ", "python_model.pkl: ", "data/model/model.pkl: ", "data/model/pipeline.joblib: ")


@pytest.mark.full
@pytest.mark.parametrize("task", BY_NAME)
def test_a_hostile_model_is_not_executed(used: Used, installed: Environment, task: str) -> None:
    """Nothing that hides in a model's file runs; what nobody reads is ignored, all else is refused."""
    done = installed.run(TEMPLATE / "tests/hostile_models.py", cwd=used(task))
    results = json.loads(done.stdout.splitlines()[-1])
    assert results.pop("with the digest that was recorded") == "refused"
    for tried, outcome in results.items():
        read = not tried.startswith((*IGNORED, "code/", "data/model/__init__.py"))
        # A family's name only matters where it decides what is loaded: it is looked up in FAMILIES.
        expected = {"refused"} if read else {"ignored"}
        assert outcome in (expected | {"ignored"} if "a family" in tried else expected), tried
    page = (TEMPLATE / "docs/security.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| ")]
    (files,) = [row[2] for row in rows if task in row[1].strip().split(", ")]
    stated = {"model.json", "inputs.yml", *re.findall(r"`([\w.]+)`", files)}
    found = {Path(tried.removesuffix(": a pickle")) for tried in results if tried.endswith(": a pickle")}
    assert {file.name for file in found if file.parent == Path("data/model")} <= stated


def test_arrays_are_read_without_pickle() -> None:
    """Said at each place, although it is NumPy's default: somebody may look for what to change."""
    found = 0
    for file in TEMPLATE.rglob("src/**/*.py"):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert not re.search(r"(import|from) (pickle|joblib|cloudpickle|dill|shelve)\b|torch\.load\(", line), file
            if "np.load(" in line:
                found += 1
                assert "allow_pickle=False" in line, file
    assert found >= 4


@pytest.mark.full
def test_bandit(baked: Baked, tmp_path: Path) -> None:
    def bandit(*folders: Path) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).with_name("bandit"), "-q", "-c", TEMPLATE / "tests/bandit.yml", "-r", *folders]
        return subprocess.run(list(map(str, command)), capture_output=True, encoding="utf-8", check=False)

    done = bandit(TEMPLATE / "hooks", TEMPLATE / "scripts", *(baked(*one) / "src" for one in PROJECTS))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert "syntax error" not in done.stderr
    shutil.copytree(baked("regression") / "src", tmp_path / "src")
    with (tmp_path / "src/taxi_fares/data.py").open("a", encoding="utf-8") as file:
        file.write("\nimport pickle\n\npickle.load(open('model.pkl', 'rb'))\n")
    planted = bandit(tmp_path / "src")
    assert (planted.returncode, "B301" in planted.stdout) == (1, True)


def test_the_page_of_rights_is_fresh(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/least_privilege.py", "--check"],
        cwd=TEMPLATE,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout
    for name in ("docs", "scripts", "{{cookiecutter.project_slug}}/infrastructure"):
        shutil.copytree(TEMPLATE / name, tmp_path / name)
    rights = tmp_path / "{{cookiecutter.project_slug}}/infrastructure/rbac.yml"
    rights.write_text(rights.read_text(encoding="utf-8").replace("role: AcrPull", "role: Owner"), encoding="utf-8")
    check = [sys.executable, str(tmp_path / "scripts/least_privilege.py"), "--check"]
    stale = subprocess.run(check, capture_output=True, encoding="utf-8", check=False)
    assert (stale.returncode, "least_privilege.py`" in stale.stdout) == (1, True)


def test_every_test_that_the_threat_model_names_exists() -> None:
    text = (TEMPLATE / "docs/security.md").read_text(encoding="utf-8")
    named = NAMED.findall(text)
    assert len(named) > 15
    for file, function in named:
        path = TEMPLATE / "tests" / file.removeprefix("tests/")
        assert path.is_file(), file
        there = {
            node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)
        }
        assert not function or function in there, f"{file} has no {function}"
