"""Jobs that run as their script says, their run history, schedules and what batch endpoints start."""

import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from .arm import Arm, Call, listed, now, resource_type, route
from .faults import Fault
from .wire import Answer, AzureError, Json, Request, not_found

ENDED = {"Completed", "Failed", "Canceled"}
SCOPED = re.compile(r"/(?:history|data|modelregistry)/v\d\.0(/subscriptions/.+?/workspaces/[^/]+)(/.*)", re.I)

STORED = re.compile(r"/artifact/v2\.0(/subscriptions/.+?/workspaces/[^/]+)/artifacts/([^/]+/[^/]+)(/\w+)?", re.I)


@dataclass
class JobScript:
    """How a job goes. `then` is called with the job once it has ended, to do what its code would have done."""

    status: Literal["Completed", "Failed", "Canceled"] = "Completed"
    polls: int = 0  # how often it is still found running
    failing: str = ""  # the step that fails; the steps after it never start
    error: str = "Execution failed. User process exited with status code 1."
    log: str = "Traceback (most recent call last):\nValueError: planted\n"  # what the failing step printed
    outputs: dict[str, dict[str, bytes]] = field(default_factory=dict)  # files of `output`, or of a `step.output`
    metrics: dict[str, float] = field(default_factory=dict)
    trials: int = 2  # of a sweep
    then: Callable[[Json], object] | None = None


@dataclass
class Run:
    """A job, a step of a pipeline or a trial of a sweep, as run history sees it."""

    name: str
    display: str
    workspace: str
    experiment: str
    kind: str
    compute: str
    parent: str = ""
    status: str = "Running"
    error: str = ""
    children: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    history: list[Json] = field(default_factory=list)
    started: str = field(default_factory=now)
    began: int = field(default_factory=lambda: int(time.time() * 1000))
    ended: str = ""
    looks: int = 0

    @property
    def folder(self) -> str:
        """Where its logs and artifacts are in the workspace's artifact store."""
        return f"ExperimentRun/dcid.{self.name}"


class Jobs:
    """Scripts and runs; also the part of the data plane that knows about them."""

    def __init__(self, arm: Arm) -> None:
        self.arm = arm
        self.scripts: list[tuple[re.Pattern[str], JobScript]] = []
        self.runs: dict[str, Run] = {}
        arm.jobs = self

    def plan(self, script: JobScript, matching: str = "") -> None:
        """From now on jobs whose name, display name or experiment matches go like this; the latest plan wins."""
        self.scripts.insert(0, (re.compile(matching), script))

    def script_of(self, job: Json) -> JobScript:
        """How this job goes."""
        said = job["properties"]
        names = [job["name"], said.get("displayName") or "", said.get("experimentName") or ""]
        return next((one for pattern, one in self.scripts if any(pattern.search(name) for name in names)), JobScript())

    def start(self, workspace: str, job: Json, steps: list[str]) -> Run:
        """Begin a job's run and those of its steps or trials."""
        said = job["properties"]
        script = self.script_of(job)
        kind = {"Pipeline": "azureml.PipelineRun", "Sweep": "hyperdrive"}.get(said["jobType"], "azureml.scriptrun")
        experiment = said.get("experimentName") or "Default"
        common = (workspace, experiment)
        run = Run(job["name"], said.get("displayName") or job["name"], *common, kind, said.get("computeId") or "")
        run.tags, run.properties = dict(said.get("tags") or {}), dict(said.get("properties") or {})
        self.runs[run.name] = run
        steps = steps or list(said.get("jobs") or {})
        if said["jobType"] == "Sweep":
            steps = [f"trial_{n}" for n in range(script.trials)]
        for n, step in enumerate(steps):
            compute = ((said.get("jobs") or {}).get(step) or {}).get("computeId") or run.compute
            name = (
                f"{run.name}_{n}"
                if said["jobType"] == "Sweep"
                else str(uuid.uuid5(uuid.NAMESPACE_URL, run.name + step))
            )
            child = Run(
                name, step, *common, "azureml.StepRun", compute, run.name, "Running" if n == 0 else "NotStarted"
            )
            self.runs[name] = child
            run.children.append(name)
        return run

    def look(self, job: Json) -> None:
        """Somebody looks at a job: it may have ended since."""
        run = self.runs[job["name"]]
        if run.status in ENDED:
            return
        script = self.script_of(job)
        run.looks += 1
        if run.looks > script.polls:
            self.end(job, run, script)
        job["properties"]["status"] = run.status

    def end(self, job: Json, run: Run, script: JobScript) -> None:
        """A job ends as its script says."""
        failed = False
        for child in (self.runs[name] for name in run.children):
            child.status = "NotStarted" if failed else "Completed" if child.display != script.failing else "Failed"
            failed = failed or child.status == "Failed"
            child.ended = now()
            self.write_log(child, script.log if child.status == "Failed" else "done\n")
            if child.status == "Failed":
                child.error = script.error
        if script.failing and not failed:
            raise AssertionError(f"no step {script.failing!r} in {[self.runs[name].display for name in run.children]}")
        run.status, run.ended = "Failed" if failed else script.status, now()
        run.metrics |= script.metrics
        if run.status == "Failed":
            run.error = f"Pipeline has failed child jobs: {script.failing}." if failed else script.error
        if job["properties"]["jobType"] == "Sweep" and run.children:
            run.properties["best_child_run_id"] = run.children[0]
            job["properties"].setdefault("properties", {})["best_child_run_id"] = run.children[0]
        self.write_log(run, "done\n" if run.status == "Completed" or run.children else script.log)
        job["properties"]["status"] = run.status
        if run.status == "Completed":
            writer = self.runs[run.children[0]] if "azureml.batchrun" in run.tags else run
            for name, files in script.outputs.items():
                step, _, output = name.rpartition(".")
                said = {} if step else (job["properties"].get("outputs") or {}).get(output) or {}
                self.write_output(said, self.step(run.name, step) if step else writer, output, files)
        if script.then:
            script.then(job)

    def step(self, job: str, name: str) -> Run:
        """The run of a step of a pipeline."""
        return next(one for one in map(self.runs.__getitem__, self.runs[job].children) if one.display == name)

    def write_log(self, run: Run, text: str) -> None:
        """What a run printed, where Azure ML keeps it."""
        scope = self.arm.scope_of(run.workspace)
        assert scope
        self.arm.storage.write(scope.account, "azureml", {f"{run.folder}/user_logs/std_log.txt": text.encode()})

    def write_output(self, said: Json, run: Run, name: str, files: dict[str, bytes]) -> None:
        """Put an output's files where the job says or in their usual place, and say where that is."""
        path = str(said.get("uri") or f"azureml://datastores/workspaceblobstore/paths/azureml/{run.name}/{name}/")
        said["uri"] = run.outputs[name] = path.replace("${{name}}", run.name)
        account, container, folder = self.arm.place(said["uri"], run.workspace)
        made = {f"{folder.strip('/')}/{file}": content for file, content in files.items()}
        self.arm.storage.write(account, container, made)

    def log_files(self, run: Run) -> dict[str, str]:
        """Where the logs of a run can be read."""
        scope = self.arm.scope_of(run.workspace)
        assert scope
        blobs = self.arm.storage.containers.get((scope.account, "azureml"), {})
        root = f"https://{scope.account}.blob.core.windows.net/azureml"
        names = [name for name in blobs if name.startswith(f"{run.folder}/user_logs/")]
        return {name[len(run.folder) + 1 :]: f"{root}/{name}?{self.arm.storage.signature()}" for name in names}

    def described(self, run: Run) -> Json:
        """A run as run history words it."""
        said: Json = {
            "runId": run.name,
            "displayName": run.display,
            "experimentId": str(uuid.uuid5(uuid.NAMESPACE_URL, run.experiment)),
            "status": run.status,
            "runType": run.kind,
            "runTypeV2": {"orchestrator": "Execution", "traits": []},
            "startTimeUtc": run.started,
            "tags": run.tags,
            "properties": {**run.properties, "azureml.runsource": run.kind},
            "compute": {"target": run.compute.rpartition("/")[2], "targetType": "amlcompute"},
            "outputs": {name: {"assetId": f"{run.name}/{name}", "type": "uri_folder"} for name in run.outputs},
        }
        if run.parent:
            said |= {"parentRunId": run.parent, "rootRunId": run.parent}
        if run.ended:
            said["endTimeUtc"] = run.ended
        if run.error:
            said["error"] = {"error": {"code": "UserError", "message": run.error}}
        return said

    def __call__(self, request: Request, _: Fault | None) -> Answer:
        """Answer for run history, and say where the outputs of a run are."""
        with self.arm.lock:
            if local := STORED.fullmatch(request.path):
                return self.stored(request, *local.groups(default=""))
            found = SCOPED.fullmatch(request.path)
            scope = self.arm.scope_of(found[1]) if found else None
            if not found or not scope:
                self.arm.unmodelled.append(str(request))
                raise AzureError(501, "NotModelled", f"The stand-in does not model {request}.")
            rest = found[2]
            if rest == "/dataversion/batchGetResolvedUris":
                return Answer({"values": {one: {"uri": self.output_uri(one)} for one in request.json["values"]}})
            name = request.json["runId"] if rest == "/rundata" else rest.rpartition("runs/")[2].partition("/")[0]
            run = self.runs.get(name)
            if run is None or run.workspace.lower() != scope.id.lower():
                raise AzureError(404, "NotFound", f"RunId {name} was not found.")
            top = run.parent or run.name
            if job := self.arm.find(f"{scope.id}/jobs/{top}"):
                self.look(job)
            return self.history(request, run, rest.rpartition(f"runs/{name}")[2] if rest != "/rundata" else rest)

    def output_uri(self, asset: str) -> str:
        """Where the output is that run history calls by this id."""
        run, _, name = asset.partition("/")
        path, workspace = self.runs[run].outputs[name], self.runs[run].workspace
        return path.replace(
            "azureml://", f"azureml:/{workspace.replace('/providers/Microsoft.MachineLearningServices', '')}/"
        )

    def history(self, request: Request, run: Run, rest: str) -> Answer:
        """What is asked about a run."""
        if request.method == "PATCH":
            change = request.json
            run.tags |= change.get("tags") or {}
            run.properties |= change.get("properties") or {}
            run.display = change.get("displayName") or run.display
            if job := self.arm.find(f"{run.workspace}/jobs/{run.name}"):
                job["properties"]["tags"] = run.tags
                job["properties"]["isArchived"] = bool(change.get("hidden", job["properties"].get("isArchived")))
        elif rest == "/details":
            return Answer({**self.described(run), "logFiles": self.log_files(run)})
        elif rest == "/children":
            return Answer({"value": [self.described(self.runs[name]) for name in run.children]})
        elif rest == "/rundata":
            return Answer({"runMetadata": self.described(run)})
        elif rest.startswith("/artifacts"):
            return self.artifacts(request, run, rest)
        elif rest:
            self.arm.unmodelled.append(str(request))
            raise AzureError(501, "NotModelled", f"The stand-in does not model {request}.")
        return Answer(self.described(run))

    def artifacts(self, request: Request, run: Run, rest: str) -> Answer:
        """The files of a run: their names, and signatures to read or write them."""
        scope = self.arm.scope_of(run.workspace)
        assert scope
        root = f"https://{scope.account}.blob.core.windows.net/azureml/{run.folder}"
        return self.signed_files(request, root, rest.removeprefix("/artifacts"))

    def stored(self, request: Request, workspace: str, folder: str, rest: str) -> Answer:
        """The same for any folder that MLflow knows of: of a run, or of what was uploaded."""
        scope = self.arm.scope_of(workspace)
        if scope is None:
            raise not_found(f"The workspace of {request.path}")
        stores = [one["properties"] for one in self.arm.below(f"{scope.id}/datastores")]
        roots = [
            f"https://{one['accountName']}.blob.core.windows.net/{one['containerName']}/{folder}" for one in stores
        ]
        root = next((one for one in roots if self.arm.storage.read(one)), roots[0])
        return self.signed_files(request, root, rest)

    def signed_files(self, request: Request, root: str, rest: str) -> Answer:
        """Names of files below a place, with signatures to read or write them."""
        origin, container = root.rsplit("/", 2)[1:]

        def signed(path: str) -> Json:
            uri = f"{root}/{path}?{self.arm.storage.signature()}"
            return {"origin": origin, "container": container, "path": path, "contentUri": uri}

        if rest == "/batch/metadata":
            content = {one["path"]: signed(one["path"]) for one in request.json["paths"]}
            return Answer({"artifacts": content, "artifactContentInformation": content, "errors": {}})
        names, path = sorted(self.arm.storage.read(root)), request.query.get("path", "")
        if rest == "/contentinfo":
            if path not in names:
                raise AzureError(404, "NotFound", f"There is no artifact {path}.")
            return Answer(signed(path))
        if rest in ("/path", "/prefix/contentinfo"):
            names = [name for name in names if name == path or name.startswith(path.rstrip("/") + "/")]
        return Answer({"value": [signed(name) for name in names]})


@route("PUT", "/jobs/{name}")
def put_job(arm: Arm, call: Call) -> Answer:
    """Submit a job."""
    old = arm.find(call.id)
    if old:
        old["properties"]["tags"] = call.request.json["properties"].get("tags") or {}
        return Answer(old)
    return Answer(submit(arm, call.scope.id, call.names["name"], arm.checked(call)["properties"]), 201)


def submit(arm: Arm, workspace: str, name: str, properties: Json, steps: list[str] | None = None) -> Json:
    """Store a job and begin its run; whatever it refers to has to be there."""
    arm.demand(properties)
    link = f"https://ml.azure.com/runs/{name}?wsid={workspace}"
    services = {"Tracking": {"jobServiceType": "Tracking", "endpoint": f"azureml://{workspace}"}}
    services |= {"Studio": {"jobServiceType": "Studio", "endpoint": link}}
    kept = {key: value for key, value in properties.items() if value is not None}
    kept = {"experimentName": "Default", "tags": {}, "properties": {}, **kept, "services": services}
    job = arm.put(f"{workspace}/jobs/{name}", {"properties": {**kept, "status": "Starting", "isArchived": False}})
    arm.jobs.start(workspace, job, steps or [])
    return job


@route("GET", "/jobs/{name}")
def get_job(arm: Arm, call: Call) -> Answer:
    """A job; a step of a pipeline exists here, but tells nothing."""
    run = arm.jobs.runs.get(call.names["name"])
    if run and run.parent:
        return Answer({"id": call.id, "name": run.name, "type": resource_type(call.id), "properties": None})
    job = arm.get(call.id)
    arm.jobs.look(job)
    return Answer(job)


@route("GET", "/jobs")
@route("GET", "/schedules")
def list_jobs(arm: Arm, call: Call) -> Answer:
    """All jobs or schedules."""
    return listed(arm, call, arm.below(call.id))


@route("POST", "/jobs/{name}/cancel")
def cancel_job(arm: Arm, call: Call) -> Answer:
    """Stop a job and its steps."""
    job = arm.get(call.id.rpartition("/")[0])
    run = arm.jobs.runs[job["name"]]
    if run.status in ENDED:
        raise AzureError(400, "UserError", f"Run {run.name} is in a terminal state and cannot be cancelled.")
    for one in [run, *(arm.jobs.runs[name] for name in run.children)]:
        one.status, one.ended = "Canceled", now()
    job["properties"]["status"] = "Canceled"
    return arm.begin(call, lambda: None, Answer(status=202))


@route("GET", "/batchEndpoints/{name}/jobs")
@route("GET", "/batchEndpoints/{name}/deployments/{deployment}/jobs")
def list_batch_jobs(arm: Arm, call: Call) -> Answer:
    """The jobs that a batch endpoint or one of its deployments started."""

    def wanted(job: Json) -> bool:
        said = job["properties"]["properties"]
        right = said.get("deployment") == call.names["deployment"] if call.names.get("deployment") else True
        return right and said.get("endpoint") == call.names["name"]

    return Answer({"value": [arm.visible(one) for one in arm.below(f"{call.scope.id}/jobs") if wanted(one)]})


@route("PUT", "/schedules/{name}")
def put_schedule(arm: Arm, call: Call) -> Answer:
    """Make or change a schedule or a monitor."""
    body, old = arm.checked(call), arm.find(call.id)
    waiting = {"provisioningState": "Updating" if old else "Creating"}
    stored = arm.put(call.id, {"properties": {"isEnabled": True, **body["properties"], **waiting}})

    def finish() -> None:
        stored["properties"]["provisioningState"] = "Succeeded"

    return arm.begin(call, finish, Answer(arm.visible(stored), 200 if old else 201))


@route("GET", "/schedules/{name}")
def get_schedule(arm: Arm, call: Call) -> Answer:
    """A schedule."""
    return Answer(arm.get(call.id))


@route("DELETE", "/schedules/{name}")
def delete_schedule(arm: Arm, call: Call) -> Answer:
    """Delete a schedule, which has to be disabled before."""
    found = arm.find(call.id)
    if found is None:
        return Answer(status=204)
    if found["properties"]["isEnabled"]:
        raise AzureError(400, "UserError", "An enabled schedule cannot be deleted. Disable it first.")
    return arm.begin(call, lambda: arm.remove(call.id), Answer(status=202))


@route("POST", "/schedules/{name}/trigger")
def trigger_schedule(arm: Arm, call: Call) -> Answer:
    """Run a schedule's job now."""
    schedule = arm.get(call.id.rpartition("/")[0])
    action = schedule["properties"]["action"]
    name = f"{schedule['name']}-{uuid.uuid4().hex[:8]}"
    definition = action.get("jobDefinition") or {"jobType": "Spark", "displayName": schedule["name"]}
    submit(arm, call.scope.id, name, {**definition, "properties": {"azureml.scheduleId": schedule["name"]}})
    return Answer({"submissionId": name, "scheduleActionType": action["actionType"]})
