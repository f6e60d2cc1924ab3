"""The template that a project came from: what is recorded of it, its versions, and what it renders.

A new project's hook records its template with this code: only the standard library is there.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from mlops_runtime.errors import Problem
from mlops_runtime.git import attempt, git, line

LINKED = ".cruft.json"  # the template's address and commit, and the answers, as cruft has them
UNLINKED = ".template.json"  # the answers alone: the template had no address, as in a zip
RELEASE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")  # of a tag, a branch or a commit
ABBREVIATIONS = {"gh": "https://github.com/{}.git", "gl": "https://gitlab.com/{}.git", "bb": "https://bitbucket.org/{}"}


def without_credentials(address: str) -> str:
    """The address of a repository without what must not be written down; ssh keeps the name of its user."""
    if "://" not in address:
        return address  # a path, or host:path of ssh, which has no place for a password
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    if parts.scheme.endswith("ssh"):
        return urlunsplit(parts._replace(netloc=user.partition(":")[0] + at + host))
    return urlunsplit(parts._replace(netloc=host, query="", fragment=""))


def write_record(path: Path, content: dict[str, Any]) -> None:
    """Write a record as cruft does."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


@dataclass(frozen=True)
class Record:
    """What a project knows of its template; `content` is that of its file."""

    version: str = ""
    content: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> "Record":
        """The record of a project; an empty one when it has none."""
        for name in (LINKED, UNLINKED):
            if not (root / name).is_file():
                continue
            try:
                content = json.loads((root / name).read_text(encoding="utf-8"))
                dict(content["context"]["cookiecutter"])
            except (ValueError, TypeError, KeyError):
                message = f"{name} is broken: take back the last good one with `git checkout COMMIT -- {name}`."
                raise Problem(message) from None
            return cls(_version(root / "pyproject.toml"), content)
        return cls(_version(root / "pyproject.toml"))

    @property
    def address(self) -> str:
        """Where the template is."""
        return self.content.get("template") or ""

    @property
    def commit(self) -> str:
        """The template's commit that the project has."""
        return self.content.get("commit") or ""

    @property
    def context(self) -> dict[str, Any]:
        """The answers, and the private values derived from them."""
        return dict(self.content["context"]["cookiecutter"]) if self.content else {}

    @property
    def answers(self) -> dict[str, str]:
        """What was answered."""
        return {name: str(value) for name, value in self.context.items() if not name.startswith("_")}


def _version(pyproject: Path) -> str:
    """The version of the template that a project's pyproject.toml names."""
    try:
        content = tomllib.loads(pyproject.read_text(encoding="utf-8"))
        return str(content["tool"]["mlops"]["template"]["version"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


class Template:
    """A clone of the template's repository, in `folder`."""

    def __init__(self, address: str, folder: Path) -> None:
        prefix, _, rest = address.partition(":")
        self.address = ABBREVIATIONS[prefix].format(rest) if prefix in ABBREVIATIONS else address
        self.plain = without_credentials(self.address)
        self.folder = folder / "template"
        code, _, err = attempt(folder, "clone", "-q", "--no-checkout", "--", self.address, str(self.folder))
        if code:
            said = err.strip().replace(self.address, self.plain)
            raise Problem(f"The template cannot be read from {self.plain}; name another address by --template.\n{said}")

    def commit(self, name: str) -> str:
        """The commit that a version, tag, branch or commit names; empty when there is none."""
        if not NAME.fullmatch(name):
            return ""
        places = [f"refs/tags/{name}", f"refs/remotes/origin/{name}", name]
        if RELEASE.fullmatch(name):
            places.insert(0, f"refs/tags/v{name.removeprefix('v')}")
        found = (line(self.folder, "rev-parse", "--verify", "--quiet", f"{place}^{{commit}}") for place in places)
        return next(filter(None, found), "")

    def releases(self) -> list[str]:
        """The tags of releases, the newest last."""
        tags = git(self.folder, "tag", "--list", "v*").split()
        return sorted(filter(RELEASE.fullmatch, tags), key=_numbers)

    def newest(self) -> str:
        """The name of the newest release; of the default branch when there is none."""
        releases = self.releases()
        return releases[-1] if releases else line(self.folder, "rev-parse", "--abbrev-ref", "origin/HEAD") or "HEAD"

    def contains(self, commit: str, other: str) -> bool:
        """Whether `commit` has everything that `other` has."""
        return attempt(self.folder, "merge-base", "--is-ancestor", other, commit)[0] == 0

    def file(self, commit: str, name: str) -> str:
        """A file of the template's; empty when it has none."""
        return line(self.folder, "show", f"{commit}:{name}")

    def version(self, commit: str) -> str:
        """The version that a commit says it is."""
        try:
            return str(tomllib.loads(self.file(commit, "pyproject.toml"))["project"]["version"])
        except (ValueError, LookupError):
            return commit[:7]

    def questions(self, commit: str) -> dict[str, Any]:
        """The questions of a version, with their defaults or choices."""
        try:
            found = json.loads(self.file(commit, "cookiecutter.json"))
        except ValueError:
            raise Problem(f"{self.plain} is not a template: it has no good cookiecutter.json.") from None
        return {name: value for name, value in found.items() if not name.startswith("_")}

    def render(self, commit: str, answers: dict[str, str], folder: Path) -> Path:
        """What a version makes of the answers, its hooks included, somewhere in `folder`."""
        if find_spec("cookiecutter") is None:
            raise Problem("Cookiecutter is not installed here: `uv sync` installs it, in the group `dev`.")
        folder.mkdir()
        git(self.folder, "worktree", "add", "-q", "--detach", str(folder / "template"), commit)
        settings = {"cookiecutters_dir": str(folder / "clones"), "replay_dir": str(folder / "replay")}
        (folder / "settings.yml").write_text(json.dumps(settings), encoding="utf-8")  # instead of the user's own
        places = ["--config-file", str(folder / "settings.yml"), "-o", str(folder / "out"), str(folder / "template")]
        done = subprocess.run(
            [sys.executable, "-m", "cookiecutter", "--no-input", *places, *(f"{k}={v}" for k, v in answers.items())],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        made = list((folder / "out").glob("*"))
        if done.returncode or len(made) != 1:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            told = [text.removeprefix("Error: ") for text in said if text.startswith("Error: ")]
            raise Problem(f"Template {self.version(commit)}: " + (told[0] if told else "\n".join(said[-5:])))
        return made[0]


class Update:
    """From the version and the answers that a project has to others: what is asked for, or the newest."""

    def __init__(self, root: Path, address: str, version: str, wanted: str, given: list[str], folder: Path) -> None:
        self.root, self.folder, self.record = root, folder, Record.read(root)
        if not (address or self.record.address):
            raise Problem(f"It is not recorded ({LINKED}) where this project's template is: {self._how()}")
        self.template = Template(address or self.record.address, folder)
        self.base = self._base(version)
        self.name = wanted or self.template.newest()
        self.target = self.template.commit(self.name)
        if not self.target:
            raise Problem(f"The template has no version, tag, branch or commit {self.name}.")
        if not wanted and self.template.contains(self.base, self.target):
            self.target = self.base
        self.old_answers = self.record.answers
        self.new_answers = {**self.old_answers, **self._checked(given)}
        if not self.record.content:
            self._refuse_incomplete()
            self.old_answers = self.new_answers

    def _how(self) -> str:
        version = "" if self.record.version else " --version V"
        answers = "" if self.record.content else " --set ANSWER=VALUE, for each of its questions"
        return f"`mlops update --template URL{version}{answers}`."

    def _base(self, version: str) -> str:
        """The commit that the project was made from, or updated to last."""
        for name in [version] if version else [self.record.commit, self.record.version]:
            if found := self.template.commit(name):
                return found
        known = version or self.record.commit or self.record.version
        missing = f"{self.template.plain} has no {known}" if known else "It is not recorded which version it is"
        releases = ", ".join(self.template.releases()) or "none"
        raise Problem(
            f"{missing}: name the version that this project has by --version, or another address by --template. "
            f"Releases: {releases}."
        )

    def _checked(self, given: list[str]) -> dict[str, str]:
        """The answers of --set; also the recorded ones must still be among the choices."""
        questions = self.template.questions(self.target)
        answers: dict[str, str] = {}
        for text in given:
            name, separator, answers[name] = text.partition("=")
            if not separator:
                raise Problem(f"--set {text}: write it as ANSWER=VALUE.")
            if name not in questions:
                raise Problem(f"--set {text}: there is no question {name}; there are {', '.join(questions)}.")
        for name, value in {**self.old_answers, **answers}.items():
            choices = questions.get(name)
            if isinstance(choices, list) and value not in choices:
                raise Problem(f"{name} {value!r} is none of {', '.join(choices)}: choose one with --set {name}=VALUE.")
        return answers

    def _refuse_incomplete(self) -> None:
        """Defaults in place of unknown answers would look like work of the team's."""
        missing = [name for name in self.template.questions(self.base) if name not in self.new_answers]
        if missing:
            raise Problem(f"The answers are not recorded ({LINKED}): add --set ANSWER=VALUE for {', '.join(missing)}.")

    @property
    def waiting(self) -> bool:
        """Whether there is another version or answer."""
        return (self.base, self.old_answers) != (self.target, self.new_answers)

    @property
    def from_(self) -> str:
        """The version that the project has, for a person."""
        return f"{self.template.version(self.base)} ({self.base[:7]})"

    @property
    def to(self) -> str:
        """The version that it gets."""
        return f"{self.template.version(self.target)} ({self.target[:7]})"

    @property
    def label(self) -> str:
        """The name of the template's side at a conflict."""
        return f"template-{self.template.version(self.target)}"

    def render(self) -> tuple[Path, Path] | None:
        """Folders with what both versions render; None when it is the same. The records are the project's own."""
        old = self.template.render(self.base, self.old_answers, self.folder / "old")
        new = self.template.render(self.target, self.new_answers, self.folder / "new")
        self.contexts = [Record.read(rendered).context for rendered in (old, new)]
        for rendered in (old, new):
            (rendered / LINKED).unlink(missing_ok=True)
            self._remove_skipped(rendered)
        if _files(old) == _files(new):
            return None
        for name in (LINKED, UNLINKED):
            code, text, _ = attempt(self.root, "show", f"HEAD:./{name}")
            if code == 0:
                (old / name).write_text(text, encoding="utf-8", newline="")
        write_record(new / LINKED, self._new_record())
        return old, new

    def _new_record(self) -> dict[str, Any]:
        context = self.contexts[1]
        if "_commit" in self.record.context:  # cruft's own
            context |= {"_template": self.template.plain, "_commit": self.target}
        plain = {"template": self.template.plain, "commit": self.target, "checkout": self.name}
        return {**self.record.content, **plain, "context": {"cookiecutter": context}, "directory": None}

    def _remove_skipped(self, rendered: Path) -> None:
        """Leave out what the team has told cruft to leave alone."""
        content = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))
        own = content.get("tool", {}).get("cruft", {}).get("skip", [])
        for pattern in [*self.record.content.get("skip", []), *own]:
            for path in sorted(rendered.glob(pattern), reverse=True):
                files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
                for one in files:
                    one.unlink()

    def notes(self) -> Iterator[str]:
        """What changes in the answers, and what the change log asks of projects that come from older versions."""
        old, new = self.contexts
        for name in dict.fromkeys([*old, *new]):
            if not name.startswith("_") and old.get(name) != new.get(name):
                yield f"    {name}: {old.get(name, 'not asked')} → {new.get(name, 'not asked')}"
        versions = [self.template.version(commit) for commit in (self.base, self.target)]
        if not all(map(RELEASE.fullmatch, versions)):
            return
        after, until = map(_numbers, versions)
        for section in re.split(r"^## ", self.template.file(self.target, "CHANGELOG.md"), flags=re.MULTILINE)[1:]:
            found = RELEASE.match(section)
            if found and after < _numbers(found[0]) <= until:
                for part in re.split(r"^### ", section, flags=re.MULTILINE)[1:]:
                    if part.startswith("Migration"):
                        yield f"\nTo do by hand for {found[0]}:\n{part.partition(chr(10))[2].strip()}\n"


def _numbers(version: str) -> list[int]:
    found = RELEASE.match(version)
    return [int(number) for number in found.groups()] if found else []


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
