"""Template updates merge renderings into a project: nothing of the team's is lost, and all or nothing is written."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlops_runtime import merging
from mlops_runtime.errors import Problem
from mlops_runtime.merging import ADDED, CHANGED, CONFLICT, GONE, REMOVED, Merge

from ..conftest import some_quick

Files = dict[str, str | bytes]
CONFIG = {"config/shared.yml": "project: 1\n"}  # what makes a folder a project
TEXT = "".join(f"line {number}\n" for number in range(1, 21))


def write(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def git(*arguments: object, cwd: Path) -> str:
    command = ["git", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8", check=True).stdout


def commit(folder: Path, message: str = "work") -> None:
    git("add", "-A", cwd=folder)
    git("commit", "-qm", message, cwd=folder)


def state(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


class Case:
    """A project with the team's files, and what the template rendered before and renders now."""

    def __init__(self, folder: Path, old: Files, team: Files, new: Files, within: str = "") -> None:
        self.folder = folder
        self.top = folder / "project"
        self.root = self.top / within
        write(self.root, {**CONFIG, **team})
        git("init", "-q", cwd=self.top)
        commit(self.top)
        self.old = write(folder / "old", {**CONFIG, **old})
        self.new = write(folder / "new", {**CONFIG, **new})

    def merge(self) -> Merge:
        (self.folder / "work").mkdir()
        return Merge(self.root, self.old, self.new, "template-2", self.folder / "work")

    def apply(self) -> dict[str, str]:
        merge = self.merge()
        merge.apply()
        return {path: change.kind for path, change in merge.changes.items()}

    def read(self, name: str) -> str:
        return (self.root / name).read_bytes().decode()


@pytest.fixture
def case(tmp_path: Path) -> Callable[..., Case]:
    def make(old: Files, team: Files, new: Files, within: str = "") -> Case:
        return Case(tmp_path, old, team, new, within)

    return make


Make = Callable[..., Case]


def test_each_side_changes_what_the_other_left(case: Make) -> None:
    both = TEXT.replace("line 2\n", "line 2, ours\n").replace("line 19\n", "line 19, theirs\n")
    one = case(
        {"a": TEXT, "left": "x\n", "gone": "x\n"},
        {"a": TEXT.replace("line 2\n", "line 2, ours\n"), "left": "x\n", "gone": "x\n", "mine": "m\n"},
        {"a": TEXT.replace("line 19\n", "line 19, theirs\n"), "left": "x\n", "come/new": "n\n"},
    )
    assert one.apply() == {"a": CHANGED, "gone": REMOVED, "come/new": ADDED}
    assert one.read("a") == both
    assert set(state(one.root)) == {"config/shared.yml", "a", "left", "mine", "come/new"}
    assert git("diff", cwd=one.root) == "", "everything is staged"
    assert git("log", "--oneline", cwd=one.root).count("\n") == 1, "nothing is committed"


def test_the_same_lines(case: Make) -> None:
    one = case({"a": TEXT}, {"a": TEXT.replace("line 9", "ours")}, {"a": TEXT.replace("line 9", "theirs")})
    assert one.apply() == {"a": CONFLICT}
    assert "<<<<<<< yours\nours\n=======\ntheirs\n>>>>>>> template-2\n" in one.read("a")
    assert git("status", "--porcelain", cwd=one.root) == "UU a\n"
    git("reset", "--hard", "-q", cwd=one.root)
    assert one.read("a") == TEXT.replace("line 9", "ours")


def test_conflicts_that_are_left_are_found(case: Make) -> None:
    one = case({"a": TEXT, "b": "x\n"}, {"a": TEXT + "ours\n", "b": "y\n"}, {"a": TEXT + "theirs\n"})
    assert merging.unresolved(one.root) == []
    one.apply()
    assert merging.unresolved(one.root) == ["a", "b"]
    commit(one.root)
    write(one.root, {"docs/c.md.rej": "@@\n", ".gitignore": "*.rej\n"})
    assert merging.unresolved(one.root) == ["a", "docs/c.md.rej"]
    write(one.root, {"a": "both\n"})
    (one.root / "docs/c.md.rej").unlink()
    assert merging.unresolved(one.root) == []


def test_what_the_team_deleted_stays_deleted(case: Make) -> None:
    one = case({"a": TEXT, "b": "x\n"}, {}, {"a": TEXT.replace("line 9", "theirs"), "b": "x\n"})
    assert one.apply() == {"a": GONE}
    assert set(state(one.root)) == set(CONFIG)
    assert git("status", "--porcelain", cwd=one.root) == ""


def test_what_the_template_dropped_goes_only_if_untouched(case: Make) -> None:
    one = case({"a": TEXT, "b": TEXT}, {"a": TEXT + "ours\n", "b": TEXT}, {})
    assert one.apply() == {"a": CONFLICT, "b": REMOVED}
    assert one.read("a") == TEXT + "ours\n"
    assert git("status", "--porcelain", cwd=one.root) == "UD a\nD  b\n"


def test_both_brought_a_file(case: Make) -> None:
    one = case({}, {"docs/a.md": "ours\n"}, {"docs/a.md": "theirs\n"})
    assert one.apply() == {"docs/a.md": CONFLICT}
    assert one.read("docs/a.md") == "<<<<<<< yours\nours\n=======\ntheirs\n>>>>>>> template-2\n"


def test_renames_are_followed(case: Make) -> None:
    one = case(
        {"a": TEXT, "b": TEXT.upper()},
        {"ours/a": TEXT.replace("line 2\n", "ours\n"), "b": TEXT.upper().replace("LINE 2\n", "ours\n")},
        {"a": TEXT.replace("line 19\n", "theirs\n"), "theirs/b": TEXT.upper()},
    )
    assert one.apply() == {"ours/a": CHANGED, "b": REMOVED, "theirs/b": ADDED}
    assert one.read("ours/a") == TEXT.replace("line 2\n", "ours\n").replace("line 19\n", "theirs\n")
    assert one.read("theirs/b") == TEXT.upper().replace("LINE 2\n", "ours\n")


def test_a_new_file_goes_where_the_team_moved_its_folder(case: Make) -> None:
    files = {f"{n}.py": TEXT + n for n in "abc"}
    one = case(
        {f"src/old/{name}": text for name, text in files.items()},
        {f"src/ours/{name}": text for name, text in files.items()},
        {f"src/old/{name}": text for name, text in {**files, "d.py": "new\n"}.items()},
    )
    one.apply()
    assert one.read("src/ours/d.py") == "new\n"


def test_binary_files(case: Make) -> None:
    one = case(
        {"a.bin": b"\0one", "b.bin": b"\0b"},
        {"a.bin": b"\0ours", "b.bin": b"\0b"},
        {"a.bin": b"\0theirs", "b.bin": b"\0c\xff"},
    )
    merge = one.merge()
    assert "git checkout --theirs -- a.bin" in merge.changes["a.bin"].why
    merge.apply()
    assert state(one.root)["a.bin"] == b"\0ours"
    assert state(one.root)["b.bin"] == b"\0c\xff"
    git("checkout", "--theirs", "--", "a.bin", cwd=one.root)
    assert state(one.root)["a.bin"] == b"\0theirs"


def test_windows_line_endings(case: Make) -> None:
    """Committed with them: no conflict in every line, and the file keeps them."""
    team = TEXT.replace("line 2\n", "ours\n").replace("\n", "\r\n")
    one = case(
        {"a": TEXT, "gone": TEXT},
        {"a": team, "gone": TEXT.replace("\n", "\r\n")},
        {"a": TEXT.replace("line 19\n", "theirs\n")},
    )
    assert one.apply() == {"a": CHANGED, "gone": REMOVED}
    assert one.read("a") == team.replace("line 19\r\n", "theirs\r\n")


def test_windows_line_endings_in_the_working_tree(case: Make) -> None:
    """On Windows git gives every text file them, and takes them away again."""
    attributes = {".gitattributes": "* text=auto eol=crlf\n"}
    one = case(
        {"a": TEXT, **attributes},
        {"a": TEXT.replace("line 2\n", "ours\n"), **attributes},
        {"a": TEXT.replace("line 19\n", "theirs\n"), **attributes},
    )
    (one.root / "a").unlink()
    git("checkout", "--", "a", cwd=one.root)
    assert "ours\r\n" in one.read("a")
    assert one.apply() == {"a": CHANGED}
    assert one.read("a").count("\r\n") == 20
    assert {"ours\r", "theirs\r"} < set(one.read("a").split("\n"))


def test_a_project_inside_a_larger_repository(case: Make) -> None:
    one = case({"a": "1\n"}, {"a": "1\n", "../other": "o\n"}, {"a": "2\n", "b": "new\n"}, within="teams/ours")
    assert one.apply() == {"teams/ours/a": CHANGED, "teams/ours/b": ADDED}
    assert one.read("a") == "2\n"
    assert one.read("../other") == "o\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names and modes")
def test_odd_names_and_modes(case: Make) -> None:
    one = case({"run": "1\n"}, {"run": "1\n", "naïve name": "x\n"}, {"run": "2\n"})
    (one.root / "run").chmod(0o755)
    os.close(os.open(os.fsencode(one.root) + b"/caf\xe9", os.O_CREAT))
    commit(one.root)
    assert one.apply() == {"run": CHANGED}
    assert os.access(one.root / "run", os.X_OK)
    assert os.path.exists(os.fsencode(one.root) + b"/caf\xe9")


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("name", ["a/new", "a"])  # the file itself, or in place of its folder
def test_files_that_git_does_not_know_are_not_overwritten(case: Make, name: str, ignored: bool) -> None:
    one = case({}, {".gitignore": "a\n"} if ignored else {}, {"a/new": "theirs\n"})
    write(one.root, {name: "ours\n"})
    before = state(one.root)
    with pytest.raises(Problem, match=f"git does not know your {name}: rename or commit it"):
        one.apply()
    assert state(one.root) == before


def test_other_files_that_git_does_not_know_stay(case: Make) -> None:
    one = case({"a": "1\n"}, {"a": "1\n"}, {"a": "2\n"})
    write(one.root, {"uv.lock": "mine\n"})
    merging.refuse_uncommitted(one.root)
    one.apply()
    assert one.read("uv.lock") == "mine\n"


def test_refused(case: Make, tmp_path: Path) -> None:
    one = case({"a": TEXT}, {"a": TEXT.replace("line 9", "ours")}, {"a": TEXT.replace("line 9", "theirs")})
    write(one.root, {"a": "else\n"})
    with pytest.raises(Problem, match=r"uncommitted changes \(a\): commit"):
        merging.refuse_uncommitted(one.root)
    git("add", "a", cwd=one.root)
    with pytest.raises(Problem, match="uncommitted"):
        merging.refuse_uncommitted(one.root)
    git("reset", "--hard", "-q", cwd=one.root)
    one.apply()
    with pytest.raises(Problem, match="There are conflicts: resolve"):
        merging.refuse_uncommitted(one.root)
    with pytest.raises(Problem, match="git init && git add"):
        merging.check_git(write(tmp_path / "bare", CONFIG))


def test_an_old_git_is_refused(case: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = case({}, {}, {})
    said = merging.line
    monkeypatch.setattr(
        merging, "line", lambda root, *a: "git version 2.34.1.windows.1" if a == ("--version",) else said(root, *a)
    )
    with pytest.raises(Problem, match=r"git 2.34.1.windows.1 cannot .* 2.38 or newer"):
        merging.check_git(one.root)


FAULTS = {
    "fails": "exit 9",
    "interrupted": 'kill -INT "$PPID"; sleep 1; exit 0',
    "terminated": 'kill -TERM "$PPID"; sleep 1; exit 0',
    "killed": 'kill -KILL "$PPID"; exit 0',
}
UPDATE = """
import signal, sys
from pathlib import Path
from mlops_runtime import merging
for number in (signal.SIGINT, signal.SIGTERM):  # as in `mlops`; a shell's background jobs ignore the first
    signal.signal(number, signal.default_int_handler)
root, folder = Path(sys.argv[1]), Path(sys.argv[2])
merging.recover(root)
merging.refuse_uncommitted(root)
(folder / "work").mkdir()
merging.Merge(root, folder / "old", folder / "new", "template-2", folder / "work").apply()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for git is a shell script")
@pytest.mark.parametrize("moment", some_quick(["read-tree", "update-index"]))
@pytest.mark.parametrize("fault", FAULTS)
def test_all_or_nothing(case: Make, tmp_path: Path, fault: str, moment: str) -> None:
    """git does its part of the writing, then something happens."""
    one = case(
        {"a": TEXT, "b": TEXT, "c": "x\n"},
        {"a": TEXT.replace("line 9", "ours"), "b": TEXT, "c": "x\n", "config/more": "m\n"},
        {"a": TEXT.replace("line 9", "theirs"), "b": TEXT + "theirs\n", "far/away/new": "n\n"},
    )
    before = state(one.root)
    stand_in = tmp_path / "bin" / "git"
    stand_in.parent.mkdir()
    real = shutil.which("git")
    stand_in.write_text(
        f'#!/bin/sh\n"{real}" "$@" || exit\n[ "$PWD" = "{one.root}" ] || exit 0\n'
        f'case "$1" in {moment}) {FAULTS[fault]};; esac\n'
    )
    stand_in.chmod(0o755)
    command = [sys.executable, "-c", UPDATE, one.root, tmp_path]
    found = {**os.environ, "PYTHONPATH": str(Path(merging.__file__).parents[1])}
    broken = {**found, "PATH": f"{stand_in.parent}{os.pathsep}{found['PATH']}"}
    done = subprocess.run(command, env=broken, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode != 0
    if fault == "killed":
        assert done.returncode == -signal.SIGKILL
        assert state(one.root) != before
    else:
        assert state(one.root) == before
        assert git("status", "--porcelain", cwd=one.root) == ""
        assert not (one.root / "far").exists()
    shutil.rmtree(tmp_path / "work")
    subprocess.run(command, env=found, check=True)
    assert one.read("far/away/new") == "n\n"
    assert git("status", "--porcelain", cwd=one.root) == "UU a\nM  b\nD  c\nA  far/away/new\n"


def test_git_breaks_off_half_way(case: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a full disk, say: a new file is written, and git does not know it yet."""
    one = case({"a": "1\n"}, {"a": "1\n"}, {"a": "2\n", "far/away/new": "n\n"})
    before, merge, real = state(one.root), one.merge(), merging.git

    def half(folder: Path, *arguments: str, **more: str) -> str:
        if arguments[0] == "read-tree" and "-u" in arguments:
            write(one.root, {"a": "2\n", "far/away/new": "n\n"})
            raise Problem("No space left on device")
        return real(folder, *arguments, **more)

    monkeypatch.setattr(merging, "git", half)
    with pytest.raises(Problem, match="No space left"):
        merge.apply()
    assert state(one.root) == before
    assert not (one.root / "far").exists()


def test_after_a_kill_nothing_of_a_person_is_taken_back(case: Make) -> None:
    one = case({"a": "1\n"}, {"a": "1\n"}, {"a": "2\n", "new": "n\n"})
    journal = one.root / ".git/mlops-update.json"
    one.apply()
    tree = git("write-tree", cwd=one.root).strip()
    journal.write_text(f'{{"added": ["new"], "tree": "{tree}"}}')
    for name in ("a", "new"):
        before = one.read(name)
        write(one.root, {name: "since\n"})
        with pytest.raises(Problem, match=f"{name} was changed since"):
            merging.recover(one.root)
        assert one.read(name) == "since\n"
        write(one.root, {name: before})
    assert merging.recover(one.root)
    assert state(one.root) == {"config/shared.yml": b"project: 1\n", "a": b"1\n"}
    assert not merging.recover(one.root)
