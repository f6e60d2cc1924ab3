"""Files derived from others, so that each fact is written once: the AzureML environments from pyproject.toml.

A layer that derives more has the plug-in `mlops_runtime.parameters` with a `derive` of its own. This code writes a new
project too, before anything of it is installed: only the standard library and PyYAML are there.
"""

import importlib
import json
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlops_runtime.errors import Problem

ENVIRONMENTS = Path("mlops", "azureml", "environments")
# Where everything is that files are derived from.
SOURCES = (".python-version", "config/", "infrastructure/", "mlops/", "pyproject.toml", "src/mlops_runtime/")
# AzureML environment: the file derived for it, and the dependency group and the extra that it has besides.
FILES = {
    "train": ("conda.yml", "train", "job"),
    "serve": ("serve-conda.yml", "", ""),
    "spark": ("spark-conda.yml", "", ""),
}
NAME = re.compile(r"[A-Za-z0-9._-]+")  # of a package, before its extras and versions


def conda(root: Path, name: str) -> str:
    """The conda file of an environment: the dependencies, its group and extras, and what [tool.mlops.<name>] adds.

    A `python` there is the newest that its packages support; `only` names the dependencies that go into an environment
    that Azure ML brings, with a Python of its own.
    """
    content = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project, groups = content["project"], content.get("dependency-groups", {})
    python = (root / ".python-version").read_text(encoding="utf-8").strip()
    group = FILES[name][1]
    own = content.get("tool", {}).get("mlops", {}).get(name, {})
    python = min(python, own.get("python", python), key=lambda version: [int(part) for part in version.split(".")])
    optional = project.get("optional-dependencies", {})
    more = [package for extra in extras(content, name) for package in optional[extra]]
    wanted = [*project["dependencies"], *groups.get(group, []), *more, *own.get("packages", [])]
    packages = list(dict.fromkeys(wanted))
    if only := own.get("only"):
        packages = [package for package in packages if NAME.match(package)[0] in only]  # type: ignore[index]
    lines = [
        "# Derived from pyproject.toml and .python-version by `mlops config render`.",
        f"name: {name}",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        *([] if only else [f"  - python={python}"]),
        "  - pip",
        "  - pip:",
        *(f"      - {json.dumps(package)}" for package in packages),
    ]
    return "\n".join(lines) + "\n"


def extras(content: dict[str, Any], name: str) -> list[str]:
    """The extras that an environment has, by pyproject.toml: those that steps need there, and [tool.mlops.extras]."""
    known = content["project"].get("optional-dependencies", {})
    chosen = content.get("tool", {}).get("mlops", {}).get("extras", {}).get(name, [])
    for extra in chosen:
        if extra not in known:
            raise Problem(f"pyproject.toml: tool.mlops.extras.{name}: no extra {extra!r} among {', '.join(known)}.")
    return [*([FILES[name][2]] if FILES[name][2] else []), *chosen]


def derive(root: Path) -> dict[Path, str]:
    """Every derived file with its content: one for each AzureML environment that is there, and those of the plug-in."""
    folder = root / ENVIRONMENTS
    found = {folder / FILES[name][0]: conda(root, name) for name in FILES if (folder / f"{name}.yml").is_file()}
    if find_spec("mlops_runtime.parameters"):
        found |= importlib.import_module("mlops_runtime.parameters").derive(root)
    return found


def stale(root: Path) -> list[Path]:
    """The derived files that are missing or differ from what they should be."""
    return [
        path
        for path, text in derive(root).items()
        if not path.is_file() or path.read_bytes().replace(b"\r\n", b"\n") != text.encode()
    ]


def render(root: Path) -> list[Path]:
    """Write the derived files that are stale and return them."""
    wanted = derive(root)
    written = stale(root)
    for path in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8", newline="\n")
    return written
