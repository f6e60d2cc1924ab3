"""Environments, components and data in a workspace, versioned by content: what is unchanged is not sent again."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime.cloud.errors import explained
from mlops_runtime.config import read_yaml

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

LENGTH = 12  # characters of a SHA-256 in a version
CACHE = "__pycache__"


def digest(*parts: Path | str) -> str:
    """The version for files, folders and texts together: names and bytes count, times and places do not."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            total.update(part.encode() + b"\0")
            continue
        for file in _files(part):
            name = file.relative_to(part).as_posix() if part.is_dir() else part.name
            total.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()[:LENGTH]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for file in sorted(path.rglob("*")):
        if file.is_file() and CACHE not in file.parts:
            yield file


class Assets:
    """Registers what YAML files describe; without a client it only works out the versions."""

    def __init__(self, client: "MLClient | None") -> None:
        self.client = client
        self._known: dict[Path, str] = {}

    def environment(self, file: Path) -> str:
        """The environment of a YAML file as `azureml:name:version`."""
        content = read_yaml(file)
        version = digest(file, file.parent / content["conda_file"])
        return self._ensure("environment", file, content["name"], version, [])

    def component(self, file: Path) -> str:
        """The component of a YAML file, with its code and environment, as `azureml:name:version`."""
        content = read_yaml(file)
        environment = self.environment(file.parent / content["environment"].removeprefix("file:"))
        version = digest(file, file.parent / content["code"], environment)
        return self._ensure("component", file, content["name"], version, [{"environment": environment}])

    def data(self, file: Path) -> str:
        """The data asset of a YAML file as `azureml:name:version`."""
        content = read_yaml(file)
        return self._ensure("data", file, content["name"], digest(file.parent / content["path"]), [])

    def _ensure(self, kind: str, file: Path, name: str, version: str, overrides: list[dict[str, Any]]) -> str:
        found = f"azureml:{name}:{version}"
        if file in self._known or self.client is None:
            return self._known.setdefault(file, found)
        from azure.ai import ml
        from azure.core.exceptions import ResourceNotFoundError

        operations = getattr(self.client, "data" if kind == "data" else f"{kind}s")
        with explained(f"To register the {kind} {name}"):
            try:
                operations.get(name, version=version)
            except ResourceNotFoundError:
                load = getattr(ml, f"load_{kind}")
                operations.create_or_update(load(file, params_override=[{"version": version}, *overrides]))
                print(f"Registered {kind} {name} {version}.")
        self._known[file] = found
        return found
