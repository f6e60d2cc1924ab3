"""A generated project whose config names the stand-in's workspaces, models there, and its commands."""

import json
import os
import re
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .arm import Scope, put_version
from .cloud import Cloud
from .shell import Done, Running, Shell
from .wire import Answer, Json, Request

EXAMPLE = {"columns": ["a"], "data": [[1], [2]]}
MLMODEL = b"flavors: {}\n"
GOOD = [{"name": "score", "passed": True, "value": 0.9, "limit": 0.8, "reason": "score is 0.9"}]


def configure(root: Path, cloud: Cloud) -> None:
    """Write the stand-in's names into config, and let nothing wait."""
    for name in ("shared", "dev", "staging", "prod"):
        scope = cloud.registry if name == "shared" else cloud.workspace(name)
        file = root / f"config/{name}.yml"
        text = file.read_text(encoding="utf-8")
        text = text.replace('subscription: ""', f'subscription: "{scope.subscription}"')
        text = re.sub(r"resource_group: .*", f"resource_group: {scope.group}", text)
        text = re.sub(r"workspace: (mlw-.*)", f"workspace: {scope.name}", text)
        text = re.sub(r"name: mlr-.*", f"name: {scope.name}", text)
        text = text.replace("minutes: 10", "minutes: 0").replace("requests: 60", "requests: 4")
        text = text.replace("requests_per_second: 20, seconds: 60", "requests_per_second: 1, seconds: 2")
        text = text.replace("p95_ms: 500", "p95_ms: 10000")  # this machine may be busy
        text = text.replace("rows: 10000", "rows: 2")
        file.write_text(text, encoding="utf-8")


@dataclass
class World:
    """One project and one cloud."""

    root: Path
    cloud: Cloud
    shell: Shell
    endpoint: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        configure(self.root, self.cloud)
        for name in ("dev", "staging", "prod"):
            self.cloud.arm.add_compute(self.cloud.workspace(name), "cpu-cluster")
            self.cloud.arm.add_compute(self.cloud.workspace(name), "kubernetes", "Kubernetes")
            self.cloud.arm.identities.add(self.identity(name).lower())
        self.environment = self.cloud.environment()
        self.use("dev")

    def identity(self, name: str) -> str:
        """The id of the identity that infrastructure/ makes in the group of `shared` for an environment's endpoint."""
        group = self.cloud.registry.id.partition("/providers/")[0]
        return f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-taxifares-{name}-endpoint"

    def use(self, name: str) -> None:
        """What follows is about this environment."""
        self.workspace = self.cloud.workspace(name)
        self.endpoint = f"taxi-fares-{name}"

    def mlops(self, *arguments: str) -> Done:
        """Run a command to its end."""
        return self.start(*arguments).wait()

    def start(self, *arguments: str) -> Running:
        """Start a command."""
        return self.shell.start("mlops", *arguments, cwd=self.root, **self.environment)

    def deploy(self, *more: str) -> Done:
        """Deploy to the environment in use."""
        return self.mlops("deploy", "--env", self.workspace.name, *more)

    def model(self, version: str, folder: Path | None = None, scope: Scope | None = None, **tags: str) -> None:
        """Register a model version as a pipeline would have: by default a tiny one in the workspace in use."""
        scope = scope or self.workspace
        files = {"MLmodel": MLMODEL, "input_example.json": json.dumps(EXAMPLE).encode()}
        files["evaluation/reference.parquet"] = b"PAR1"
        files["evaluation/verdict.json"] = json.dumps({"passed": True, "gates": GOOD}).encode()
        if folder:
            files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        if scope.kind == "workspaces":
            inside = f"taxi-fares-{version}/model"
            place = scope.id.replace("/providers/Microsoft.MachineLearningServices", "").replace("Groups", "groups")
            uri = f"azureml:/{place}/datastores/workspaceblobstore/paths/{inside}"
            account, container, _ = self.cloud.arm.place(uri, scope.id)
        else:  # each version has a container of its own
            account, container, inside = scope.account, f"taxi-fares-{version}", ""
            uri = f"https://{account}.blob.core.windows.net/{container}"
        self.cloud.storage.write(account, container, {f"{inside}/{name}".lstrip("/"): files[name] for name in files})
        tags = {"model_digest": version.ljust(64, "0"), "gates": "passed", **tags}
        said = {"modelUri": uri, "modelType": "mlflow_model", "tags": tags}
        with self.cloud.arm.lock:
            put_version(self.cloud.arm, f"{scope.id}/models/taxi-fares/versions/{version}", said)

    def found(self, path: str = "", kind: str = "onlineEndpoints") -> Json | None:
        """The endpoint, or what is below it."""
        return self.cloud.arm.find(f"{self.workspace.id}/{kind}/{self.endpoint}{path}")

    @property
    def traffic(self) -> dict[str, int]:
        """The share of requests per deployment."""
        found = self.found()
        return {k: v for k, v in ((found or {}).get("properties", {}).get("traffic") or {}).items() if v}

    @property
    def tags(self) -> dict[str, str]:
        """The endpoint's tags."""
        return dict((self.found() or {}).get("tags") or {})

    def behave(self, deployment: str, *, good: int = 200, bad: int = 400, calls: int = 10**9) -> None:
        """A deployment answers like a scoring script, but with `good` in place of 200 after `calls` requests."""
        count = iter(range(10**9))

        def answer(request: Request) -> Answer:
            said: Any = request.json.get("input_data")
            if not isinstance(said, list):
                return Answer({"message": "refused", "reasons": ["nonsense"]}, bad)
            status = 200 if next(count) < calls else good
            return Answer({"predictions": [{"prediction": 1}]} if status == 200 else {"message": "broken"}, status)

        self.cloud.scoring.behave(self.endpoint, deployment, answer)

    def writes(self) -> list[Request]:
        """What was asked that changes something."""
        asked = self.cloud.requests("PUT|PATCH|DELETE", "Microsoft|azureml")
        return [one for one in asked if "blob.core" not in one.host]


def kill(running: Running) -> None:
    """End a command as a crash would, from within the stand-in."""
    os.kill(running.pid, signal.SIGKILL)


def copy(project: Path, to: Path) -> Path:
    """A copy of a generated project that may be changed."""
    shutil.copytree(project, to)
    return to
