"""Other people's programs: run from a list of arguments, at the version named here."""

import os
import shutil
import subprocess
from collections.abc import Container
from pathlib import Path

from mlops_runtime.errors import Problem

CHECKOV, PIP_AUDIT = "checkov==3.3.30", "pip-audit==2.10.1"
INSTALL = {
    "az": "https://learn.microsoft.com/cli/azure/install-azure-cli",
    "docker": "https://docs.docker.com/engine/install, or install trivy (https://trivy.dev)",
    "pwsh": "https://learn.microsoft.com/powershell/scripting/install/installing-powershell",
    "terraform": "https://developer.hashicorp.com/terraform/install",
    "uv": "https://docs.astral.sh/uv/getting-started/installation",
}
LAST = 40  # lines that are shown of a program that failed
ALL = range(256)  # exit codes


def run(command: list[str], root: Path, codes: Container[int] = (0,), **variables: str) -> tuple[int, str, str]:
    """Exit code, output and errors; Problem with the end of what it said for a code that is not one of `codes`."""
    program = command[0]
    path = (os.environ.get("UV") if program == "uv" else None) or shutil.which(program)
    if path is None:
        raise Problem(f"{program} is not on the path: {INSTALL[program]}.")
    environment = {**os.environ, "NO_COLOR": "1", "TF_IN_AUTOMATION": "1", **variables}
    done = subprocess.run(
        [path, *command[1:]],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode not in codes:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-LAST:])
        raise Problem(f"`{' '.join(command)}` ended with {done.returncode}:\n{said}")
    return done.returncode, done.stdout, done.stderr


def tool(package: str, *words: str, root: Path, codes: Container[int] = (0,)) -> str:
    """What a Python program prints, run by uv in an environment of its own."""
    return run(["uv", "tool", "run", "--quiet", package, *words], root, codes)[1]
