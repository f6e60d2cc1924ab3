"""Environments, components and data in a workspace, versioned by content: what is unchanged is not sent again."""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime import cloud
from mlops_runtime.cloud import locks
from mlops_runtime.cloud.errors import explained
from mlops_runtime.config import read_yaml

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

LENGTH = 12  # characters of a SHA-256 in a version
MLTABLE = "type: mltable\npaths:\n  - file: ./{file}\ntransformations:\n  - read_parquet\n"
DATA = "https://azuremlschemas.azureedge.net/latest/data.schema.json"
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
    """Registers what YAML files describe; without a client it only works out the references."""

    def __init__(self, client: "MLClient | None", registry: str = "") -> None:
        """`registry`: its name, when `client` is a registry's and not a workspace's."""
        self.client = client
        self.registry = registry
        self._known: dict[Path, str] = {}
        self._assets: dict[str, Any] = {}  # by reference, as Azure has them
        self._codes: dict[Path, str] = {}  # in a registry, which, unlike a workspace, does not know files again

    def environment(self, file: Path) -> str:
        """The reference of the environment that a YAML file describes."""
        file = file.resolve()
        conda = locks.locked(file.parents[3], file.stem)
        version = digest(file, json.dumps(conda))
        return self._ensure("environment", file, read_yaml(file)["name"], version, conda_file=conda)

    def component(self, file: Path) -> str:
        """The reference of the component that a YAML file describes, with its code and environment."""
        content = read_yaml(file)
        environment = self.environment(file.parent / content["environment"].removeprefix("file:"))
        folder = (file.parent / content["code"]).resolve()
        version = digest(file, folder, re.split("[:/]", environment)[-1])
        code = {"code": self._codes[folder]} if folder in self._codes else {}
        found = self._ensure("component", file, content["name"], version, environment=environment, **code)
        if self.registry and found in self._assets:
            self._codes[folder] = self._assets[found].code
        return found

    def data(self, file: Path) -> str:
        """The reference of the data asset that a YAML file describes."""
        content = read_yaml(file)
        return self._ensure("data", file, content["name"], digest(file.parent / content["path"]))

    def table(self, name: str, file: Path) -> str:
        """The reference of a Parquet file as a table (MLTable), which Azure ML's monitors want."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "table")
            folder.mkdir()
            shutil.copy(file, folder)
            (folder / "MLTable").write_text(MLTABLE.format(file=file.name), encoding="utf-8", newline="\n")
            text = f"name: {name}\ntype: mltable\npath: table\n"
            described = Path(scratch, "data.yml")
            described.write_text(f"$schema: {DATA}\n{text}", encoding="utf-8", newline="\n")
            return self.data(described)

    def _ensure(self, kind: str, file: Path, name: str, version: str, **overrides: Any) -> str:
        plural = kind if kind == "data" else f"{kind}s"
        place = f"azureml://registries/{self.registry}/{plural}/{name}/versions/{version}"
        found = place if self.registry else f"azureml:{name}:{version}"
        if file in self._known or self.client is None:
            return self._known.setdefault(file, found)
        from azure.ai import ml
        from azure.core.exceptions import ResourceNotFoundError

        operations = getattr(self.client, plural)
        with explained(f"To register the {kind} {name}"):
            try:
                self._assets[found] = operations.get(name, version=version)
            except ResourceNotFoundError:
                changed = [{key: value} for key, value in {"version": version, **overrides}.items()]
                with cloud.hushed():
                    described = getattr(ml, f"load_{kind}")(file, params_override=changed)
                    self._assets[found] = operations.create_or_update(described)
                print(f"Registered {kind} {name} {version}.")
        self._known[file] = found
        return found
