"""The stand-in itself: the real SDK and MLflow do each operation, faults look real, and wrong bodies are refused."""

import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Environment
from .arm import REGION
from .cloud import Cloud, running, token
from .faults import Fault, container_crash, image_build_failure, no_quota
from .jobs import JobScript
from .wire import Answer

Told = dict[str, Any]
Sdk = Callable[..., Told]

READY = {"provisioningState": "Succeeded"}
PRELUDE = """
import atexit, json, logging, os, sys, warnings
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
from pathlib import Path
from azure.ai.ml import Input, MLClient, command, load_component, load_job, load_online_deployment, spark
from azure.ai.ml.entities import *
from azure.ai.ml.entities._load_functions import load_model_batch_deployment, load_schedule
from azure.identity import DefaultAzureCredential
told = {}
atexit.register(lambda: Path("told.json").write_text(json.dumps(told, default=str)))

def tell(name, call):
    try:
        told[name] = call()
    except Exception as error:
        told[name] = f"{type(error).__name__}: {error}"

def client(workspace):
    return MLClient(DefaultAzureCredential(), SUBSCRIPTION, "rg-loopback", workspace, show_progress=False)

def write(name, text):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)
    return name

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
ml = client("dev")
write("model/MLmodel", "flavors: {}")
write("src/score.py", "def init(): ...\\ndef run(data): return data\\n")
write("rows.csv", "a,b\\n1,2\\n")
"""
ASSETS = """
ml.environments.create_or_update(Environment(name="e", version="1", image="mcr.microsoft.com/x:1"))
ml.models.create_or_update(Model(name="m", version="1", path="model", type="mlflow_model"))
ml.data.create_or_update(Data(name="rows", version="1", path="rows.csv", type="uri_file"))
"""
ONLINE = """
COLLECTOR = "data_collector: {collections: {model_inputs: {enabled: 'True'}, model_outputs: {enabled: 'True'}}}"

def deployment(name, endpoint="flights", more=""):
    return load_online_deployment(write("deployment.yml", f'''
name: {name}
endpoint_name: {endpoint}
model: azureml:m:1
code_configuration: {{code: ./src, scoring_script: score.py}}
environment: azureml:e:1
instance_type: Standard_DS3_v2
instance_count: 1
{more}'''))

def deploy(name, endpoint="flights", more=""):
    return ml.online_deployments.begin_create_or_update(deployment(name, endpoint, more)).result().provisioning_state

def send(mirror=None, **traffic):
    endpoint = ml.online_endpoints.get("flights")
    endpoint.traffic, endpoint.mirror_traffic = traffic, mirror or {}
    return ml.online_endpoints.begin_create_or_update(endpoint).result().traffic

def endpoint(ml=ml):
    return ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="flights", auth_mode="aad_token"))
"""


@pytest.fixture
def sdk(cloud: Cloud, azure: Environment, tmp_path: Path) -> Sdk:
    """Run a script in the SDK's own environment, pointed at the cloud; returns what it told."""

    def run(*scripts: str) -> Told:
        (tmp_path / "script.py").write_text(PRELUDE + "".join(scripts), encoding="utf-8")
        more: dict[str, Any] = {"AZUREML_RUN_POLLING_INTERVAL_MIN": "0", **cloud.environment()}
        azure.run("script.py", cwd=tmp_path, **more)
        return dict(json.loads((tmp_path / "told.json").read_text(encoding="utf-8")))

    return run


def ask(url: str, given: str = "", method: str = "GET", body: Any = None, **headers: str) -> tuple[int, Any]:
    """Ask the stand-in directly, as a client without an SDK: status and JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": f"Bearer {given}", **headers}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def manage(cloud: Cloud, path: str, method: str = "GET", body: Any = None, version: str = "2023-04-01-preview") -> Any:
    """Ask Azure Resource Manager through the proxy's port, under its own name."""
    url = f"http://127.0.0.1:{cloud.server.port}{cloud.workspace('dev').id}{path}?api-version={version}"
    status, answer = ask(url, token("https://management.azure.com"), method, body, Host="management.azure.com")
    return status, answer


def put_endpoint(cloud: Cloud, name: str = "flights") -> Any:
    """Make an endpoint without the SDK."""
    body = {"location": REGION, "properties": {"authMode": "AADToken"}}
    status, answer = manage(cloud, f"/onlineEndpoints/{name}", "PUT", body, "2022-02-01-preview")
    assert status == 201
    time.sleep(cloud.arm.seconds)
    return answer


def test_starts_quickly(tmp_path: Path) -> None:
    """In far less than half a second."""
    begin = time.perf_counter()
    with running(tmp_path):
        assert time.perf_counter() - begin < 0.5


def test_nobody_gets_in_or_out(cloud: Cloud) -> None:
    """Who brings no token, a foreign, an expired or another service's is refused; so are hosts that are not Azure's."""
    url = f"http://127.0.0.1:{cloud.server.port}{cloud.workspace('dev').id}"
    for given in ("", "made.up.token", token("https://ml.azure.com"), token("https://management.azure.com", -1)):
        assert ask(url, given, Host="management.azure.com")[0] == 401
    assert ask(url, token("https://management.azure.com"), Host="management.azure.com")[0] == 200
    assert ask(f"http://127.0.0.1:{cloud.server.port}/", Host="example.com")[0] == 502
    assert cloud.server.strays == ["example.com"]
    assert not any("authorization" in request.headers for request in cloud.log)


WRONG = {
    "a required property is missing": (
        "/jobs/j",
        {"properties": {"jobType": "Command", "command": "x"}},
        "properties.environmentId: is required",
    ),
    "no such variant": ("/jobs/j", {"properties": {"jobType": "Comand"}}, "properties.jobType: 'Comand' is not one of"),
    "no such property": (
        "/jobs/j",
        {"properties": {"jobType": "Command", "command": "x", "environmentId": "e", "comput": "c"}},
        "properties.comput: is not known",
    ),
    "no such value": (
        "/data/d/versions/1",
        {"properties": {"dataType": "uri_fil", "dataUri": "x"}},
        "properties.dataType: 'uri_fil' is not one of",
    ),
    "not a number": (
        "/onlineEndpoints/flights/deployments/blue",
        {
            "location": REGION,
            "sku": {"name": "Default", "capacity": "one"},
            "properties": {"endpointComputeType": "Managed"},
        },
        "sku.capacity: 'one' is not a integer",
    ),
    "a monitor's signal without its data": (
        "/schedules/s",
        {
            "properties": {
                "trigger": {"triggerType": "Cron", "expression": "0 3 * * *"},
                "action": {
                    "actionType": "CreateMonitor",
                    "monitorDefinition": {
                        "computeConfiguration": {
                            "computeType": "ServerlessSpark",
                            "computeIdentity": {"computeIdentityType": "AmlToken"},
                            "instanceType": "standard_e4s_v3",
                            "runtimeVersion": "3.4",
                        },
                        "signals": {"drift": {"signalType": "DataDrift", "metricThresholds": []}},
                    },
                },
            }
        },
        "properties.action.monitorDefinition.signals.drift.referenceData: is required",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_body_is_refused(cloud: Cloud, case: str) -> None:
    """The published specification is enforced, with the path of the fault, and nothing is stored."""
    path, body, said = WRONG[case]
    put_endpoint(cloud)
    version = {"/jobs/j": "2024-01-01-preview", "/schedules/s": "2023-06-01-preview"}.get(path, "2023-04-01-preview")
    status, answer = manage(cloud, path, "PUT", body, version)
    assert status == 400
    assert said in answer["error"]["message"]
    assert cloud.arm.specification.refused
    assert cloud.arm.find(cloud.workspace("dev").id + path) is None


def test_what_is_not_modelled_is_said(tmp_path: Path) -> None:
    """An unknown request gets a 501, and is remembered."""
    with running(tmp_path) as cloud:
        assert manage(cloud, "/featuresets")[0] == 501
        assert "featuresets" in cloud.arm.unmodelled[0]


@pytest.mark.full
def test_assets(cloud: Cloud, sdk: Sdk) -> None:
    """Environments, data, models and components are registered, listed, archived, downloaded and cannot be changed."""
    cloud.arm.add_datastore(cloud.workspace("dev"), "lake", "stlake", "flights", key=False)
    told = sdk(
        ASSETS,
        """
lake = Data(name="lake", version="1", path="rows.csv", type="uri_file", datastore="lake")
tell("lake", lambda: ml.data.create_or_update(lake).path)
tell("environment", lambda: ml.environments.get("e", label="latest").image)
tell("no environment", lambda: ml.environments.get("f", "1"))
tell("changed environment", lambda: ml.environments.create_or_update(Environment(name="e", version="1", image="y")))
tell("data", lambda: ml.data.get("rows", label="latest").path)
tell("next model", lambda: ml.models.create_or_update(Model(name="m", path="model", tags={"a": "b"})).version)
tell("tagged", lambda: ml.models.create_or_update(Model(name="m", version="2", path="model", tags={"a": "c"})).tags)
tell("models", lambda: [one.version for one in ml.models.list("m")])
ml.models.archive("m", "1")
ml.data.archive("rows", "1")
tell("active data", lambda: [one.version for one in ml.data.list("rows")])
tell("active models", lambda: [one.version for one in ml.models.list("m")])
ml.models.download("m", "2", download_path="there")
tell("downloaded", lambda: Path("there/m/model/MLmodel").read_text())
component = load_component(write("component.yml", '''
name: train
version: "1"
type: command
inputs: {rate: {type: number, default: 0.1}}
outputs: {model: {type: uri_folder}}
code: ./src
environment: azureml:e:1
command: python score.py --rate ${{inputs.rate}} --model ${{outputs.model}}
'''))
tell("component", lambda: ml.components.create_or_update(component).version)
tell("components", lambda: [one.name for one in ml.components.list()])
""",
    )
    assert told["environment"] == "mcr.microsoft.com/x:1"
    assert told["no environment"].startswith("ResourceNotFoundError: (ResourceNotFound)")
    assert told["changed environment"].startswith("ResourceExistsError")
    assert (told["next model"], told["tagged"]) == ("2", {"a": "c"})
    assert (told["models"], told["active models"]) == (["2", "1"], ["2"])
    assert (told["downloaded"], told["active data"]) == ("flavors: {}", [])
    assert (told["component"], told["components"]) == ("1", ["train"])
    rows = cloud.get("dev", "/data/rows/versions/1")["properties"]["dataUri"]
    assert cloud.arm.files(rows) == {"rows.csv": b"a,b\n1,2\n"}
    assert "/datastores/lake/paths/LocalUpload/" in told["lake"]
    assert list(cloud.arm.files(told["lake"])) == ["rows.csv"]
    code = cloud.get("dev", "/components/train/versions/1")["properties"]["componentSpec"]["code"]
    uploaded = cloud.arm.files(cloud.arm.get(code.removeprefix("azureml:"))["properties"]["codeUri"])
    assert uploaded["score.py"].startswith(b"def init")


@pytest.mark.full
def test_jobs(cloud: Cloud, sdk: Sdk) -> None:
    """Pipelines, commands, sweeps and Spark jobs run as planned, with steps, logs and outputs."""
    cloud.arm.add_compute(cloud.workspace("dev"), "cpu-cluster")
    cloud.jobs.plan(
        JobScript(polls=2, outputs={"model": {"a.txt": b"made"}, "train.report": {"b.txt": b"too"}}), "good pipeline"
    )
    cloud.jobs.plan(JobScript(failing="train", log="ValueError: planted\n"), "bad pipeline")
    cloud.jobs.plan(JobScript(polls=1000), "endless")
    told = sdk(
        ASSETS,
        """
def pipeline(name):
    job = load_job(write("pipeline.yml", f'''
type: pipeline
display_name: {name} pipeline
settings: {{default_compute: azureml:cpu-cluster}}
inputs: {{rows: {{type: uri_file, path: azureml:rows:1}}}}
outputs: {{model: {{type: uri_folder}}}}
jobs:
  prepare: {{type: command, command: echo, environment: azureml:e:1}}
  train:
    type: command
    command: echo ${{{{inputs.rows}}}} ${{{{outputs.model}}}}
    environment: azureml:e:1
    inputs: {{rows: "${{{{parent.inputs.rows}}}}"}}
    outputs: {{model: "${{{{parent.outputs.model}}}}"}}
'''))
    return ml.jobs.create_or_update(job)

def steps(job):
    return {one.display_name: one.status for one in ml.jobs.list(parent_job_name=job.name)}

good = pipeline("good")
tell("at first", lambda: ml.jobs.get(good.name).status)
tell("streamed", lambda: ml.jobs.stream(good.name))
tell("then", lambda: (ml.jobs.get(good.name).status, steps(good), good.studio_url))
ml.jobs.download(good.name, output_name="model", download_path="there")
tell("output", lambda: Path("there/named-outputs/model/a.txt").read_text())
step = [one.name for one in ml.jobs.list(parent_job_name=good.name) if one.display_name == "train"][0]
ml.jobs.download(step, output_name="report", download_path="there")
tell("step's output", lambda: Path("there/named-outputs/report/b.txt").read_text())
bad = pipeline("bad")
tell("failed", lambda: ml.jobs.stream(bad.name))
tell("failed steps", lambda: steps(bad))
tell("failed step", lambda: [one.name for one in ml.jobs.list(parent_job_name=bad.name) if one.status == "Failed"][0])
ml.jobs.download(told["failed step"], download_path="logs")
tell("log", lambda: Path("logs/artifacts/user_logs/std_log.txt").read_text())
def run(**more):
    more = {"compute": "cpu-cluster", "environment": "e@latest", "inputs": {"rate": 0.1}, **more}
    return command(code="src", command="python score.py ${{inputs.rate}}", **more)
tell("command", lambda: ml.jobs.get(ml.jobs.create_or_update(run()).name).status)
from azure.ai.ml.sweep import Uniform
sweep = run()(rate=Uniform(0, 1)).sweep(sampling_algorithm="random", primary_metric="a", goal="Maximize")
sweep.set_limits(max_total_trials=2)
swept = ml.jobs.create_or_update(sweep)
tell("sweep", lambda: (ml.jobs.get(swept.name).status, len(steps(swept))))
sparks = dict(code="src", entry={"file": "score.py"}, driver_cores=1, driver_memory="2g")
sparks |= dict(executor_cores=1, executor_memory="2g", executor_instances=1)
sparks |= dict(resources={"instance_type": "Standard_E4S_V3", "runtime_version": "3.4.0"})
tell("spark", lambda: ml.jobs.get(ml.jobs.create_or_update(spark(**sparks)).name).status)
endless = ml.jobs.create_or_update(run(display_name="endless"))
ml.jobs.begin_cancel(endless.name).result()
tell("cancelled", lambda: ml.jobs.get(endless.name).status)
tell("no compute", lambda: ml.jobs.create_or_update(run(compute="gpu-cluster")))
""",
    )
    assert (told["at first"], told["streamed"]) == ("Running", None)
    assert (told["output"], told["step's output"]) == ("made", "too")
    status, steps, url = told["then"]
    assert (status, steps) == ("Completed", {"prepare": "Completed", "train": "Completed"})
    assert url.startswith("https://ml.azure.com/runs/")
    assert told["failed"].startswith("JobException")
    assert (told["failed steps"], told["log"]) == ({"prepare": "Completed", "train": "Failed"}, "ValueError: planted\n")
    assert (told["command"], told["sweep"], told["spark"]) == ("Completed", ["Completed", 2], "Completed")
    assert told["cancelled"] == "Canceled"
    assert "gpu-cluster" in told["no compute"]


@pytest.mark.full
def test_online_endpoints(cloud: Cloud, sdk: Sdk) -> None:
    """Managed and Kubernetes endpoints: traffic and its rules, routing, sign-in, logs, deployments that are in use."""
    cloud.arm.add_compute(cloud.workspace("dev"), "aks", "Kubernetes")
    dev = cloud.workspace("dev").id
    cloud.scoring.fail_from(50, "flights", "green")
    cloud.arm.logs[f"{dev}/onlineendpoints/flights/deployments/blue".lower()] = "one\ntwo\nthree"
    told = sdk(
        ASSETS,
        ONLINE,
        """
write("rows.json", "[1]")
tell("endpoint", lambda: endpoint().result().scoring_uri)
tell("name taken", lambda: endpoint(client("prod")))
tell("too early", lambda: ml.online_endpoints.invoke("flights", request_file="rows.json"))
tell("deployments", lambda: (deploy("blue", more=COLLECTOR), deploy("green")))
tell("traffic", lambda: send(blue=100, mirror={"green": 20}))
for name, traffic in {"over": dict(blue=100, green=10), "unknown": dict(red=100)}.items():
    tell(name, lambda: send(**traffic))
tell("too much mirrored", lambda: send(blue=100, mirror={"green": 60}))
tell("live", lambda: [ml.online_endpoints.invoke("flights", request_file="rows.json") for _ in range(3)])
tell("in use", lambda: ml.online_deployments.begin_delete("blue", "flights").result())
tell("split", lambda: send(blue=90, green=10))
tell("sent", lambda: [ml.online_endpoints.invoke("flights", request_file="rows.json") for _ in range(10)])
send(blue=50, green=50)
tell("failing at half", lambda: [ml.online_endpoints.invoke("flights", request_file="rows.json") for _ in range(4)])
send(blue=100)
tell("named", lambda: ml.online_endpoints.invoke("flights", request_file="rows.json", deployment_name="green"))
tell("sticky", lambda: ml.online_endpoints.invoke("flights", request_file="rows.json"))
tell("logs", lambda: ml.online_deployments.get_logs("blue", "flights", lines=2))
tell("deleted", lambda: ml.online_deployments.begin_delete("green", "flights").result())
tell("left", lambda: [one.name for one in ml.online_deployments.list("flights")])
kubernetes = KubernetesOnlineEndpoint(name="on-aks", compute="aks", auth_mode="key")
tell("kubernetes", lambda: ml.online_endpoints.begin_create_or_update(kubernetes).result().scoring_uri)
tell("kubernetes deployment", lambda: deploy("blue", "on-aks", "type: kubernetes"))
tell("with key", lambda: ml.online_endpoints.invoke("on-aks", request_file="rows.json", deployment_name="blue"))
""",
    )
    assert told["endpoint"] == "https://flights.westeurope.inference.ml.azure.com/score"
    assert "unique in a region" in told["name taken"]
    assert "no valid deployment with positive weight" in told["too early"]
    assert (told["deployments"], told["traffic"]) == (["Succeeded", "Succeeded"], {"blue": 100})
    assert "must be 0 or 100, not 110" in told["over"]
    assert "'red'" in told["unknown"]
    assert "at most 50" in told["too much mirrored"]
    assert [json.loads(one)["deployment"] for one in told["live"]] == ["blue"] * 3
    assert cloud.scoring.mirrored["flights", "green"] == 3
    assert json.loads(told["named"])["deployment"] == "green"
    assert json.loads(told["sticky"])["deployment"] == "green"  # the SDK keeps the header of the call before
    assert "has traffic and cannot be deleted" in told["in use"]
    assert [json.loads(one)["deployment"] for one in told["sent"]].count("green") == 1
    assert "planted" in told["failing at half"]
    assert (told["logs"], told["deleted"], told["left"]) == ("two\nthree", None, ["blue"])
    collected = cloud.get("dev", "/onlineEndpoints/flights/deployments/blue")["properties"]["dataCollector"]
    assert collected["collections"]["model_inputs"]["dataCollectionMode"] == "Enabled"
    assert told["kubernetes"].startswith("http://127.0.0.1:")
    assert (told["kubernetes deployment"], json.loads(told["with key"])["deployment"]) == ("Succeeded", "blue")
    assert ask(told["kubernetes"], "wrong", "POST", [1])[0] == 401


def test_scoring_reaches_a_real_server(cloud: Cloud) -> None:
    """A deployment may be a server that runs here; who scores needs a token for Azure ML, and failures become 424."""

    class Model(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(400 if body == b"[]" else 200)
            self.end_headers()
            self.wfile.write(b'{"rows": 1}')

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Model) as model:
        threading.Thread(target=model.serve_forever, daemon=True).start()
        endpoint = f"{cloud.workspace('dev').id}/onlineEndpoints/flights"
        cloud.arm.put(endpoint, {"properties": {**READY, "authMode": "AADToken", "traffic": {"blue": 100}}})
        cloud.arm.put(f"{endpoint}/deployments/blue", {"properties": READY})
        cloud.scoring.behave("flights", "blue", f"http://127.0.0.1:{model.server_port}")
        url = f"http://127.0.0.1:{cloud.server.port}/api/v1/endpoint/flights/score"
        assert ask(url, token("https://ml.azure.com"), "POST", [1]) == (200, {"rows": 1})
        assert ask(url, token("https://ml.azure.com"), "POST", []) == (424, {"rows": 1})
        assert ask(url, token("https://management.azure.com"), "POST", [1])[0] == 401
        assert ask(url, "", "POST", [1])[0] == 401
        model.shutdown()


@pytest.mark.full
def test_batch_endpoints_and_schedules(cloud: Cloud, sdk: Sdk) -> None:
    """Batch deployments, the default, jobs with their output; schedules and monitors, on and off."""
    cloud.arm.add_compute(cloud.workspace("dev"), "cpu-cluster")
    cloud.jobs.plan(JobScript(outputs={"score": {"predictions.csv": b"1\n"}}), "nightly")
    told = sdk(
        ASSETS,
        ONLINE,
        """
ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name="nightly")).result()
batch = load_model_batch_deployment(write("batch.yml", '''
name: blue
endpoint_name: nightly
type: model
model: azureml:m:1
code_configuration: {code: ./src, scoring_script: score.py}
environment: azureml:e:1
compute: azureml:cpu-cluster
resources: {instance_count: 1}
settings: {mini_batch_size: 10, output_action: append_row, output_file_name: predictions.csv}
'''))
tell("deployment", lambda: ml.batch_deployments.begin_create_or_update(batch).result().provisioning_state)
inputs = {"data": Input(type="uri_file", path="azureml:rows:1")}
tell("no default", lambda: ml.batch_endpoints.invoke("nightly", inputs=inputs))
job = ml.batch_endpoints.invoke("nightly", deployment_name="blue", inputs=inputs)
tell("job", lambda: ml.jobs.get(job.name).status)
ml.jobs.download(job.name, output_name="score", download_path="there")
tell("scored", lambda: [one.read_text() for one in Path("there").rglob("predictions.csv")])
def choose(name):
    endpoint = ml.batch_endpoints.get("nightly")
    endpoint.defaults = {"deployment_name": name}
    return dict(ml.batch_endpoints.begin_create_or_update(endpoint).result().defaults)
tell("wrong default", lambda: choose("green"))
tell("default", lambda: choose("blue"))
tell("by default", lambda: ml.batch_endpoints.invoke("nightly", inputs=inputs).name)
tell("jobs", lambda: len(ml.batch_endpoints.list_jobs("nightly")))
tell("in use", lambda: ml.batch_deployments.begin_delete("blue", "nightly").result())
write("pipeline.yml", '''
type: pipeline
settings: {default_compute: azureml:cpu-cluster}
jobs: {train: {type: command, command: echo, environment: azureml:e:1}}
''')
schedule = load_schedule(write("schedule.yml", '''
name: retrain
trigger: {type: cron, expression: "0 3 * * 1"}
create_job: ./pipeline.yml
'''))
tell("schedule", lambda: ml.schedules.begin_create_or_update(schedule).result().is_enabled)
tell("triggered", lambda: ml.jobs.get(ml.schedules.trigger("retrain").job_name).status)
tell("enabled", lambda: ml.schedules.begin_delete("retrain").result())
tell("disabled", lambda: ml.schedules.begin_disable("retrain").result().is_enabled)
endpoint().result()
deploy("blue", more=COLLECTOR)
monitor = load_schedule(write("monitor.yml", '''
name: watch
trigger: {type: recurrence, frequency: day, interval: 1, schedule: {hours: 3, minutes: 15}}
create_monitor:
  compute: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
  monitoring_target: {ml_task: classification, endpoint_deployment_id: azureml:flights:blue}
  monitoring_signals:
    drift:
      type: data_drift
      reference_data: {input_data: {path: azureml:rows:1, type: mltable}, data_context: training}
      metric_thresholds: {numerical: {jensen_shannon_distance: 0.01}}
  alert_notification: {emails: [owner@example.com]}
'''))
tell("monitor", lambda: ml.schedules.begin_create_or_update(monitor).result().is_enabled)
tell("signals", lambda: list(ml.schedules.get("watch").create_monitor.monitoring_signals))
tell("active", lambda: [one.name for one in ml.schedules.list()])
tell("deleted", lambda: ml.schedules.begin_delete("retrain").result())
""",
    )
    assert (told["deployment"], told["job"], told["scored"]) == ("Succeeded", "Completed", ["1\n"])
    assert "no default deployment" in told["no default"]
    assert "'green' does not exist" in told["wrong default"]
    assert (told["default"], told["jobs"]) == ({"deploymentName": "blue"}, 2)
    assert "is the endpoint's default" in told["in use"]
    assert (told["schedule"], told["triggered"], told["disabled"]) == (True, "Completed", False)
    assert "Disable it first" in told["enabled"]
    assert (told["monitor"], told["signals"], told["active"], told["deleted"]) == (True, ["drift"], ["watch"], None)


@pytest.mark.full
def test_registry(cloud: Cloud, sdk: Sdk) -> None:
    """Assets are shared to the registry with their bytes and used from another workspace."""
    told = sdk(
        ASSETS,
        """
share = dict(name="m", version="1", share_with_name="m", share_with_version="1", registry_name="registry")
ml.models.create_or_update(Model(name="m", version="1", path="model", type="mlflow_model", tags={"approved": "yes"}))
tell("shared", lambda: ml.models.share(**share).tags)
tell("shared again", lambda: ml.models.share(**share))
registry = MLClient(DefaultAzureCredential(), registry_name="registry", show_progress=False)
registry.models.download("m", "1", download_path="there")
tell("downloaded", lambda: Path("there/m/MLmodel").read_text())
tell("missing", lambda: registry.models.get("n", "1"))
share = dict(version="1", share_with_version="1", registry_name="registry")
tell("shared environment", lambda: ml.environments.share("e", share_with_name="shared", **share).image)
tell("shared data", lambda: ml.data.share("rows", share_with_name="rows", **share).path)
tell("region", lambda: ml.registries.get("registry").location)
tell("listed", lambda: [one.version for one in registry.models.list("m")])
tell("environment", lambda: registry.environments.create_or_update(Environment(name="e", version="1", image="x")).id)
component = "name: c\\nversion: '1'\\ntype: command\\ncode: ./src\\ncommand: python score.py\\n"
component = write("c.yml", component + "environment: azureml://registries/registry/environments/e/versions/1\\n")
tell("component", lambda: registry.components.create_or_update(load_component(component)).id)
tell("no registry", lambda: MLClient(DefaultAzureCredential(), registry_name="other"))
prod = client("prod")
prod.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="flights", auth_mode="aad_token")).result()
deployment = load_online_deployment(write("deployment.yml", '''
name: blue
endpoint_name: flights
model: azureml://registries/registry/models/m/versions/1
environment: azureml://registries/registry/environments/e/versions/1
code_configuration: {code: ./src, scoring_script: score.py}
instance_type: Standard_DS3_v2
instance_count: 1
'''))
tell("deployed", lambda: prod.online_deployments.begin_create_or_update(deployment).result().model)
deployment.model = "azureml://registries/registry/models/m/versions/2"
tell("not there", lambda: prod.online_deployments.begin_create_or_update(deployment).result())
""",
    )
    assert told["shared"] == {"approved": "yes"}
    assert "already exists in registry" in told["shared again"]
    assert (told["downloaded"], told["listed"]) == ("flavors: {}", ["1"])
    assert told["missing"].startswith("ResourceNotFoundError")
    assert (told["shared environment"], told["region"]) == ("mcr.microsoft.com/x:1", REGION)
    assert cloud.arm.files(told["shared data"]) == {"rows.csv": b"a,b\n1,2\n"}
    assert told["environment"] == "azureml://registries/registry/environments/e/versions/1"
    assert told["component"] == "azureml://registries/registry/components/c/versions/1"
    assert "other" in told["no registry"]
    assert told["deployed"] == "azureml://registries/registry/models/m/versions/1"
    assert told["not there"].startswith("ResourceNotFoundError")
    shared = cloud.get("registry", "/models/m/versions/1")
    assert cloud.arm.files(shared["properties"]["modelUri"]) == {"MLmodel": b"flavors: {}"}


@pytest.mark.full
def test_mlflow(cloud: Cloud, sdk: Sdk) -> None:
    """Runs, artifacts and models over MLflow, without logged models and aliases; the SDK sees the same models."""
    cloud.add_model("dev", "planted", {"MLmodel": b"flavors: {}"}, tags={"role": "candidate"})
    told = sdk(
        """
import mlflow
mlflow.set_tracking_uri(ml.workspaces.get("dev").mlflow_tracking_uri)
mlflow.set_experiment("late")
tracking = mlflow.MlflowClient()
with mlflow.start_run() as run:
    mlflow.log_metrics({"accuracy": 0.9})
    mlflow.log_params({"rate": 1})
    mlflow.log_artifacts("model", "model")
key, where = run.info.run_id, f"{run.info.artifact_uri}/model"
again = tracking.get_run(key)
tell("run", lambda: (again.info.status, again.data.metrics, again.data.params))
experiment = [run.info.experiment_id]
order = ["metrics.accuracy DESC"]
tell("found", lambda: len(tracking.search_runs(experiment, "metrics.accuracy > 0.8", order_by=order)))
tell("not found", lambda: len(tracking.search_runs(experiment, "metrics.accuracy > 0.95")))
tracking.create_registered_model("late")
tell("version", lambda: tracking.create_model_version("late", where, key, tags={"role": "candidate"}).version)
tracking.set_model_version_tag("late", "1", "role", "champion")
tell("tags", lambda: [one.tags for one in tracking.search_model_versions("name='late'")])
tell("files", lambda: sorted(os.listdir(mlflow.artifacts.download_artifacts("models:/late/1"))))
tell("by run", lambda: mlflow.register_model(f"runs:/{key}/model", "late"))
tell("alias", lambda: tracking.set_registered_model_alias("late", "champion", "1"))
tell("by tag", lambda: tracking.search_model_versions("tags.role = 'champion'"))
tell("no files", lambda: tracking.create_model_version("late", f"{run.info.artifact_uri}/other", key))
seen = ml.models.get("late", "1")
tell("seen", lambda: (seen.tags, seen.type, seen.job_name == key))
ml.models.download("late", "1", download_path="there")
tell("downloaded", lambda: Path("there/late/model/MLmodel").read_text())
tell("planted", lambda: tracking.get_model_version("planted", "1").tags)
""",
    )
    assert told["run"] == ["FINISHED", {"accuracy": 0.9}, {"rate": "1"}]
    assert (told["found"], told["not found"], told["version"]) == (1, 0, "1")
    assert told["tags"] == [{"role": "champion"}]
    assert "MLmodel" in told["files"]
    assert "logged-models/search failed with error code 404" in told["by run"]
    assert "failed with error code 404" in told["alias"]
    assert "Unsupported filter" in told["by tag"]
    assert "There are no files" in told["no files"]
    assert told["seen"] == [{"role": "champion"}, "mlflow_model", True]
    assert (told["downloaded"], told["planted"]) == ("flavors: {}", {"role": "candidate"})


@pytest.mark.full
def test_faults(cloud: Cloud, sdk: Sdk) -> None:
    """The SDK sees each planted fault as it would see Azure's."""

    def to(name: str) -> str:
        return f"/deployments/{name}$"

    cloud.faults.add(
        Fault("PUT", "/onlineEndpoints/flights$", status=429, headers={"Retry-After": "1"}),
        Fault("PUT", to("error"), status=500),
        Fault("PUT", to("conflict"), status=409),
        Fault("PUT", to("unheard"), drop="before"),
        Fault("PUT", to("unanswered"), drop="after", then=lambda _: time.sleep(2 * cloud.arm.seconds)),
        Fault("POST", "/getLogs$", drop="after"),
        Fault("PUT", to("slow"), delay=1),
        Fault("PUT", to("expired"), status=401),
        Fault("PUT", to("hangs"), ends="Never"),
        no_quota("quota"),
        image_build_failure("image"),
        container_crash("crash"),
    )
    told = sdk(
        ASSETS,
        ONLINE,
        """
import time
def timed(call):
    begin = time.monotonic()
    call()
    return time.monotonic() - begin
tell("throttled", lambda: timed(lambda: endpoint().result()))
for name in ("error", "conflict", "unheard", "unanswered", "expired", "quota", "image", "crash"):
    tell(name, lambda: deploy(name))
tell("not repeated", lambda: ml.online_deployments.get_logs("error", "flights", lines=1))
tell("slow", lambda: timed(lambda: deploy("slow")))
poller = ml.online_deployments.begin_create_or_update(deployment("hangs"))
poller.wait(0.5)
tell("hangs", lambda: poller.status())
tell("meanwhile", lambda: deploy("hangs"))
tell("states", lambda: {one.name: one.provisioning_state for one in ml.online_deployments.list("flights")})
""",
    )
    assert told["throttled"] >= 1
    assert told["slow"] >= 1
    assert len(cloud.requests("PUT", "/onlineEndpoints/flights$")) == 2
    for name in ("error", "unheard", "unanswered"):  # which the SDK repeats by itself
        assert told[name] == "Succeeded", name
        assert len(cloud.requests("PUT", to(name))) == 2
    assert told["not repeated"].startswith("ServiceResponseError: ('Connection aborted.'")
    assert len(cloud.requests("POST", "/getLogs$")) == 1
    assert told["conflict"].startswith("ResourceExistsError: (Conflict)")
    assert told["expired"].startswith("ClientAuthenticationError: (ExpiredAuthenticationToken)")
    assert told["quota"].startswith("HttpResponseError: (BadRequest)")
    assert "Not enough quota available" in told["quota"]
    assert told["image"].startswith("HttpResponseError: (ImageBuildFailure)")
    assert told["crash"].startswith("HttpResponseError: (ResourceNotReady)")
    assert told["hangs"] == "InProgress"
    assert told["meanwhile"].startswith("ResourceExistsError: (Conflict)")
    states = told["states"]
    assert (states["crash"], states["hangs"], "quota" in states) == ("Failed", "Creating", False)
    cloud.arm.release()
    assert (
        cloud.get("dev", "/onlineEndpoints/flights/deployments/hangs")["properties"]["provisioningState"] == "Succeeded"
    )


@pytest.mark.full
def test_the_caller_dies_half_way(cloud: Cloud, azure: Environment, tmp_path: Path) -> None:
    """A process can be killed at the moment when its request has taken effect; what it did is there."""
    process: list[subprocess.Popen[bytes]] = []
    cloud.faults.add(Fault("PUT", "/environments/second/", then=lambda _: process[0].kill()))
    script = PRELUDE + "\nfor name in ('first', 'second', 'third'):\n    ml.environments.create_or_update("
    (tmp_path / "script.py").write_text(script + "Environment(name=name, version='1', image='x'))\n", encoding="utf-8")
    environment = {**os.environ, **cloud.environment()}
    process.append(subprocess.Popen([azure.python, "script.py"], cwd=tmp_path, env=environment))
    assert process[0].wait(60) != 0
    made = [one["name"] for one in cloud.arm.below(f"{cloud.workspace('dev').id}/environments")]
    assert made == ["first", "second"]


def test_scoring_without_a_proxy(cloud: Cloud) -> None:
    """Clients that ignore proxies find an endpoint on loopback, answered by a function."""
    cloud.arm.direct_scoring = True
    url = put_endpoint(cloud)["properties"]["scoringUri"]
    cloud.arm.put(f"{cloud.workspace('dev').id}/onlineEndpoints/flights/deployments/blue", {"properties": READY})
    cloud.scoring.behave("flights", "blue", lambda request: Answer({"rows": len(request.json)}))
    headers = {"azureml-model-deployment": "blue"}
    assert ask(url, token("https://ml.azure.com"), "POST", [1, 2], **headers) == (200, {"rows": 2})
