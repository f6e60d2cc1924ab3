"""What is deployed and who may do it: the model, its image and settings as one digest, and the endpoint's lease."""

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from mlops_runtime import cloud, release, tracking
from mlops_runtime.cloud import models
from mlops_runtime.cloud.assets import Assets, digest
from mlops_runtime.cloud.errors import explained
from mlops_runtime.cloud.models import Registered
from mlops_runtime.collecting import MASK, VERSION
from mlops_runtime.config import Config
from mlops_runtime.errors import Problem, Refusal
from mlops_runtime.promotion import PROMOTED, SCAN

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

DIGEST, MODEL = "digest", "model_version"  # tags of a deployment
# Tags of an endpoint: who changes it until when; the digest that is on its way; the one that was not good enough.
LEASE, ROLLOUT, REFUSED = "lease", "rollout", "refused"
LONGEST_SECONDS = 90 * 60  # that Azure gets for one operation: it may build an image and start containers
LEASE_SECONDS = LONGEST_SECONDS + 30 * 60
LOG_LINES = 30


@dataclass(frozen=True)
class Release:
    """A model as it is deployed."""

    version: str
    changes: dict[str, Any]  # what deployment.yml has besides: dotted key → value
    digest: str  # of all that makes it: model, image, code, YAML and config


def model_to_deploy(settings: Config, version: str | None) -> Registered:
    """dev: the champion of its workspace; else the newest in the registry that is promoted there. Or `version`."""
    name, environment = settings.project.name, settings.environment
    if environment == "dev":
        place, client = f"the workspace {settings.azure.workspace}", cloud.workspace(settings)
        tag, value, missing = "gates", "passed", "it has not passed its gates"
    else:
        place, client = f"the registry {settings.registry.name}", cloud.registry(settings)
        tag, value, missing = PROMOTED + environment, None, f"run `mlops promote --env {environment}` first"
    model = models.choose(client, name, version, **{tag: value})
    if model is None:
        which = f"version {version} of {name}" if version else f"version of {name} that may go to {environment}"
        raise Problem(f"{place} has no {which}{'' if version else f': {missing}'}.")
    if tag not in model.tags or value not in (None, model.tags[tag]):
        raise Refusal(f"{name} {model.version} may not be deployed to {environment}: {missing}.")
    if model.tags.get(SCAN) == "failed":
        raise Refusal(f"{name} {model.version} may not be deployed: its scan found known vulnerabilities.")
    return model


def in_registry(model: Registered) -> bool:
    """Whether a version is the registry's and not a workspace's."""
    return "registries/" in model.id and "/workspaces/" not in model.id


def fetch(settings: Config, model: Registered, folder: Path) -> Path:
    """Download the MLflow model of a version, from wherever it is, into `folder`."""
    client = cloud.registry(settings) if in_registry(model) else cloud.workspace(settings)
    with explained(f"To fetch {model.name} {model.version}"):
        client.models.download(model.name, version=model.version, download_path=str(folder))
    found = next(folder.rglob("MLmodel"), None)
    if found is None:
        raise Problem(f"{model.name} {model.version} is not an MLflow model: there is no file MLmodel in it.")
    return found.parent


def make(settings: Config, model: Registered, fetched: Path | None, variables: str, **more: Any) -> Release:
    """The release of a model; without `fetched`, its folder, nothing is registered.

    `variables` is the dotted key of deployment.yml that holds environment variables; `more` are changes besides.
    """
    own: release.Settings = settings.deployment  # type: ignore[assignment]
    client = cloud.workspace(settings) if fetched else None
    shared = in_registry(model) and own.assets == "registry"
    assets = Assets(cloud.registry(settings) if fetched else None, settings.registry.name) if shared else Assets(client)
    reference = f"azureml:{model.name}:{model.version}"
    if shared:
        reference = f"azureml://registries/{settings.registry.name}/models/{model.name}/versions/{model.version}"
    elif client and fetched and in_registry(model):
        _copy(client, model, fetched)
    changes = {
        **dict(release.dotted(own.settings)),
        "endpoint_name": own.name,
        "model": reference,
        "environment": assets.environment(settings.root / release.IMAGE),
        f"{variables}.{VERSION}": model.version,
        f"{variables}.{tracking.DIGEST}": model.tags.get(models.DIGEST, ""),
        f"{variables}.{MASK}": ",".join(own.collection.mask),
        **more,
    }
    content = [settings.root / "src", settings.root / release.ENDPOINT, settings.root / release.DEPLOYMENT]
    said = json.dumps([own.endpoint, changes, model.tags.get(models.DIGEST)], sort_keys=True)
    return Release(model.version, changes, digest(*content, said))


def _copy(client: "MLClient", model: Registered, folder: Path) -> None:
    """Put a version of the registry into the workspace, for endpoints that cannot take it from there."""
    from azure.ai.ml.entities import Model

    if models.choose(client, model.name, model.version) is None:
        tags = {**model.tags, tracking.COPIED: model.id}
        entity = Model(path=folder, type="mlflow_model", name=model.name, version=model.version, tags=tags)
        with explained(f"To copy {model.name} {model.version} into the workspace"):
            client.models.create_or_update(entity)
        print(f"Copied {model.name} {model.version} into the workspace.")


class Endpoint:
    """An endpoint, which only the holder of its lease may change."""

    def __init__(self, settings: Config, operations: Any, deployments: Any) -> None:
        """`operations` and `deployments` are the client's for endpoints and deployments of this kind."""
        self.settings = settings
        own: release.Settings = settings.deployment  # type: ignore[assignment]
        self.name, self.changes = own.name, dict(release.dotted(own.endpoint))
        self.operations, self.deployments = operations, deployments
        process = psutil.Process()
        self.owner = f"{platform.node()}/{process.pid}/{process.create_time():.0f}"

    def read(self) -> Any:
        """The endpoint as it is; None when there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        with explained(f"To look at the endpoint {self.name}"):
            try:
                return self.operations.get(self.name)
            except ResourceNotFoundError:
                return None

    def model(self, name: str) -> Registered:
        """The model that a deployment runs."""
        with explained(f"To look at the deployment {name}"):
            one = self.deployments.get(name, self.name)
        return Registered(self.settings.project.name, str((one.tags or {}).get(MODEL, "")), {}, str(one.model))

    def hold(self, content: str, take_over: bool, edit: Callable[[Any], None] = lambda entity: None) -> None:
        """Take the lease for the rollout of `content`, a digest; make the endpoint if there is none.

        `edit` changes it in the same write. Refusal while somebody else has the lease.
        """
        there = self.read()
        owner, until = _lease(there)
        if owner and owner != self.owner and time.time() < until and not take_over and not _gone(owner):
            when = time.strftime("%H:%M UTC", time.gmtime(until))
            raise Refusal(
                f"{owner} is changing the endpoint {self.name}, at most until {when}: wait for it. "
                "If it has ended without saying so, run this again with --take-over."
            )
        if there is None:
            print(f"Creating the endpoint {self.name} …", flush=True)
        self._write(there, {ROLLOUT: content} if content else {}, edit)
        self._check(self.read())  # somebody else may have written in the same moment: the last one has it

    def change(self, edit: Callable[[Any], None], *, end: bool = False, refused: str = "") -> None:
        """Write the endpoint as `edit` changes it; `end` says that the rollout is over and gives the lease back.

        `refused` is the digest that was not good enough, which is remembered.
        """
        there = self.read()
        self._check(there)
        self._write(there, {ROLLOUT: None, LEASE: None, REFUSED: refused or None} if end else {}, edit)

    def let_go(self) -> None:
        """Give the lease back, with the rollout unfinished."""
        there = self.read()
        if there is not None and _lease(there)[0] == self.owner:
            self._write(there, {LEASE: None}, lambda entity: None)

    def _check(self, there: Any) -> None:
        owner = _lease(there)[0]
        if owner != self.owner:
            raise Problem(
                f"The endpoint {self.name} was taken over by {owner or 'somebody'}: nothing more was changed. "
                "Run the command again when that has ended."
            )

    def _write(self, there: Any, tags: dict[str, str | None], edit: Callable[[Any], None]) -> None:
        entity = cloud.load(self.settings.root / release.ENDPOINT, self.changes)
        for name in ("traffic", "mirror_traffic", "defaults"):  # everything else is what the YAML and config say
            if getattr(there, name, None):
                setattr(entity, name, getattr(there, name))
        lease = f"{self.owner} {time.time() + LEASE_SECONDS:.0f}"
        known = there.tags if there is not None and there.tags else {}
        merged = {**known, **(entity.tags or {}), LEASE: lease, **tags}
        entity.tags = {key: value for key, value in merged.items() if value is not None}
        edit(entity)
        with explained(f"To change the endpoint {self.name}"), cloud.hushed():
            _end(self.operations.begin_create_or_update(entity))

    def create(self, name: str, content: Release) -> None:
        """Create or replace a deployment without traffic; Problem with the end of its log when that fails."""
        changes = {**content.changes, "name": name, f"tags.{DIGEST}": content.digest, f"tags.{MODEL}": content.version}
        entity = cloud.load(self.settings.root / release.DEPLOYMENT, changes)
        self._check(self.read())
        self._remove_other_machines(name, entity)
        try:
            with explained(f"To create the deployment {name}"), cloud.hushed():
                _end(self.deployments.begin_create_or_update(entity))
        except Problem as problem:
            raise Problem(f"{problem}{self.log(name)}") from problem

    def _remove_other_machines(self, name: str, entity: Any) -> None:
        """Remove a deployment whose machines are of another type: Azure changes all of a deployment but those."""
        from azure.core.exceptions import ResourceNotFoundError

        with explained(f"To remove the deployment {name}, whose machines are of another type"), cloud.hushed():
            try:
                there = self.deployments.get(name, self.name)
            except ResourceNotFoundError:
                return
            if getattr(there, "instance_type", None) != getattr(entity, "instance_type", None):
                _end(self.deployments.begin_delete(name, self.name))

    def log(self, name: str) -> str:
        """The end of a deployment's log, as a text to append to a message; empty when the service has none."""
        if not hasattr(self.deployments, "get_logs"):
            return ""
        try:
            lines = str(self.deployments.get_logs(name=name, endpoint_name=self.name, lines=LOG_LINES)).splitlines()
        except Exception as error:  # the log is an extra: what failed is what must be said
            lines = [f"(not to be had: {error})"]
        text = "\n".join(f"  {line}" for line in lines[-LOG_LINES:] if line.strip())
        return f"\nThe end of the log of {name}:\n{text}" if text else ""


def _end(operation: Any) -> None:
    """Wait for a long-running operation; Problem when it does not end."""
    ends = time.monotonic() + LONGEST_SECONDS
    while not operation.done() and time.monotonic() < ends:
        operation.wait(1)  # Windows hears Ctrl-C only between waits
    if not operation.done():
        raise never_ends()
    operation.result()


def never_ends() -> Problem:
    """What to say when Azure does not finish."""
    minutes = LONGEST_SECONDS / 60
    return Problem(
        f"Azure has not ended an operation after {minutes:.0f} minutes: look at the endpoint in Azure ML studio. "
        "Run the command again: it goes on where it was."
    )


def _lease(entity: Any) -> tuple[str, float]:
    """Who holds an endpoint and until when, in seconds since 1970; nobody when there is no lease."""
    owner, _, until = str((entity.tags or {}).get(LEASE, "") if entity is not None else "").rpartition(" ")
    return owner, float(until or 0)


def _gone(owner: str) -> bool:
    """Whether the process that wrote a lease ran on this machine and has ended."""
    node, pid, started = owner.rsplit("/", 2)
    if node != platform.node():
        return False
    try:
        process = psutil.Process(int(pid))
        another = abs(process.create_time() - float(started)) > 2  # the clock that it is reckoned by moves a little
        return another or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
