"""The same project comes out however the template is used; what it records lets it be updated."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter
from mlops_runtime.template import without_credentials
from pytest_cookies.plugin import Cookies

from .conftest import SLUG_FOLDER, TEMPLATE, Bake, some_quick
from .tasks import BY_NAME
from .test_structure import files, tracked

ANSWERS = {"project_name": "Taxi Fares", "author": 'José "Pepe" O\'Neil'}


def contents(project: Path) -> dict[str, bytes]:
    records = (".cruft.json", ".template.json")
    return {p.relative_to(project).as_posix(): p.read_bytes() for p in files(project) if p.name not in records}


def git(*arguments: object, cwd: Path) -> str:
    done = subprocess.run(["git", *map(str, arguments)], cwd=cwd, capture_output=True, encoding="utf-8", check=True)
    return done.stdout.strip()


@pytest.fixture
def expected(bake: Bake) -> dict[str, bytes]:
    return contents(bake(**ANSWERS))


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A copy of the template as a git repository of its own, with everything committed."""
    copy = tmp_path / "template.git" / "mlops-template"
    for name in tracked():
        if (TEMPLATE / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TEMPLATE / name, copy / name)
    git("init", "-q", "-b", "main", cwd=copy)
    commit(copy, "first")
    return copy


def commit(repository: Path, message: str) -> None:
    git("add", "-A", cwd=repository)
    git("-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "-qm", message, cwd=repository)


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    module, *arguments = map(str, command)
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=cwd, capture_output=True, encoding="utf-8", check=False
    )


def settled(*command: object, cwd: Path) -> None:
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("task", some_quick(BY_NAME))
def test_the_same_answers_give_the_same_bytes(task: str, tmp_path: Path) -> None:
    answers = {**ANSWERS, "scenario": BY_NAME[task].scenario, "task": task}
    once, again = (
        Path(cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(tmp_path / name), extra_context=answers))
        for name in ("once", "again with spaces é")
    )
    found = {path.relative_to(once): path.read_bytes() for path in files(once)}
    assert found == {path.relative_to(again): path.read_bytes() for path in files(again)}


@pytest.mark.full
def test_current_folder(expected: dict[str, bytes], template: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settled("cookiecutter", ".", "--no-input", "-o", out, *[f"{k}={v}" for k, v in ANSWERS.items()], cwd=template)
    assert contents(out / "taxi-fares") == expected


def test_git_address(expected: dict[str, bytes], template: Path, tmp_path: Path) -> None:
    project = Path(
        cookiecutter(template.as_uri(), no_input=True, output_dir=str(tmp_path / "out"), extra_context=ANSWERS)
    )
    assert contents(project) == expected
    recorded = json.loads((project / ".cruft.json").read_text(encoding="utf-8"))
    assert recorded["template"] == template.as_uri()
    assert recorded["commit"] == git("rev-parse", "HEAD", cwd=template)


@pytest.mark.full
def test_zip(expected: dict[str, bytes], template: Path, tmp_path: Path) -> None:
    shutil.rmtree(template / ".git")
    archive = shutil.make_archive(str(tmp_path / "mlops-template"), "zip", template.parent, template.name)
    project = Path(cookiecutter(archive, no_input=True, output_dir=str(tmp_path / "out"), extra_context=ANSWERS))
    assert contents(project) == expected
    assert not (project / ".cruft.json").exists(), "a zip has no address to update from"
    recorded = json.loads((project / ".template.json").read_text(encoding="utf-8"))
    assert recorded["context"]["cookiecutter"].items() >= ANSWERS.items()


def cruft_create(template: Path, out: Path) -> Path:
    answers = json.dumps(ANSWERS)
    settled(
        "cruft",
        "create",
        template.as_uri(),
        "--no-input",
        "--output-dir",
        out,
        "--extra-context",
        answers,
        cwd=out.parent,
    )
    return out / "taxi-fares"


@pytest.mark.full
def test_cruft(expected: dict[str, bytes], template: Path, tmp_path: Path) -> None:
    project = cruft_create(template, tmp_path / "out")
    assert contents(project) == expected
    settled("cruft", "check", cwd=project)


def test_pytest_cookies(expected: dict[str, bytes], cookies: Cookies) -> None:
    result = cookies.bake(template=str(TEMPLATE), extra_context=ANSWERS)
    assert result.exit_code == 0, result.exception
    assert contents(Path(result.project_path)) == expected


ADDRESSES = {  # of the template: what is recorded
    "https://user:secret@example.com/org/mlops-template.git": "https://example.com/org/mlops-template.git",
    "https://secret@example.com:8443/org/t.git?token=secret#secret": "https://example.com:8443/org/t.git",
    "ssh://git:secret@example.com/org/t.git": "ssh://git@example.com/org/t.git",
    "git@example.com:org/t.git": "git@example.com:org/t.git",
    "file:///srv/t.git": "file:///srv/t.git",
    "C:/templates/t": "C:/templates/t",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_credentials_are_recorded(address: str) -> None:
    assert without_credentials(address) == ADDRESSES[address]


def test_no_credentials_are_written(template: Path, tmp_path: Path) -> None:
    git("remote", "add", "origin", "https://user:secret@example.com/org/mlops-template.git", cwd=template)
    project = Path(cookiecutter(str(template), no_input=True, output_dir=str(tmp_path / "out")))
    recorded = (project / ".cruft.json").read_text(encoding="utf-8")
    assert json.loads(recorded)["template"] == "https://example.com/org/mlops-template.git"
    assert not [path for path in files(project) if b"secret@" in path.read_bytes()]


@pytest.mark.full
@pytest.mark.parametrize("created_by", ["cookiecutter", "cruft"])
def test_an_update_brings_a_new_file_and_keeps_an_edit(template: Path, tmp_path: Path, created_by: str) -> None:
    out = tmp_path / "out"
    makers: dict[str, Callable[[], Path]] = {
        "cruft": lambda: cruft_create(template, out),
        "cookiecutter": lambda: Path(
            cookiecutter(template.as_uri(), no_input=True, output_dir=str(out), extra_context=ANSWERS)
        ),
    }
    project = makers[created_by]()
    git("init", "-q", "-b", "main", cwd=project)
    edited = project / "config/dev.yml"
    edited.write_text(edited.read_text().replace("rg-taxi-fares-dev", "rg-ours"))
    commit(project, "ours")

    new = template / "ci/github-actions" / SLUG_FOLDER / "docs/new.md"
    new.parent.mkdir(parents=True)
    new.write_text("# New in {{ cookiecutter.project_slug }}\n")
    readme = template / "composed" / SLUG_FOLDER / "README.md"
    readme.write_text(readme.read_text() + "\nA new last line.\n")
    commit(template, "second")

    settled("cruft", "update", "--skip-apply-ask", cwd=project)
    assert (project / "docs/new.md").read_text() == "# New in taxi-fares\n"
    assert "A new last line." in (project / "README.md").read_text()
    assert "rg-ours" in edited.read_text()
    assert not list(project.rglob("*.rej"))


@pytest.mark.full
def test_uncommitted_changes_are_not_overwritten(template: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["cookiecutter", template, "--no-input", "-f", "-o", out, "project_name=Taxi Fares"]
    settled(*command, cwd=tmp_path)
    project = out / "taxi-fares"
    done = run(*command, cwd=tmp_path)
    assert "uncommitted changes" in done.stderr, "without git, all of it could be somebody's work"
    git("init", "-q", cwd=project)
    commit(project, "generated")
    (project / "README.md").write_text("mine\n")
    done = run(*command, cwd=tmp_path)
    assert done.returncode != 0
    assert "uncommitted changes" in done.stderr
    assert "uv run mlops update" in done.stderr
    assert (project / "README.md").read_text() == "mine\n"
    commit(project, "mine")
    settled(*command, cwd=tmp_path)
