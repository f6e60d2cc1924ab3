"""What runs on Azure ML, to the exact version: the conda file of an environment with what uv.lock says."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from mlops_runtime.config import read_yaml
from mlops_runtime.derived import ENVIRONMENTS, FILES, extras
from mlops_runtime.errors import Problem

PLAIN = ["--no-hashes", "--no-emit-project", "--no-default-groups", "--no-header", "--no-annotate"]


def locked(root: Path, name: str) -> Any:
    """The conda file of an environment with the exact versions of uv.lock, its packages' own dependencies included.

    As it is where there is no lock, and where packages are added that the lock does not know: they have limits of their
    own on the others.
    """
    file, group, _ = FILES[name]
    content = read_yaml(root / ENVIRONMENTS / file)
    said = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    if not (root / "uv.lock").is_file() or said.get("tool", {}).get("mlops", {}).get(name):
        return content
    uv = os.environ.get("UV") or shutil.which("uv")  # `uv run` says where it is
    if uv is None:
        raise Problem("uv.lock says which versions run on Azure ML, and uv, which reads it, is not on the path.")
    chosen = ["--group", group] if group in said.get("dependency-groups", {}) else []
    chosen += [word for extra in extras(said, name) for word in ("--extra", extra)]
    done = subprocess.run(
        [uv, "export", "--quiet", "--frozen", *PLAIN, *chosen],
        cwd=root,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != 0:
        raise Problem(f"uv cannot read uv.lock: {done.stderr.strip()}")
    content["dependencies"][-1]["pip"] = done.stdout.splitlines()
    return content
