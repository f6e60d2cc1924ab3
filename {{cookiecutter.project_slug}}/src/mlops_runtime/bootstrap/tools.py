"""Calls of the command-line tools `az`, `gh` and `glab`: arguments as a list, JSON in and out, errors as Problems."""

import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from mlops_runtime.errors import Problem

INSTALL = {
    "az": "the Azure CLI (https://learn.microsoft.com/cli/azure/install-azure-cli)",
    "gh": "the GitHub CLI (https://cli.github.com)",
    "glab": "the GitLab CLI (https://gitlab.com/gitlab-org/cli)",
}
HOSTS = ("gh", "glab")  # of the repository; both read a body from standard input
DENIED = (
    *("AuthorizationFailed", "Authorization_RequestDenied", "Insufficient privileges", "does not have authorization"),
    *("InsufficientPermissions", "LinkedAuthorizationFailed", "HTTP 403", "Must have admin rights", "Forbidden("),
)
MISSING = (
    *("ResourceNotFound", "ResourceGroupNotFound", "Request_ResourceNotFound", "could not be found", "does not exist"),
    *("RoleAssignmentNotFound", "PrincipalNotFound", "HTTP 404", "Not Found("),
)
SIGNED_OUT = {
    "az": ("az login", "AADSTS70043", "AADSTS700082"),
    "gh": ("gh auth login", "HTTP 401"),
    "glab": ("glab auth login", "HTTP 401"),
}
SIGN_IN = {"az": "az login", "gh": "gh auth login", "glab": "glab auth login"}
NOT_FOUND_CODE = 3  # of az
TRIES = 6  # new objects reach all servers of the directory within about half a minute
PAUSE = 10.0  # seconds


class Missing(Problem):
    """What was asked for is not there."""


class Denied(Problem):
    """Who is signed in may not do this; `request` is the command that somebody else must run."""

    def __init__(self, message: str, request: str) -> None:
        super().__init__(message)
        self.request = request


@dataclass(frozen=True)
class Body:
    """Content that a tool reads as JSON: from a file (az) or its standard input."""

    content: Any

    def __str__(self) -> str:
        return json.dumps(self.content)


Argument = str | Body


def call(program: str, *arguments: Argument, patient: bool = False) -> Any:
    """What `program` prints, from JSON; None for nothing.

    `patient` tries again what is not there yet. Denied, Missing or Problem with the last lines of what it said.
    """
    for left in reversed(range(TRIES if patient else 1)):
        try:
            return _call(program, arguments)
        except Missing:
            if not left:
                raise
            time.sleep(PAUSE)
    raise AssertionError


def shown(program: str, arguments: Sequence[Argument]) -> str:
    """The call as a line for a POSIX shell, with what it reads in it."""
    words = [str(one) for one in arguments]
    bodies = [str(one) for one in arguments if isinstance(one, Body)]
    if program in HOSTS and bodies:
        return f"echo {shlex.quote(bodies[0])} | {shlex.join([program, *('-' if w in bodies else w for w in words)])}"
    return shlex.join([program, *words])


def _call(program: str, arguments: Sequence[Argument]) -> Any:
    path = shutil.which(program)
    if path is None:
        raise Problem(f"{program} is not installed: install {INSTALL[program]}, then run `{SIGN_IN[program]}`.")
    with ExitStack() as files:
        words, given = [], None
        for argument in arguments:
            if not isinstance(argument, Body):
                words.append(argument)
            elif program in HOSTS:
                words, given = [*words, "-"], str(argument)
            else:
                file = os.path.join(files.enter_context(tempfile.TemporaryDirectory()), "body.json")
                with open(file, "w", encoding="utf-8") as stream:
                    stream.write(str(argument))
                words.append(f"@{file}" if words[-1] == "--body" else file)
        code, out, err = execute([path, *words], given)
    if code == 0:
        return _json(out)
    said = "\n".join(line for line in err.strip().splitlines() if not line.startswith("WARNING"))[-1500:]
    command = shown(program, arguments)
    if any(word in said for word in SIGNED_OUT[program]):
        raise Problem(f"{program} is not signed in: run `{SIGN_IN[program]}`, then this again.")
    if any(word in said for word in DENIED):
        raise Denied(said, command)
    if (program == "az" and code == NOT_FOUND_CODE) or any(word in said for word in MISSING):
        if program in HOSTS and "--method" in arguments:  # they hide what one may not change
            raise Denied(said, command)
        raise Missing(said)
    raise Problem(f"`{command}` failed:\n{said}")


def execute(command: list[str], given: str | None) -> tuple[int, str, str]:
    """Run a command with `given` as its standard input: exit code, output and errors."""
    environment = {**os.environ, "AZURE_CORE_NO_COLOR": "true", "NO_COLOR": "1", "GH_PROMPT_DISABLED": "1"}
    text: dict[str, Any] = {"encoding": "utf-8", "errors": "replace"}
    done = subprocess.run(command, input=given or "", env=environment, capture_output=True, check=False, **text)
    return done.returncode, done.stdout, done.stderr


def _json(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise Problem(f"It answered with something that is not JSON: {text[:200]!r}.") from None


def az(*arguments: Argument, patient: bool = False) -> Any:
    """Call the Azure CLI."""
    return call("az", *arguments, "--only-show-errors", "--output", "json", patient=patient)


def gh(path: str, method: str = "", body: Any = None) -> Any:
    """Call GitHub's API; `path` may have {owner} and {repo}, which are those of this repository."""
    arguments: list[Argument] = ["api", path, *(["--method", method] if method else [])]
    if body is not None:
        arguments += ["--input", Body(body)]
    return call("gh", *arguments)


def glab(path: str, method: str = "", body: Any = None) -> Any:
    """Call GitLab's API; `path` may have :id, which is that of this repository's project."""
    arguments: list[Argument] = ["api", path, *(["--method", method] if method else [])]
    if body is not None:
        arguments += ["--header", "Content-Type: application/json", "--input", Body(body)]
    return call("glab", *arguments)


def found(program: Any, *arguments: Any) -> Any:
    """What `program` answers, or None for what is not there."""
    try:
        return program(*arguments)
    except Missing:
        return None
