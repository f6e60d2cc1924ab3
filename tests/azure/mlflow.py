"""MLflow's tracking and registry over REST, as Azure ML offers it: no logged models, no aliases.

What MLflow registers is a model of the workspace like any other, and jobs are runs.
"""

import operator
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from .arm import DATA_PLANE, Arm, Scope, put_version
from .faults import Fault
from .jobs import Run
from .wire import Answer, Json, Request

PATH = re.compile(r"/mlflow/v\d\.0(/subscriptions/.+?/workspaces/[^/]+)/api/2\.0/mlflow/(.+)", re.I)
STATUS = {
    "RUNNING": "Running",
    "FINISHED": "Completed",
    "FAILED": "Failed",
    "KILLED": "Canceled",
    "SCHEDULED": "NotStarted",
}
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
NOT_OFFERED = ("logged-models", "registered-models/alias", "traces", "webhooks", "prompt")


class Refused(Exception):
    """An error as MLflow words it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.answer = Answer({"error_code": code, "message": message}, status)


def missing(what: str) -> Refused:
    """Nothing is there."""
    return Refused(404, "RESOURCE_DOES_NOT_EXIST", f"{what} was not found.")


def pairs(values: dict[str, Any]) -> list[Json]:
    """A dictionary as MLflow writes it."""
    return [{"key": key, "value": value} for key, value in values.items()]


def milliseconds() -> int:
    """The time as MLflow writes it."""
    return int(time.time() * 1000)


class MLflow:
    """The runs and models of each workspace, seen through MLflow."""

    def __init__(self, arm: Arm) -> None:
        self.arm = arm
        self.experiments: dict[str, dict[str, str]] = {
            scope.id: {"Default": self.id_of("Default")} for scope in arm.scopes
        }

    @staticmethod
    def id_of(experiment: str) -> str:
        """The id of an experiment."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, experiment))

    def __call__(self, request: Request, _: Fault | None) -> Answer:
        """Answer one of MLflow's requests."""
        found = PATH.fullmatch(request.path)
        scope = self.arm.scope_of(found[1]) if found else None
        if not found or not scope or found[2].startswith(NOT_OFFERED):
            return Answer(status=404)  # as Azure ML answers what it does not know: without a body
        said = request.query if request.method == "GET" else request.json
        name = f"{request.method.lower()}_{re.sub(r'[^a-z]', '_', found[2])}"
        with self.arm.lock:
            for run in self.arm.jobs.runs.values():
                self.experiments[run.workspace].setdefault(run.experiment, self.id_of(run.experiment))
            function = getattr(self, name, None)
            if function is None:
                self.arm.unmodelled.append(str(request))
                return Answer({"error_code": "NOT_IMPLEMENTED", "message": f"{request} is not modelled."}, 501)
            try:
                return Answer(function(scope, said) or {})
            except Refused as refused:
                return refused.answer

    # Experiments

    def experiment(self, scope: Scope, name: str) -> Json:
        """An experiment as MLflow words it."""
        key = self.experiments[scope.id][name]
        return {"experiment_id": key, "name": name, "artifact_location": "", "lifecycle_stage": "active"}

    def get_experiments_get_by_name(self, scope: Scope, said: Json) -> Json:
        """By name."""
        if said["experiment_name"] not in self.experiments[scope.id]:
            raise missing(f"Experiment {said['experiment_name']}")
        return {"experiment": self.experiment(scope, said["experiment_name"])}

    def get_experiments_get(self, scope: Scope, said: Json) -> Json:
        """By id."""
        for name, key in self.experiments[scope.id].items():
            if key == said["experiment_id"]:
                return {"experiment": self.experiment(scope, name)}
        raise missing(f"Experiment {said['experiment_id']}")

    def post_experiments_create(self, scope: Scope, said: Json) -> Json:
        """Make one."""
        if said["name"] in self.experiments[scope.id]:
            raise Refused(400, "RESOURCE_ALREADY_EXISTS", f"Experiment {said['name']} already exists.")
        self.experiments[scope.id][said["name"]] = self.id_of(said["name"])
        return {"experiment_id": self.id_of(said["name"])}

    def post_experiments_search(self, scope: Scope, _: Json) -> Json:
        """All of them."""
        return {"experiments": [self.experiment(scope, name) for name in self.experiments[scope.id]]}

    # Runs

    def run(self, scope: Scope, said: Json) -> Run:
        """The run that is meant."""
        run: Run | None = self.arm.jobs.runs.get(said.get("run_id") or said.get("run_uuid") or "")
        if run is None or run.workspace != scope.id:
            raise missing(f"Run {said.get('run_id')}")
        if job := self.arm.find(f"{scope.id}/jobs/{run.parent or run.name}"):
            self.arm.jobs.look(job)
        return run

    def run_said(self, run: Run) -> Json:
        """A run as MLflow words it."""
        key = self.id_of(run.experiment)
        info = {
            "run_id": run.name,
            "run_uuid": run.name,
            "run_name": run.display,
            "experiment_id": key,
            "status": next(word for word, status in STATUS.items() if status == run.status),
            "start_time": run.began,
            "artifact_uri": f"azureml://{DATA_PLANE}/mlflow/v2.0{run.workspace}/experiments/{key}/runs/{run.name}/artifacts",
            "lifecycle_stage": "active",
        }
        if run.ended:
            info["end_time"] = run.began
        parent = {"mlflow.parentRunId": run.parent} if run.parent else {}
        tags = {"mlflow.runName": run.display, "mlflow.rootRunId": run.parent or run.name, **parent, **run.tags}
        measured = [
            {"key": name, "value": value, "timestamp": run.began, "step": 0} for name, value in run.metrics.items()
        ]
        return {"run": {"info": info, "data": {"metrics": measured, "params": pairs(run.params), "tags": pairs(tags)}}}

    def post_runs_create(self, scope: Scope, said: Json) -> Json:
        """Start a run."""
        experiment = (
            self.get_experiments_get(scope, said)["experiment"]["name"] if said["experiment_id"] != "0" else "Default"
        )
        name = str(uuid.uuid4())
        run = Run(name, said.get("run_name") or name, scope.id, experiment, "mlflow", "local")
        run.tags = {one["key"]: one["value"] for one in said.get("tags", [])}
        self.arm.jobs.runs[name] = run
        return self.run_said(run)

    def get_runs_get(self, scope: Scope, said: Json) -> Json:
        """One run."""
        return self.run_said(self.run(scope, said))

    def post_runs_update(self, scope: Scope, said: Json) -> Json:
        """A run ends or gets another name."""
        run = self.run(scope, said)
        run.status = STATUS[said["status"]] if "status" in said else run.status
        run.ended = str(said.get("end_time", run.ended))
        run.display = said.get("run_name") or run.display
        return {"run_info": self.run_said(run)["run"]["info"]}

    def post_runs_log_metric(self, scope: Scope, said: Json) -> None:
        """One metric."""
        run = self.run(scope, said)
        run.metrics[said["key"]] = said["value"]
        point = {"timestamp": milliseconds(), "step": 0, **{key: said[key] for key in ("key", "value")}}
        run.history.append({**point, **{key: said[key] for key in ("timestamp", "step") if key in said}})

    def post_runs_log_parameter(self, scope: Scope, said: Json) -> None:
        """One parameter."""
        self.run(scope, said).params[said["key"]] = said["value"]

    def post_runs_set_tag(self, scope: Scope, said: Json) -> None:
        """One tag."""
        self.run(scope, said).tags[said["key"]] = said["value"]

    def post_runs_log_batch(self, scope: Scope, said: Json) -> None:
        """Several of each."""
        for kind, log in (
            ("metrics", self.post_runs_log_metric),
            ("params", self.post_runs_log_parameter),
            ("tags", self.post_runs_set_tag),
        ):
            for one in said.get(kind, []):
                log(scope, {"run_id": said["run_id"], **one})

    def get_metrics_get_history(self, scope: Scope, said: Json) -> Json:
        """All values of a metric."""
        return {"metrics": [one for one in self.run(scope, said).history if one["key"] == said["metric_key"]]}

    def post_runs_search(self, scope: Scope, said: Json) -> Json:
        """The runs of experiments that meet conditions joined by `and`, in order."""
        wanted = [run for run in self.arm.jobs.runs.values() if run.workspace == scope.id]
        wanted = [run for run in wanted if self.id_of(run.experiment) in said.get("experiment_ids", [])]
        for condition in re.split(r"\s+and\s+", said.get("filter") or "", flags=re.I):
            if condition.strip():
                wanted = [run for run in wanted if self.meets(run, condition)]
        for order in reversed(said.get("order_by", [])):
            field, _, way = order.strip().partition(" ")
            wanted = [run for run in wanted if self.value(run, field) is not None]
            wanted.sort(key=lambda run: self.value(run, field), reverse=way.strip().lower() == "desc")
        return {"runs": [self.run_said(run)["run"] for run in wanted[: int(said.get("max_results", 1000))]]}

    def value(self, run: Run, field: str) -> Any:
        """What `metrics.x`, `params.x`, `tags.x` or `attributes.x` is."""
        kind, _, name = field.replace("`", "").replace('"', "").rpartition(".")
        if kind in ("metrics", "params", "tags"):
            return getattr(run, kind).get(name)
        info = self.run_said(run)["run"]["info"]
        if name not in info:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"'{field}' cannot be searched.")
        return info[name]

    def meets(self, run: Run, condition: str) -> bool:
        """Does a run meet one condition?"""
        found = re.fullmatch(r"\s*([\w.`\"/ -]+?)\s*(!=|>=|<=|=|>|<)\s*(.+?)\s*", condition)
        if not found:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"'{condition}' is not a condition.")
        value, wanted = self.value(run, found[1]), found[3].strip("'\"")
        if value is None:
            return False
        return COMPARE[found[2]](value, float(wanted) if isinstance(value, (int, float)) else wanted)

    # Models

    def version_said(self, scope: Scope, stored: Json) -> Json:
        """A version of a model as MLflow words it."""
        properties = stored["properties"]
        return {
            "name": stored["id"].split("/")[-3],
            "version": stored["name"],
            "creation_timestamp": milliseconds(),
            "last_updated_timestamp": milliseconds(),
            "current_stage": properties.get("stage") or "None",
            "description": properties.get("description") or "",
            "source": self.download_uri(scope, properties["modelUri"]),
            "run_id": properties.get("jobName") or "",
            "status": "READY",
            "tags": pairs(properties.get("tags") or {}),
        }

    def download_uri(self, scope: Scope, uri: str) -> str:
        """Where MLflow's artifact client finds a model."""
        return f"azureml://artifacts/{self.arm.place(uri, scope.id)[2]}"

    def version(self, scope: Scope, said: Json) -> Json:
        """The version that is meant."""
        found = self.arm.find(f"{scope.id}/models/{said['name']}/versions/{said.get('version')}")
        if found is None:
            raise missing(f"Model {said['name']} version {said.get('version')}")
        return found

    def model_said(self, scope: Scope, name: str) -> Json:
        """A model as MLflow words it."""
        found = self.arm.find(f"{scope.id}/models/{name}")
        if found is None:
            raise missing(f"Registered model {name}")
        versions = list(self.arm.below(f"{scope.id}/models/{name}/versions"))
        said = {
            "name": name,
            "creation_timestamp": milliseconds(),
            "tags": pairs(found["properties"].get("tags") or {}),
        }
        return {**said, "latest_versions": [self.version_said(scope, one) for one in versions[-1:]]}

    def post_registered_models_create(self, scope: Scope, said: Json) -> Json:
        """Name a model."""
        path = f"{scope.id}/models/{said['name']}"
        if self.arm.find(path):
            raise Refused(400, "RESOURCE_ALREADY_EXISTS", f"Registered model {said['name']} already exists.")
        tags = {one["key"]: one["value"] for one in said.get("tags", [])}
        self.arm.put(path, {"properties": {"isArchived": False, "tags": tags, "properties": {}, "nextVersion": "1"}})
        return {"registered_model": self.model_said(scope, said["name"])}

    def get_registered_models_get(self, scope: Scope, said: Json) -> Json:
        """One model."""
        return {"registered_model": self.model_said(scope, said["name"])}

    def get_registered_models_search(self, scope: Scope, said: Json) -> Json:
        """All models, or the one with a name."""
        names = [one["name"] for one in self.arm.below(f"{scope.id}/models")]
        if wanted := re.fullmatch(r"\s*name\s*=\s*'([^']*)'\s*", said.get("filter") or ""):
            names = [name for name in names if name == wanted[1]]
        return {"registered_models": [self.model_said(scope, name) for name in names]}

    def get_registered_models_get_latest_versions(self, scope: Scope, said: Json) -> Json:
        """The newest version."""
        return {"model_versions": self.model_said(scope, said["name"])["latest_versions"]}

    post_registered_models_get_latest_versions = get_registered_models_get_latest_versions

    def post_model_versions_create(self, scope: Scope, said: Json) -> Json:
        """Register what a run logged."""
        container = self.arm.find(f"{scope.id}/models/{said['name']}")
        if container is None:
            raise missing(f"Registered model {said['name']}")
        artifacts = re.search(r"/runs/([^/]+)/artifacts/(.+)$", said["source"])
        local = re.fullmatch(r"azureml://artifacts/(.+)", said["source"])
        folder = f"ExperimentRun/dcid.{artifacts[1]}/{artifacts[2]}" if artifacts else local[1] if local else ""
        root = scope.id.replace("/providers/Microsoft.MachineLearningServices", "").removeprefix("/")
        uri = f"azureml://{root}/datastores/workspaceartifactstore/paths/{folder}" if folder else said["source"]
        if not self.arm.files(uri, scope.id):
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"There are no files at {said['source']}.")
        tags = {one["key"]: one["value"] for one in said.get("tags", [])}
        properties = {"modelUri": uri, "modelType": "mlflow_model", "tags": tags, "jobName": said.get("run_id")}
        path = f"{scope.id}/models/{said['name']}/versions/{container['properties']['nextVersion']}"
        return {"model_version": self.version_said(scope, put_version(self.arm, path, properties))}

    def get_model_versions_get(self, scope: Scope, said: Json) -> Json:
        """One version."""
        return {"model_version": self.version_said(scope, self.version(scope, said))}

    def get_model_versions_get_download_uri(self, scope: Scope, said: Json) -> Json:
        """Where its files are."""
        return {"artifact_uri": self.download_uri(scope, self.version(scope, said)["properties"]["modelUri"])}

    def get_model_versions_search(self, scope: Scope, said: Json) -> Json:
        """The versions of a model or of a run; Azure ML does not search by tags."""
        found = re.fullmatch(r"\s*(name|run_id)\s*=\s*'([^']*)'\s*", said.get("filter") or "")
        if not found:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"Unsupported filter {said.get('filter')!r}.")
        names = [one["name"] for one in self.arm.below(f"{scope.id}/models")]
        versions = [one for name in names for one in self.arm.below(f"{scope.id}/models/{name}/versions")]
        worded = [self.version_said(scope, one) for one in reversed(versions)]
        return {"model_versions": [one for one in worded if one[found[1]] == found[2]]}

    def patch_model_versions_update(self, scope: Scope, said: Json) -> Json:
        """Describe a version."""
        stored = self.version(scope, said)
        stored["properties"]["description"] = said.get("description", "")
        return {"model_version": self.version_said(scope, stored)}

    def post_model_versions_set_tag(self, scope: Scope, said: Json) -> None:
        """Tag a version."""
        self.version(scope, said)["properties"]["tags"][said["key"]] = said["value"]

    def delete_model_versions_delete_tag(self, scope: Scope, said: Json) -> None:
        """Take a tag away."""
        self.version(scope, said)["properties"]["tags"].pop(said["key"], None)

    def post_registered_models_set_tag(self, scope: Scope, said: Json) -> None:
        """Tag a model."""
        self.model_said(scope, said["name"])
        self.arm.get(f"{scope.id}/models/{said['name']}")["properties"]["tags"][said["key"]] = said["value"]
