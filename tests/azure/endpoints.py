"""Online and batch endpoints, their deployments, and scoring."""

import re
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable

from .arm import PROVIDER, REGION, Arm, Call, listed, route
from .faults import Fault
from .jobs import submit
from .wire import Answer, AzureError, Json, Request

Behaviour = Callable[[Request], Answer]
KINDS = "onlineEndpoints|batchEndpoints"
PROBE = {"initialDelay": "PT10S", "period": "PT10S", "timeout": "PT2S", "successThreshold": 1, "failureThreshold": 30}
DEFAULTS: Json = {  # what the service adds to an online deployment that does not say it
    "scaleSettings": {"scaleType": "Default"},
    "requestSettings": {"requestTimeout": "PT5S", "maxConcurrentRequestsPerInstance": 1, "maxQueueWait": "PT0.5S"},
    "livenessProbe": PROBE,
    "readinessProbe": PROBE,
    "egressPublicNetworkAccess": "Enabled",
    "properties": {},
}


def refuse(message: str) -> AzureError:
    """A request that makes no sense."""
    return AzureError(400, "BadRequest", message)


@route("GET", f"/{{kind:{KINDS}}}")
@route("GET", f"/{{kind:{KINDS}}}/{{name}}/deployments")
def list_endpoints(arm: Arm, call: Call) -> Answer:
    """All endpoints, or the deployments of one."""
    if "name" in call.names:
        arm.get(call.id.rpartition("/")[0])
    return listed(arm, call, arm.below(call.id))


@route("GET", f"/{{kind:{KINDS}}}/{{name}}")
@route("GET", f"/{{kind:{KINDS}}}/{{name}}/deployments/{{deployment}}")
def get_endpoint(arm: Arm, call: Call) -> Answer:
    """An endpoint or a deployment."""
    return Answer(arm.get(call.id))


def traffic_is_right(arm: Arm, call: Call, properties: Json) -> None:
    """The service's rules: live traffic adds up to 0 or 100; at most half is copied, to one managed deployment."""
    traffic, mirror = properties.get("traffic") or {}, properties.get("mirrorTraffic") or {}
    names = {one["name"]: one for one in arm.below(f"{call.id}/deployments")}
    for name in [*traffic, *mirror]:
        if name not in names:
            raise refuse(f"Deployment '{name}' named in the traffic rules does not exist.")
        if names[name]["properties"]["provisioningState"] != "Succeeded" and {**traffic, **mirror}[name]:
            raise refuse(f"Deployment '{name}' named in the traffic rules is not ready.")
    if any(not 0 <= share <= 100 for share in traffic.values()) or sum(traffic.values()) not in (0, 100):
        raise refuse(f"The sum of traffic must be 0 or 100, not {sum(traffic.values())}.")
    if mirror and (len(mirror) > 1 or not 0 <= sum(mirror.values()) <= 50):
        raise refuse("Mirror traffic goes to one deployment, at most 50 percent.")
    if mirror and properties.get("compute"):
        raise refuse("Mirror traffic is not supported on Kubernetes endpoints.")


def identity_is_right(arm: Arm, call: Call, body: Json, old: Json | None) -> None:
    """The service's rules: a user-assigned identity is named and there; an endpoint keeps the one that it has."""

    def named(resource: Json) -> set[str]:
        return {one.lower() for one in (resource.get("identity") or {}).get("userAssignedIdentities") or {}}

    kind = (body.get("identity") or {}).get("type", "SystemAssigned")
    if ("UserAssigned" in kind) != bool(named(body)):
        raise refuse("An identity of type UserAssigned, and no other, needs userAssignedIdentities.")
    if missing := sorted(named(body) - arm.identities):
        text = f"Identity operation for resource '{call.id}' failed: Resource '{missing[0]}' was not found."
        raise AzureError(400, "FailedIdentityOperation", text)
    if old and named(old) != named(body):
        raise refuse("The identity of an endpoint cannot be changed.")


@route("PUT", f"/{{kind:{KINDS}}}/{{name}}")
def put_endpoint(arm: Arm, call: Call) -> Answer:
    """Make or change an endpoint."""
    body, old = arm.checked(call), arm.find(call.id)
    arm.refuse_if_busy(call.id)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]", call.names["name"]):
        raise refuse("An endpoint's name has 3 to 32 letters, digits and hyphens, and begins with a letter.")
    for scope in arm.scopes:
        if scope != call.scope and arm.find(call.id.replace(call.scope.id, scope.id)):
            raise refuse(
                f"An endpoint named '{call.names['name']}' exists in this region; names are unique in a region."
            )
    properties = {key: value for key, value in body["properties"].items() if value is not None}
    online = call.names["kind"].lower() == "onlineendpoints"
    if online:
        identity_is_right(arm, call, body, old)
        traffic_is_right(arm, call, properties)
    if properties.get("compute") and properties["authMode"].lower() == "aadtoken":
        raise refuse("Microsoft Entra tokens (aad_token) are supported on managed online endpoints only.")
    default = (properties.get("defaults") or {}).get("deploymentName")
    if default and not arm.find(f"{call.id}/deployments/{default}"):
        raise refuse(f"The default deployment '{default}' does not exist.")
    name = call.names["name"]
    host = f"https://{name}.{REGION}.inference.ml.azure.com"
    said: Json = {"scoringUri": f"{host}/{'score' if online else 'jobs'}", "provisioningState": "Succeeded"}
    if online:
        said |= {"swaggerUri": f"{host}/swagger.json"}
        said |= {"traffic": properties.get("traffic") or {}, "mirrorTraffic": properties.get("mirrorTraffic") or {}}
        if properties.get("compute") or arm.direct_scoring:
            said["scoringUri"] = f"{arm.direct_address}/api/v1/endpoint/{name}/score"
    before = (old or {"properties": {}})["properties"]
    waiting = {**said, "provisioningState": "Updating" if old else "Creating"}
    if old and online:
        waiting |= {"traffic": before["traffic"], "mirrorTraffic": before["mirrorTraffic"]}
    stored = arm.put(call.id, {**body, "properties": {**before, **properties, **waiting}})

    def finish() -> None:
        stored["properties"].update(said)

    return arm.begin(call, finish, Answer(arm.visible(stored), 200 if old else 201))


@route("PUT", f"/{{kind:{KINDS}}}/{{name}}/deployments/{{deployment}}")
def put_deployment(arm: Arm, call: Call) -> Answer:
    """Make or change a deployment."""
    endpoint, _, _ = call.id.rpartition("/deployments/")
    arm.get(endpoint)
    body, old = arm.checked(call), arm.find(call.id)
    arm.refuse_if_busy(call.id)
    properties = {key: value for key, value in body["properties"].items() if value is not None}
    arm.demand(properties)
    state = {"provisioningState": "Updating" if old else "Creating"}
    if call.names["kind"].lower() == "onlineendpoints":
        resources = {"cpu": "100m", "memory": "2Gi"}
        needed = {"containerResourceRequests": resources, "containerResourceLimits": {"cpu": "2", "memory": "2Gi"}}
        kubernetes = properties["endpointComputeType"] == "Kubernetes"
        added = {"containerResourceRequirements": needed} if kubernetes else {}
        properties = {**DEFAULTS, **added, **properties}
        if old:  # the machines are those that it began with
            properties["instanceType"] = old["properties"].get("instanceType")
    stored = arm.put(call.id, {**body, "properties": {**properties, **state}})

    def finish() -> None:
        stored["properties"]["provisioningState"] = "Succeeded"

    return arm.begin(call, finish, Answer(arm.visible(stored), 200 if old else 201))


@route("DELETE", f"/{{kind:{KINDS}}}/{{name}}")
@route("DELETE", f"/{{kind:{KINDS}}}/{{name}}/deployments/{{deployment}}")
def delete_endpoint(arm: Arm, call: Call) -> Answer:
    """Delete an endpoint with its deployments, or a deployment that nothing is sent to."""
    found = arm.find(call.id)
    if found is None:
        return Answer(status=204)
    arm.refuse_if_busy(call.id)
    if name := call.names.get("deployment"):
        endpoint = arm.get(call.id.rpartition("/deployments/")[0])["properties"]
        if (endpoint.get("traffic") or {}).get(name) or (endpoint.get("mirrorTraffic") or {}).get(name):
            raise refuse(f"Deployment '{name}' has traffic and cannot be deleted. Set its traffic to 0 first.")
        if (endpoint.get("defaults") or {}).get("deploymentName") == name:
            raise refuse(f"Deployment '{name}' is the endpoint's default and cannot be deleted.")
    found["properties"]["provisioningState"] = "Deleting"
    return arm.begin(call, lambda: arm.remove(call.id), Answer(status=202))


@route("POST", "/onlineEndpoints/{name}/listKeys")
def list_keys(arm: Arm, call: Call) -> Answer:
    """The keys of an endpoint that takes keys."""
    endpoint = arm.get(call.id.rpartition("/")[0])
    if endpoint["properties"]["authMode"].lower() != "key":
        raise refuse("The endpoint does not use keys.")
    return Answer(
        endpoint["properties"].setdefault("keys", {"primaryKey": uuid.uuid4().hex, "secondaryKey": uuid.uuid4().hex})
    )


@route("POST", "/onlineEndpoints/{name}/token")
def get_token(arm: Arm, call: Call) -> Answer:
    """A token of the endpoint's own."""
    arm.get(call.id.rpartition("/")[0])
    ends = int(time.time()) + 3600
    said = {"accessToken": "aml-token", "tokenType": "Bearer", "expiryTimeUtc": ends, "refreshAfterTimeUtc": ends - 600}
    return Answer(said)


@route("POST", "/onlineEndpoints/{name}/deployments/{deployment}/getLogs")
def get_logs(arm: Arm, call: Call) -> Answer:
    """The last lines that a deployment's container wrote."""
    deployment = arm.get(call.id.rpartition("/")[0])
    lines = arm.logs.get(deployment["id"].lower(), "").splitlines()
    return Answer({"content": "\n".join(lines[-int(call.request.json.get("tail") or 100) :])})


class Scoring:
    """What endpoints answer: a behaviour per deployment, live traffic shared by weight."""

    def __init__(self, arm: Arm, demand_token: Callable[[Request, set[str]], None]) -> None:
        self.arm, self.demand_token = arm, demand_token
        self.behaviours: dict[tuple[str, str], Behaviour] = {}
        self.sent: Counter[tuple[str, str]] = Counter()
        self.mirrored: Counter[tuple[str, str]] = Counter()
        self.routed: Counter[tuple[str, str, str]] = Counter()  # by endpoint, its rules and the deployment chosen

    def behave(self, endpoint: str, deployment: str, behaviour: Behaviour | str) -> None:
        """From now on a deployment answers like this: a function of the request, or the address of a real server."""
        self.behaviours[endpoint, deployment] = forward_to(behaviour) if isinstance(behaviour, str) else behaviour

    def fail_from(self, share: int, endpoint: str, deployment: str, status: int = 500) -> None:
        """A deployment answers well until it gets `share` percent of the traffic."""

        def behaviour(_: Request) -> Answer:
            found = (self.arm.find(f"{one.id}/onlineEndpoints/{endpoint}") for one in self.arm.scopes)
            traffic = next(one["properties"]["traffic"] for one in found if one)
            good = traffic.get(deployment, 0) < share
            return Answer({"deployment": deployment}) if good else Answer({"message": "planted"}, status)

        self.behave(endpoint, deployment, behaviour)

    def __call__(self, request: Request, _: Fault | None) -> Answer:
        """Answer a scoring request or start a batch job."""
        direct = re.fullmatch(r"/api/v1/endpoint/([^/]+)(/.*)", request.path)
        name, path = (direct[1], direct[2]) if direct else (request.host.partition(".")[0], request.path)
        kind = "batchEndpoints" if path == "/jobs" else "onlineEndpoints"
        with self.arm.lock:
            self.arm.settle()
            found = [one for one in self.arm.scopes if self.arm.find(f"{one.id}/{kind}/{name}")]
            if not found:
                raise AzureError(404, "NotFound", f"There is no endpoint {name}.")
            endpoint = self.arm.get(f"{found[0].id}/{kind}/{name}")
            self.authorise(request, endpoint["properties"])
            if kind == "batchEndpoints":
                return self.start(request, endpoint, found[0].id)
            chosen = self.choose(request, endpoint)
            mirror = [one for one, share in (endpoint["properties"].get("mirrorTraffic") or {}).items() if share]
        answer = self.answer(name, chosen, request, kubernetes=bool(endpoint["properties"].get("compute")))
        for copy in mirror if not request.headers.get("azureml-model-deployment") else []:
            self.mirrored[name, copy] += 1
            threading.Thread(target=self.answer, args=(name, copy, request), daemon=True).start()
        return answer

    def authorise(self, request: Request, properties: Json) -> None:
        """Keys where keys are used; elsewhere a token for Azure ML."""
        if properties["authMode"].lower() == "key":
            if request.token not in (properties.get("keys") or {}).values():
                raise AzureError(401, "Unauthorized", "The key is wrong.")
        elif properties["authMode"].lower() == "aadtoken":
            self.demand_token(request, {"https://ml.azure.com"})
        elif request.token != "aml-token":
            raise AzureError(401, "Unauthorized", "The token is wrong.")

    def choose(self, request: Request, endpoint: Json) -> str:
        """The deployment that is asked for, or the one that is furthest behind its share of the traffic."""
        traffic = endpoint["properties"].get("traffic") or {}
        if named := request.headers.get("azureml-model-deployment"):
            found = self.arm.find(f"{endpoint['id']}/deployments/{named}")
            if not found or found["properties"]["provisioningState"] not in ("Succeeded", "Updating"):
                raise AzureError(404, "NotFound", f"There is no deployment {named} to send this to.")
            return named
        live = [one for one, share in traffic.items() if share]
        if not live:
            raise AzureError(404, "NotFound", "The endpoint has no valid deployment with positive weight.")
        key = (endpoint["name"], str(traffic))
        chosen: str = min(live, key=lambda one: (self.routed[*key, one] + 1) / traffic[one])
        self.routed[*key, chosen] += 1
        return chosen

    def answer(self, endpoint: str, deployment: str, request: Request, *, kubernetes: bool = False) -> Answer:
        """What a deployment answers; Azure reports a managed container's failure as 424."""
        self.sent[endpoint, deployment] += 1
        behaviour = self.behaviours.get((endpoint, deployment))
        given = behaviour(request) if behaviour else Answer({"deployment": deployment})
        headers = {**given.headers, "azureml-model-deployment": deployment}
        if given.status == 200 or kubernetes:
            return Answer(given.content, given.status, headers)
        headers |= {
            "ms-azureml-model-error-statuscode": str(given.status),
            "ms-azureml-model-error-reason": "model_error",
        }
        return Answer(given.content, 424, headers)

    def start(self, request: Request, endpoint: Json, workspace: str) -> Answer:
        """Start a batch job on the named or the default deployment."""
        said = request.json["properties"]
        default = (endpoint["properties"].get("defaults") or {}).get("deploymentName")
        deployment = request.headers.get("azureml-model-deployment") or default
        if not deployment:
            raise refuse("The endpoint has no default deployment.")
        self.arm.get(f"{endpoint['id']}/deployments/{deployment}")
        name = said.get("name") or f"batchjob-{uuid.uuid4()}"
        words = {"UriFile": "uri_file", "UriFolder": "uri_folder", "MLTable": "mltable"}  # of the older batch interface
        inputs = {
            key: {**one, "jobInputType": words.get(one["jobInputType"], one["jobInputType"])}
            for key, one in (said.get("inputData") or {}).items()
        }
        outputs = {
            key: {**one, "jobOutputType": words.get(one["jobOutputType"], one["jobOutputType"])}
            for key, one in (said.get("outputData") or {}).items()
        }
        marks = {"endpoint": endpoint["name"], "deployment": deployment}
        properties = {
            "jobType": "Pipeline",
            "displayName": f"{endpoint['name']}-{deployment}",
            "experimentName": (said.get("properties") or {}).get("experimentName", endpoint["name"]),
            "tags": {"azureml.batchrun": "true"},
            "properties": marks,
            "inputs": inputs,
            "outputs": outputs,
        }
        kept = self.arm.specification.check(
            f"{PROVIDER}/workspaces/jobs", "2024-01-01-preview", {"properties": properties}
        )
        return Answer(self.arm.visible(submit(self.arm, workspace, name, kept["properties"], ["batchscoring"])), 201)


def forward_to(address: str) -> Behaviour:
    """Let a real inference server answer."""

    def forward(request: Request) -> Answer:
        kept = {key: value for key, value in request.headers.items() if key in ("content-type", "accept")}
        asked = urllib.request.Request(f"{address}/score", request.body, kept, method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(asked) as given:
                return Answer(given.read(), given.status, {"Content-Type": given.headers.get_content_type()})
        except urllib.error.HTTPError as error:
            return Answer(error.read(), error.code, {"Content-Type": error.headers.get_content_type()})
        except urllib.error.URLError as error:
            return Answer({"message": str(error.reason)}, 502)

    return forward
