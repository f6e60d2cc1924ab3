"""Files derived from others, so that each fact is written once: the AzureML environment from pyproject.toml."""

import json
import tomllib
from pathlib import Path

ENVIRONMENT = Path("mlops", "azureml", "environments", "conda.yml")


def conda(root: Path) -> str:
    """The conda file of the training environment: the dependencies, the group `train`, and what jobs need besides."""
    content = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project, training = content["project"], content.get("dependency-groups", {}).get("train", [])
    python = (root / ".python-version").read_text(encoding="utf-8").strip()
    packages = [*project["dependencies"], *training, *project["optional-dependencies"]["job"]]
    lines = [
        "# Derived from pyproject.toml and .python-version by `mlops config render`.",
        "name: train",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        f"  - python={python}",
        "  - pip",
        "  - pip:",
        *(f"      - {json.dumps(package)}" for package in packages),
    ]
    return "\n".join(lines) + "\n"


def derive(root: Path) -> dict[Path, str]:
    """Every derived file with the content that it should have."""
    return {root / ENVIRONMENT: conda(root)}


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
