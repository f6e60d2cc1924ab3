"""A three-way merge of what the template rendered before, what it renders now, and the project.

git merges in a repository of its own beside the project's. The project is touched last and at once, and brought back
when that fails.
"""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlops_runtime import derived
from mlops_runtime.errors import Problem
from mlops_runtime.git import attempt, git, line

OLDEST_GIT = (2, 38)  # the first that merges without a working tree
PERSON = {f"GIT_{who}_{what}": "mlops" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
FOLLOW = ("-c", "merge.renames=true", "-c", "merge.directoryRenames=true")  # renamed files and folders, whatever is set
ADDED, CHANGED, REMOVED, CONFLICT, GONE = "+", "~", "-", "!", "="
ORIGINAL, YOURS, TEMPLATES = "123"  # stages of a conflict in git's index
OURS = "yours"  # the name of the project's side at a conflict
DERIVE = (
    "import json, pathlib; from mlops_runtime import derived; root = pathlib.Path.cwd(); "
    "print(json.dumps({path.relative_to(root).as_posix(): text for path, text in derived.derive(root).items()}))"
)

Tree = dict[str, str]  # path from the top of the repository → mode and object, as git writes them


@dataclass(frozen=True)
class Change:
    """What an update does to a path."""

    kind: str
    path: str
    why: str = ""


class Merge:
    """The last commit of the project in `root`, merged with what changed from the rendering `old` to `new`."""

    def __init__(self, root: Path, old: Path, new: Path, label: str, folder: Path) -> None:
        self.root, self.label = root, label
        self.top = Path(line(root, "rev-parse", "--show-toplevel"))
        self.prefix = line(root, "rev-parse", "--show-prefix")
        self.scratch = folder / "merge.git"
        self.index = folder / "index"
        shape = line(root, "rev-parse", "--show-object-format")
        git(root, "init", "-q", "--bare", "--template=", f"--object-format={shape}", str(self.scratch))
        objects = Path(root, line(root, "rev-parse", "--git-path", "objects")).resolve()
        (self.scratch / "objects/info/alternates").write_text(f"{objects}\n", encoding="utf-8", newline="\n")
        listed = git(root, "ls-files", "--eol", "-z").split("\0")
        self.windows = {entry.partition("\t")[2] for entry in listed if entry.startswith("i/crlf")}
        self.mine = self._read(line(root, "rev-parse", "HEAD^{tree}"))
        self.changes: dict[str, Change] = {}
        self.stages: dict[str, Tree] = {}
        self.result: Tree = {}
        self._merge(old, new)
        self._derive(folder / "derived")
        self._compare()

    @property
    def conflicts(self) -> list[Change]:
        """What a person must decide."""
        return [change for change in self.changes.values() if change.kind == CONFLICT]

    def _git(self, *arguments: str, given: str = "", **variables: str) -> str:
        return git(self.scratch, *arguments, given=given, **PERSON, **variables)

    def _read(self, tree: str) -> Tree:
        entries = (entry.partition("\t") for entry in self._git("ls-tree", "-r", "-z", tree).split("\0")[:-1])
        return {path: " ".join(entry.split()[::2]) for entry, _, path in entries}

    def _write(self, tree: Mapping[str, str]) -> str:
        index = {"GIT_INDEX_FILE": str(self.index)}
        self._git("read-tree", "--empty", **index)
        given = "".join(f"{entry}\t{path}\0" for path, entry in tree.items())
        self._git("update-index", "-z", "--index-info", given=given, **index)
        return self._git("write-tree", **index).strip()

    def _commit(self, name: str, tree: Tree, *parents: str) -> str:
        above = [word for parent in parents for word in ("-p", parent)]
        commit = self._git("commit-tree", "-m", name, *above, self._write(tree)).strip()
        self._git("update-ref", f"refs/heads/{name}", commit)
        return commit

    def _content(self, entry: str) -> str:
        return self._git("cat-file", "blob", entry.split()[1])

    def _fitting(self, name: str, text: str) -> str:
        """The text with the line endings that the project's file has in its commits: these alone are no difference."""
        return text.replace("\r\n", "\n").replace("\n", "\r\n") if name in self.windows else text

    def _rendered(self, folder: Path) -> Tree:
        """The whole repository with a rendering in place of the project's files."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [path.relative_to(folder).as_posix() for path in files]
        for path, name in zip(files, names, strict=True):
            if name in self.windows:
                path.write_bytes(self._fitting(name, path.read_bytes().decode()).encode())
        given = "".join(f"{path}\n" for path in files)
        objects = self._git("hash-object", "-w", "--no-filters", "--stdin-paths", given=given).split()
        modes = ["100755" if os.name == "posix" and path.stat().st_mode & stat.S_IXUSR else "100644" for path in files]
        own = {f"{self.prefix}{n}": f"{mode} {one}" for n, mode, one in zip(names, modes, objects, strict=True)}
        around = {p: entry for p, entry in self.mine.items() if self.prefix and not p.startswith(self.prefix)}
        return {**around, **own}

    def _merge(self, old: Path, new: Path) -> None:
        base = self._commit("template-before", self._rendered(old))
        self._commit(OURS, self.mine, base)
        self._commit(self.label, self._rendered(new), base)
        code, out, err = attempt(self.scratch, *FOLLOW, "merge-tree", "--write-tree", "-z", OURS, self.label)
        if code not in (0, 1):
            raise Problem(f"git could not merge: {err.strip()}")
        tree, *rest = out.split("\0")
        self.result = self._read(tree)
        for entry in rest[: rest.index("")] if code else []:
            (mode, one, stage), path = entry.partition("\t")[0].split(), entry.partition("\t")[2]
            self.stages.setdefault(path, {})[stage] = f"{mode} {one}"
        for path, stages in list(self.stages.items()):
            if set(stages) == {ORIGINAL, TEMPLATES}:
                del self.stages[path]
                self.result.pop(path, None)
                self.changes[path] = Change(GONE, path, "you deleted it; the template has changed it since")

    def _derive(self, folder: Path) -> None:
        """Derive again what is derived, from the merged files with the merged code: such lines need no merge.

        But a file that is not what the project's own files say has a person's work in it, and is merged like any other.
        """
        own = {path.removeprefix(self.prefix): entry for path, entry in self.result.items()}
        self._write({name: entry for name, entry in own.items() if name.startswith(derived.SOURCES)})
        folder.mkdir()
        here = {"GIT_DIR": str(self.scratch), "GIT_WORK_TREE": str(folder), "GIT_INDEX_FILE": str(self.index)}
        self._git("-c", "core.autocrlf=false", "checkout-index", "-a", **here)
        python = {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
        done = subprocess.run(
            [sys.executable, "-c", DERIVE],
            cwd=folder,
            env={**os.environ, **python},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:  # a conflict in what it is derived from: `mlops config render` does it after that
            return
        try:
            edited = {path.relative_to(self.root).as_posix() for path in derived.stale(self.root)}
        except (Problem, OSError, ValueError, LookupError):
            return
        for name, text in json.loads(done.stdout).items():
            path = self.prefix + name
            if path in self.result and not (path in self.mine and name in edited):
                given = self._fitting(name, text)
                self.result[path] = f"100644 {self._git('hash-object', '-w', '--stdin', given=given).strip()}"
                self.stages.pop(path, None)

    def _compare(self) -> None:
        for path in self.mine.keys() | self.result.keys() | self.stages.keys():
            before, after = self.mine.get(path), self.result.get(path)
            if path in self.stages:
                self.changes[path] = Change(CONFLICT, path, self._why(path))
            elif before != after and path not in self.changes:
                self.changes[path] = Change(ADDED if not before else CHANGED if after else REMOVED, path)

    def _why(self, path: str) -> str:
        """A conflict in words, with what to do."""
        entry = self.result.get(path)
        if entry is None:
            return "you and the template moved it to different places"
        if set(self.stages[path]) == {ORIGINAL, YOURS}:
            return "you changed it, the template no longer has it: yours stays until you `git rm` or `git add` it"
        if f"<<<<<<< {OURS}" in self._content(entry):
            return "you and the template changed the same lines: both are there, between <<<<<<< and >>>>>>>"
        return f"you and the template changed it: yours stays; `git checkout --theirs -- {path}` takes the template's"

    def apply(self) -> None:
        """Write the result into the project's files and index; after a failure or an interruption all is as before."""
        added = sorted(self.result.keys() - self.mine.keys())
        self._refuse_hidden(added)
        self._commit("result", self.result, f"refs/heads/{OURS}", f"refs/heads/{self.label}")
        quiet = ("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "protocol.file.allow=always")
        git(self.top, *quiet, "fetch", "-q", "--no-tags", "--no-write-fetch-head", str(self.scratch), "result")
        tree = self._git("rev-parse", "result^{tree}").strip()
        stages = ((path, stage, entry) for path, found in self.stages.items() for stage, entry in found.items())
        unmerged = "".join(f"0 {'0' * len(tree)}\t{path}\0" for path in self.stages)
        unmerged += "".join(f"{entry} {stage}\t{path}\0" for path, stage, entry in stages)
        with _all_or_nothing(self.root, {"added": added, "tree": tree}):
            git(self.top, "read-tree", "-m", "-u", "HEAD", tree)
            git(self.top, "update-index", "-z", "--index-info", given=unmerged)

    def _refuse_hidden(self, added: list[str]) -> None:
        """Refuse to overwrite files that git does not know: those that it ignores, it would not protect."""
        for path in added:
            above = [str(parent) for parent in PurePosixPath(path).parents][:-1]
            for one in (path, *(parent for parent in above if not (self.top / parent).is_dir())):
                if one not in self.mine and os.path.lexists(self.top / one):
                    raise Problem(f"The template brings {path}, but git does not know your {one}: rename or commit it.")


def check_git(root: Path) -> None:
    """Refuse a git that cannot merge, and a project that is not committed."""
    numbers = line(root, "--version").split()[2].split(".")
    if tuple(map(int, numbers[:2])) < OLDEST_GIT:
        raise Problem(f"git {'.'.join(numbers)} cannot merge without touching files: 2.38 or newer is needed.")
    if not line(root, "ls-tree", "HEAD", "config/shared.yml"):
        raise Problem(
            "This project is not committed, so that your work cannot be told from the template's: "
            "`git init && git add -A && git commit -m Start` first."
        )


def refuse_uncommitted(root: Path) -> None:
    """Refuse changes that an update would be mixed with; files that git does not know are left alone."""
    lines = git(root, "status", "--porcelain", "--untracked-files=no").splitlines()
    if any(text[:2] in ("DD", "AU", "UD", "UA", "DU", "AA", "UU") for text in lines):
        raise Problem("There are conflicts: resolve and commit them, or take all back with `git reset --hard`.")
    if lines:
        names = ", ".join(text[3:] for text in lines[:3]) + (", …" if lines[3:] else "")
        raise Problem(f"There are uncommitted changes ({names}): commit or `git stash` them first.")


def unresolved(root: Path) -> list[str]:
    """Files with conflicts that an update has left: unmerged, with its marks, or what cruft could not apply."""
    unmerged = (text.partition("\t")[2] for text in line(root, "ls-files", "-u", "-z").split("\0"))
    marked = line(root, "grep", "-l", "-z", "-E", f"^(<{{7}} {OURS}|>{{7}} template-[^ ]+)$").split("\0")
    rejected = line(root, "ls-files", "-z", "--others", "--cached", "--", "*.rej").split("\0")
    return sorted({*unmerged, *marked, *rejected} - {""})


def _journal(root: Path) -> Path:
    """The file that says, while it is there, that an update is being written."""
    return Path(root, line(root, "rev-parse", "--git-path", "mlops-update.json"))


@contextmanager
def _all_or_nothing(root: Path, written: dict[str, object]) -> Iterator[None]:
    """Bring the project back when what is inside fails or is interrupted."""
    _journal(root).write_text(json.dumps(written), encoding="utf-8")
    try:
        yield
        _journal(root).unlink()
    except BaseException:
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            _take_back(root)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        raise


def _take_back(root: Path) -> None:
    journal, top = _journal(root), Path(line(root, "rev-parse", "--show-toplevel"))
    git(top, "reset", "--hard", "-q", "HEAD")
    for name in json.loads(journal.read_text(encoding="utf-8"))["added"]:
        (top / name).unlink(missing_ok=True)
        for folder in (top / name).parents:
            if folder == top or (folder.is_dir() and any(folder.iterdir())):
                break
            if folder.is_dir():
                folder.rmdir()
    journal.unlink()


def recover(root: Path) -> bool:
    """Take back an update that was killed while it wrote; whether there was one.

    Only when every file is as before or as the update writes it: then nothing of a person's is lost.
    """
    journal = _journal(root)
    if not journal.is_file():
        return False
    top = Path(line(root, "rev-parse", "--show-toplevel"))
    written = json.loads(journal.read_text(encoding="utf-8"))
    changed = git(top, "diff", "--name-only", "-z", "HEAD").split("\0")[:-1]
    for name in {*changed, *written["added"]}:
        known = [line(top, "rev-parse", "--verify", "--quiet", f"{tree}:{name}") for tree in ("HEAD", written["tree"])]
        if (top / name).is_file() and line(top, "hash-object", "--", name) not in known:
            raise Problem(
                f"An update was killed while it wrote, and {name} was changed since: save what you need of it, then "  # nosec B608
                f"`git reset --hard`, and delete {journal}."
            )
    _take_back(root)
    return True


def remove(folder: Path) -> None:
    """Delete a folder with repositories in it, whose objects Windows does not delete as they are."""

    def delete(function: object, path: str, error: object) -> None:
        os.chmod(path, stat.S_IWRITE)
        os.unlink(path)

    shutil.rmtree(folder, onerror=delete)
