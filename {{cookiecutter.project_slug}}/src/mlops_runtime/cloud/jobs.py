"""A pipeline as a job of the workspace: what is overridden, sending it, waiting for it, and which step failed."""

import itertools
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime import cloud, pipeline
from mlops_runtime.cloud import steps
from mlops_runtime.cloud.assets import Assets
from mlops_runtime.cloud.errors import explained
from mlops_runtime.config import Config, Scalar, read_yaml
from mlops_runtime.errors import Problem

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import PipelineJob

ENDED = ("Completed", "Failed", "Canceled", "NotResponding")
POLLS = (1, 2, 4, 8, 15)  # seconds between looks at a job; the last one is repeated
LOG = "std_log.txt"
TAIL = 40  # lines of a failed step's log
REGISTER = "register"  # the step that says no, and where a model comes from


@dataclass(frozen=True)
class Ended:
    """A job's status and, when it failed, the step and the end of its log."""

    name: str
    status: str
    step: str = ""
    log: str = ""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status in ENDED

    @property
    def refused(self) -> bool:
        """Whether the pipeline worked and its gates said no."""
        return self.step == REGISTER and "Not registered" in self.log


def overrides(
    settings: Config, file: Path, values: dict[str, Scalar], assets: Assets, variables: dict[str, str]
) -> dict[str, Any]:
    """What differs from the pipeline's YAML in this environment: dotted key → value.

    `values` are inputs of the pipeline, `variables` environment variables of the step that registers: in others they
    would keep Azure ML from using again what an earlier commit's job has done.
    """
    content = read_yaml(file)
    declared = content["inputs"]
    remote = {name: str(value) for name, value in values.items() if str(value).startswith("azureml:")}
    remote |= {name: place for name, place in settings.data.items() if name in declared}
    unknown = sorted(values.keys() - declared.keys())
    if unknown:
        raise Problem(f"{file}: there is no input {unknown[0]!r}; its inputs are {', '.join(declared)}.")
    changed: dict[str, Any] = {"settings.default_compute": steps.compute(settings.compute.default)}
    for name, given in declared.items():
        if name in remote:
            changed[f"inputs.{name}.path"] = remote[name]
        elif isinstance(given, dict):
            written = (file.parent / given["path"]).resolve()
            path = Path(str(values[name])).resolve() if name in values else written
            asset = _asset_of(settings.root, path)
            if asset or path != written:
                changed[f"inputs.{name}.path"] = assets.data(asset) if asset else str(path)
        elif name in values and (value := pipeline.convert(name, values[name], type(given))) != given:
            changed[f"inputs.{name}"] = value
    pipelines = {file, *(settings.root / "mlops" / "azureml").rglob("pipeline.yml")}
    known = {step for path in sorted(pipelines) for step in read_yaml(path)["jobs"]}
    for step in sorted(settings.compute.steps.keys() - known):
        where = f"config/{settings.environment}.yml: compute.steps.{step}"
        raise Problem(f"{where}: no pipeline has such a step; their steps are {', '.join(sorted(known))}.")
    for step, job in content["jobs"].items():
        told = variables if step == REGISTER else {}
        changed |= dict(steps.overrides(settings, file, step, assets, told, remote))
        for name, given in read_yaml(file.parent / job["component"])["inputs"].items():
            if given.get("optional") and name not in declared and name in settings.data:
                changed[f"inputs.{name}.type"], changed[f"inputs.{name}.path"] = given["type"], settings.data[name]
                changed[f"jobs.{step}.inputs.{name}"] = "${{parent.inputs." + name + "}}"
    return changed


def _asset_of(root: Path, path: Path) -> Path | None:
    """The YAML of the data asset that is this file or folder."""
    for file in sorted((root / "mlops" / "azureml" / "data").glob("*.yml")):
        if (file.parent / read_yaml(file)["path"]).resolve() == path:
            return file
    return None


def submit(
    client: "MLClient", file: Path, changed: dict[str, Any], tags: dict[str, str], name: str | None = None
) -> "PipelineJob":
    """Send the pipeline with what is overridden, as the job `name` or as one with a name that the service gives."""
    with explained(f"To submit {file.name}"), cloud.hushed():
        job: PipelineJob = cloud.load(file, changed)
        job.name = name
        job.tags = {**(job.tags or {}), **tags}
        sent: PipelineJob = client.jobs.create_or_update(job)
        return sent


def unfinished(client: "MLClient", prefix: str) -> tuple[str, bool]:
    """The job to go on with, of those called `prefix`-1, -2, …, and whether it exists: one that failed is not."""
    from azure.core.exceptions import ResourceNotFoundError

    for number in itertools.count(1):
        name = f"{prefix}-{number}"
        with explained(f"To look at the job {name}"):
            try:
                status = cloud.word(client.jobs.get(name).status)
            except ResourceNotFoundError:
                return name, False
        if status not in ENDED or status == "Completed":
            return name, True
    raise AssertionError("unreachable")


def fetch_artifacts(client: "MLClient", name: str, step: str, artifacts: str, folder: Path) -> Path:
    """Download what a step of the job has tracked with MLflow; the folder called `artifacts`."""
    with explained(f"To fetch {artifacts} of the step {step}"):
        child = next((child for child in client.jobs.list(parent_job_name=name) if child.display_name == step), None)
        if child is not None:
            client.jobs.download(str(child.name), download_path=folder)
        place = next((found for found in folder.rglob(artifacts) if found.is_dir()), None)
        if place is None:
            raise Problem(f"The job {name} has no step {step} that has tracked {artifacts}.")
        return place


def wait(client: "MLClient", name: str, patience: float | None = None) -> Ended:
    """Look at the job until it is over, saying when a step changes; safe to interrupt and to call again.

    With `patience`, in minutes, no longer than that: it may then not be over.
    """
    until = float("inf") if patience is None else time.monotonic() + 60 * patience
    said: dict[str, str] = {}
    for pause in itertools.chain(POLLS, itertools.repeat(POLLS[-1])):
        with explained(f"To look at the job {name}"):
            job = client.jobs.get(name)
            for child in client.jobs.list(parent_job_name=name):
                step, status = child.display_name or child.name, cloud.word(child.status)
                if said.get(step) != status:
                    said[step] = status
                    print(f"  {status:<12} {step}", flush=True)
        if cloud.word(job.status) in ENDED:
            return look(client, name)
        if time.monotonic() + pause > until:
            return Ended(name, cloud.word(job.status))
        time.sleep(pause)
    raise AssertionError("unreachable")


def look(client: "MLClient", name: str) -> Ended:
    """The job as it is now."""
    with explained(f"To look at the job {name}"):
        job = client.jobs.get(name)
        failed = [child for child in client.jobs.list(parent_job_name=name) if cloud.word(child.status) == "Failed"]
        if cloud.word(job.status) != "Failed" or not failed:
            return Ended(name, cloud.word(job.status))
        step = str(failed[0].display_name or failed[0].name)
        return Ended(name, cloud.word(job.status), step, _log(client, str(failed[0].name)))


def _log(client: "MLClient", name: str) -> str:
    """The last lines of what a step printed; empty when the service has no log of it."""
    with tempfile.TemporaryDirectory() as folder:
        client.jobs.download(name, download_path=folder)
        for file in sorted(Path(folder).rglob(LOG)):
            return "\n".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:])
    return ""
