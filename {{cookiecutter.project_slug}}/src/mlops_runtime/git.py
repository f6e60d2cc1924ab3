"""Calls of git for template updates; what git says when it fails becomes a Problem."""

import os
import subprocess
from pathlib import Path

from mlops_runtime.errors import Problem

OWN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")  # set where git itself has called us


def attempt(folder: Path, *arguments: str, given: str = "", **variables: str) -> tuple[int, str, str]:
    """Run git in a folder with `given` as its input: exit code, output and errors; any bytes survive in the texts."""
    environment = {name: value for name, value in os.environ.items() if name not in OWN}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**environment, "LC_ALL": "C", **variables},
            input=given.encode("utf-8", "surrogateescape"),
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise Problem("git is not installed: install it (https://git-scm.com).") from None
    out, err = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
    return done.returncode, out, err


def git(folder: Path, *arguments: str, given: str = "", **variables: str) -> str:
    """What git prints; a Problem when it fails."""
    code, out, err = attempt(folder, *arguments, given=given, **variables)
    if code:
        raise Problem(f"`git {arguments[0]}` failed: {err.strip() or out.strip()}")
    return out


def line(folder: Path, *arguments: str) -> str:
    """The one line that git prints, or an empty text when it fails."""
    code, out, _ = attempt(folder, *arguments)
    return "" if code else out.rstrip("\n")
