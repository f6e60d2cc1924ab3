"""Azure Resource Manager: workspaces, a registry and the versioned assets in them, and long-running operations.

`endpoints.py` and `jobs.py` add their routes here. A request that no route answers gets a 501 and is kept in
`Arm.unmodelled`, so that nothing passes because it was swallowed.
"""

import copy
import itertools
import json
import math
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING, Any

from .faults import Fault
from .specification import Specification
from .storage import Storage
from .wire import Answer, AzureError, Json, Request, not_found

if TYPE_CHECKING:
    from .jobs import Jobs

PROVIDER = "Microsoft.MachineLearningServices"
REGION = "westeurope"
DATA_PLANE = f"{REGION}.api.azureml.ms"
REGISTRY_PLANE = f"cert-{REGION}.experiments.azureml.net"
MANAGEMENT = "management.azure.com"
ASSETS = "codes|components|data|environments|models"
CHANGEABLE = {"description", "isArchived", "isAnonymous", "properties", "stage", "tags", "autoDeleteSetting"}
LONG_OR_SHORT = re.compile(r"azureml://(?:subscriptions/([^/]+)/resourcegroups/([^/]+)/workspaces/([^/]+)/)?(.*)", re.I)
NEEDED = re.compile(r"/(codes|components|environments|data|models)/[^/]+/versions/|/computes/(?!serverless$)")
BUSY = {"Creating", "Updating", "Deleting"}


@dataclass(frozen=True)
class Scope:
    """A workspace or a registry."""

    name: str
    kind: str = "workspaces"
    subscription: str = "00000000-0000-0000-0000-000000000001"
    group: str = "rg-loopback"

    @property
    def id(self) -> str:
        """Its ARM id."""
        group = f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
        return f"{group}/providers/{PROVIDER}/{self.kind}/{self.name}"

    @property
    def account(self) -> str:
        """The name of its storage account."""
        return f"st{re.sub(r'[^a-z0-9]', '', self.name.lower())[:14]}{self.key.hex[:8]}"

    @property
    def key(self) -> uuid.UUID:
        """The workspace's own id, which names its containers."""
        return uuid.uuid5(uuid.NAMESPACE_URL, self.id)


@dataclass(frozen=True)
class Call:
    """A request to a resource: where it is, what its path named, and how it is to fail."""

    request: Request
    fault: Fault | None
    scope: Scope
    id: str
    names: dict[str, str]


@dataclass
class Operation:
    """A long-running operation: what it changes, when it is done, and what to do then."""

    resource: str
    due: float
    finish: Callable[[], None]
    error: Json | None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    done: bool = False


Route = Callable[["Arm", Call], Answer]
ROUTES: list[tuple[str, re.Pattern[str], Route]] = []


def compiled(template: str) -> re.Pattern[str]:
    """A path template as a regular expression; names in Azure are not case-sensitive."""
    return re.compile(re.sub(r"\{(\w+)(?::([^}]+))?\}", lambda m: f"(?P<{m[1]}>{m[2] or '[^/]+'})", template), re.I)


def route(method: str, template: str) -> Callable[[Route], Route]:
    """Answer this method on paths below a workspace or registry: `/jobs/{name}`, `/{kind:models|data}/{name}`."""

    def add(function: Route) -> Route:
        ROUTES.append((method, compiled(template), function))
        return function

    return add


def now() -> str:
    """The time as Azure writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def resource_type(path: str) -> str:
    """`Microsoft.MachineLearningServices/workspaces/models/versions` of an id."""
    return "/".join([PROVIDER, *path.partition(f"/providers/{PROVIDER}/")[2].split("/")[::2]])


class Arm:
    """The resources and how they change."""

    jobs: "Jobs"  # puts itself here

    def __init__(self, storage: Storage, scopes: list[Scope], seconds: float) -> None:
        self.storage, self.scopes, self.seconds = storage, scopes, seconds
        self.specification = Specification()
        self.resources: dict[str, Json] = {}
        self.operations: dict[str, Operation] = {}
        self.unmodelled: list[str] = []
        self.logs: dict[str, str] = {}  # what the containers of deployments wrote, by id in lower case
        self.direct_address, self.direct_scoring = "", False  # where clients that ignore proxies find endpoints
        self.usages: list[Json] = []
        self.identities: set[str] = set()  # ids of user-assigned identities, in lower case
        self.lock = RLock()
        self.ticks = itertools.count()
        for scope in scopes:
            self.add_scope(scope)

    def add_scope(self, scope: Scope) -> None:
        """Make a workspace with its default datastore, or a registry."""
        where = {"location": REGION, "identity": {"type": "SystemAssigned", "principalId": str(scope.key)}}
        if scope.kind == "registries":
            self.put(scope.id, {**where, "properties": {"regions": [{"location": REGION}]}})
            return
        group = scope.id.partition(f"/providers/{PROVIDER}")[0]
        properties = {
            "workspaceId": str(scope.key),
            "discoveryUrl": f"https://{DATA_PLANE}/discovery",
            "mlFlowTrackingUri": f"azureml://{DATA_PLANE}/mlflow/v1.0{scope.id}",
            "storageAccount": f"{group}/providers/Microsoft.Storage/storageAccounts/{scope.account}",
            "keyVault": f"{group}/providers/Microsoft.KeyVault/vaults/kv",
            "applicationInsights": f"{group}/providers/Microsoft.Insights/components/appi",
            "containerRegistry": f"{group}/providers/Microsoft.ContainerRegistry/registries/cr",
            "provisioningState": "Succeeded",
        }
        self.put(scope.id, {**where, "kind": "Default", "properties": properties})
        self.add_datastore(scope, "workspaceblobstore", scope.account, f"azureml-blobstore-{scope.key}", default=True)
        self.add_datastore(scope, "workspaceartifactstore", scope.account, "azureml")

    def add_datastore(
        self, scope: Scope, name: str, account: str, container: str, *, default: bool = False, key: bool = True
    ) -> None:
        """Register a blob container; without an account key, access goes by the caller's identity."""
        properties = {
            "datastoreType": "AzureBlob",
            "accountName": account,
            "containerName": container,
            "endpoint": "core.windows.net",
            "protocol": "https",
            "isDefault": default,
            "credentials": {"credentialsType": "AccountKey" if key else "None"},
        }
        self.put(f"{scope.id}/datastores/{name}", {"properties": properties})

    def add_compute(self, scope: Scope, name: str, kind: str = "AmlCompute", **properties: Any) -> None:
        """A compute target that jobs may name: AmlCompute or Kubernetes."""
        given = {"computeType": kind, "provisioningState": "Succeeded", "properties": properties}
        self.put(f"{scope.id}/computes/{name}", {"location": REGION, "properties": given})

    def place(self, uri: str, workspace: str = "") -> tuple[str, str, str]:
        """The account, container and path of `azureml://…` (short forms are of this workspace) or `https://…`."""
        if found := re.match(r"https://([^.]+)\.[^/]+/([^/?]+)/?([^?]*)", uri):
            return found[1], found[2], found[3]
        if found := LONG_OR_SHORT.match(uri):
            scope = next((one for one in self.scopes if one.id.lower() == workspace.lower()), None)
            if found[3]:
                wanted = Scope(found[3], "workspaces", found[1], found[2]).id
                scope = self.scope_of(wanted)
            if scope is None:
                raise not_found(f"The workspace of '{uri}'")
            if job := re.fullmatch(r"jobs/([^/]+)/outputs/([^/]+)/paths/(.*)", found[4]):
                if job[2] == "artifacts":
                    return scope.account, "azureml", f"ExperimentRun/dcid.{job[1]}/{job[3]}"
                account, container, folder = self.place(self.jobs.runs[job[1]].outputs[job[2]], scope.id)
                return account, container, f"{folder.rstrip('/')}/{job[3]}".rstrip("/")
            if path := re.fullmatch(r"datastores/([^/]+)/paths/(.*)", found[4]):
                store = self.get(f"{scope.id}/datastores/{path[1]}")["properties"]
                return store["accountName"], store["containerName"], path[2]
        raise AzureError(400, "UserError", f"'{uri}' is not a place that can be read.")

    def files(self, uri: str, workspace: str = "") -> dict[str, bytes]:
        """The files of a model, a code or data asset, or an output, by path below it."""
        account, container, path = self.place(uri, workspace)
        return self.storage.read(f"https://{account}.blob.core.windows.net/{container}/{path}")

    def scope_of(self, path: str) -> Scope | None:
        """The workspace or registry that a path is in."""
        under = path.lower() + "/"
        return next((one for one in self.scopes if under.startswith(one.id.lower() + "/")), None)

    def find(self, path: str) -> Json | None:
        """The resource at this id."""
        return self.resources.get(path.lower())

    def get(self, path: str) -> Json:
        """The resource at this id, or Azure's 404."""
        found = self.find(path)
        if found is None:
            raise not_found(f"The resource '{path}'")
        return found

    def demand(self, body: Any) -> None:
        """Whatever a body refers to by id, in a workspace or in a registry, has to be there."""
        for found in re.findall(r'"(?:azureml:)?(/subscriptions/[^"]+|//registries/[^"]+)"', json.dumps(body)):
            path = re.sub(r"^//registries/([^/]+)", lambda match: self.registry_id(match[1]), found)
            if NEEDED.search(path):
                self.get(path)

    def registry_id(self, name: str) -> str:
        """The ARM id of a registry."""
        for scope in self.scopes:
            if scope.kind == "registries" and scope.name.lower() == name.lower():
                return scope.id
        raise not_found(f"The registry '{name}'")

    def put(self, path: str, body: Json) -> Json:
        """Store a resource, keeping when it was made."""
        old = self.find(path)
        system = {**(old or {"systemData": {"createdAt": now(), "createdByType": "Application"}})["systemData"]}
        system |= {"lastModifiedAt": now()}
        order = old["order"] if old else next(self.ticks)
        # A registry has ids of its own for its assets.
        shown = re.sub(r"^.*/registries/([^/]+)/(?=.)", r"azureml://registries/\1/", path)
        stored = {**body, "id": shown, "name": path.rpartition("/")[2], "type": resource_type(path)}
        stored |= {"systemData": system, "order": order}
        self.resources[path.lower()] = stored
        return stored

    def below(self, path: str) -> Iterator[Json]:
        """The resources directly under a collection, oldest first."""
        start = path.lower() + "/"
        inside = [one for key, one in self.resources.items() if key.startswith(start) and "/" not in key[len(start) :]]
        return iter(sorted(inside, key=lambda one: int(one["order"])))

    def remove(self, path: str) -> None:
        """Forget a resource and what is under it."""
        for key in [key for key in self.resources if f"{key}/".startswith(path.lower() + "/")]:
            del self.resources[key]

    def refuse_if_busy(self, path: str) -> None:
        """Two changes at once are refused."""
        if (self.find(path) or {"properties": {}})["properties"].get("provisioningState") in BUSY:
            raise AzureError(409, "Conflict", f"Another operation on '{path.rpartition('/')[2]}' is in progress.")

    def begin(self, call: Call, finish: Callable[[], None], answer: Answer) -> Answer:
        """Start a long-running operation on the call's resource; a fault may make it fail or never end."""
        error = None
        due = time.monotonic() + self.seconds
        if call.fault and call.fault.ends == "Failed":
            error = {"code": call.fault.code or "InternalServerError", "message": call.fault.message or "It failed."}
        elif call.fault and call.fault.ends == "Never":
            due = math.inf
        operation = Operation(call.id, due, finish, error)
        self.operations[operation.id] = operation
        prefix = "/mferp/managementfrontend" if call.request.host == REGISTRY_PLANE else ""
        root = f"https://{call.request.host}{prefix}/subscriptions/{call.scope.subscription}/providers/{PROVIDER}"
        version = call.request.query.get("api-version", "")
        where = f"{root}/locations/{REGION}/{{}}/{operation.id}?api-version={version}&service=new"
        headers = {
            "Azure-AsyncOperation": where.format("mfeOperationsStatus"),
            "Location": where.format("mfeOperationResults"),
            "x-ms-retry-after-ms": "20",
        }
        return Answer(answer.content, answer.status, {**headers, **answer.headers})

    def settle(self) -> None:
        """Let the operations that are due take effect."""
        for operation in self.operations.values():
            if not operation.done and time.monotonic() >= operation.due:
                operation.done = True
                if operation.error is None:
                    operation.finish()
                elif found := self.find(operation.resource):
                    found["properties"]["provisioningState"] = "Failed"

    def release(self) -> None:
        """Let operations that hang end, as they do in Azure sooner or later."""
        for operation in self.operations.values():
            operation.due = min(operation.due, time.monotonic())

    def visible(self, stored: Any) -> Any:
        """What a caller sees of what is stored: a copy, as it may change while it is sent."""
        seen = copy.deepcopy(stored)
        if isinstance(seen, dict):
            seen.pop("order", None)
        return seen

    def __call__(self, request: Request, fault: Fault | None) -> Answer:
        """Answer a request to Azure Resource Manager or to a registry's own front end, which speaks the same."""
        path = request.path.removeprefix("/mferp/managementfrontend").rstrip("/")
        with self.lock:
            self.settle()
            if found := re.search(r"/mfeOperations?(Status|Results)/([^/]+)$", path):
                return self.operation(found[1], found[2])
            if path.lower().endswith("/usages"):
                return Answer({"value": self.usages})
            scope = self.scope_of(path)
            if scope is None and re.search(r"/(workspaces|registries)/", path, re.I):
                raise not_found(f"The Resource '{path.partition(PROVIDER)[2].lstrip('/')}'")
            for method, pattern, function in ROUTES:
                if scope and method == request.method and (match := pattern.fullmatch(path[len(scope.id) :])):
                    answer = function(self, Call(request, fault, scope, path, match.groupdict()))
                    return Answer(self.visible(answer.content), answer.status, answer.headers)
            self.unmodelled.append(str(request))
            raise AzureError(501, "NotModelled", f"The stand-in does not model {request}.")

    def operation(self, what: str, name: str) -> Answer:
        """How a long-running operation stands."""
        operation = self.operations.get(name)
        if operation is None:
            raise not_found(f"The operation '{name}'")
        headers = {"x-ms-retry-after-ms": "20"}
        if not operation.done:
            return Answer({"status": "InProgress"}, 202 if what == "Results" else 200, headers)
        if what == "Results" and not operation.error:
            return Answer()
        if operation.error:
            return Answer({"status": "Failed", "error": operation.error}, headers=headers)
        return Answer({"status": "Succeeded"}, headers=headers)

    def checked(self, call: Call) -> Json:
        """A body that the published specification accepts."""
        version = call.request.query.get("api-version", "")
        return self.specification.check(resource_type(call.id), version, call.request.json)


def listed(arm: Arm, call: Call, items: Iterator[Json]) -> Answer:
    """A page of resources: archived ones only on request, newest first, cut off if asked."""
    view, chosen = call.request.query.get("listViewType", "ActiveOnly"), list(items)
    if view in ("EnabledOnly", "DisabledOnly"):
        chosen = [one for one in chosen if one["properties"].get("isEnabled") == (view == "EnabledOnly")]
    elif view != "All":
        chosen = [one for one in chosen if one["properties"].get("isArchived", False) == (view == "ArchivedOnly")]
    if not call.request.query.get("$orderBy", "").endswith("asc"):
        chosen.reverse()
    if tag := call.request.query.get("tag"):
        name, _, value = tag.partition("=")
        tags = [(one, one["properties"].get("tags") or {}) for one in chosen]
        chosen = [one for one, said in tags if name in said and value in ("", said[name])]
    if top := call.request.query.get("$top"):
        chosen = chosen[: int(top)]
    return Answer({"value": [arm.visible(one) for one in chosen]})


@route("GET", "")
@route("GET", "/{kind:computes|datastores}/{name}")
def get_resource(arm: Arm, call: Call) -> Answer:
    """Anything that only has to be read."""
    return Answer(arm.get(call.id))


@route("GET", "/{kind:computes|datastores}")
def list_resources(arm: Arm, call: Call) -> Answer:
    """All of a kind, or the default datastore."""
    items = arm.below(call.id)
    if call.request.query.get("isDefault") == "true":
        items = iter([one for one in items if one["properties"]["isDefault"]])
    return listed(arm, call, items)


@route("POST", "/datastores/{name}/listSecrets")
def list_secrets(arm: Arm, call: Call) -> Answer:
    """A short-lived signature for a datastore, or its key."""
    if call.request.json.get("expirableSecret"):
        return Answer({"secretsType": "Sas", "sasToken": arm.storage.signature()})
    return Answer({"secretsType": "AccountKey", "key": arm.storage.account_key})


@route("GET", f"/{{kind:{ASSETS}}}")
@route("GET", f"/{{kind:{ASSETS}}}/{{name}}/versions")
def list_assets(arm: Arm, call: Call) -> Answer:
    """The assets of a kind, or the versions of one."""
    items = list(arm.below(call.id))
    if wanted := call.request.query.get("hash"):
        items = [one for one in items if one["properties"].get("properties", {}).get("hash_sha256") == wanted]
    return listed(arm, call, iter(items))


@route("GET", f"/{{kind:{ASSETS}}}/{{name}}")
@route("GET", f"/{{kind:{ASSETS}}}/{{name}}/versions/{{version}}")
def get_asset(arm: Arm, call: Call) -> Answer:
    """An asset's container or one version of it."""
    return Answer(arm.get(call.id))


@route("DELETE", f"/{{kind:{ASSETS}}}/{{name}}/versions/{{version}}")
def delete_asset(arm: Arm, call: Call) -> Answer:
    """Delete a version."""
    arm.remove(call.id)
    return Answer(status=204)


@route("PUT", f"/{{kind:{ASSETS}}}/{{name}}")
def put_container(arm: Arm, call: Call) -> Answer:
    """Describe or archive all versions of an asset."""
    body = arm.checked(call)
    old = (arm.find(call.id) or {"properties": {}})["properties"]
    return Answer(arm.put(call.id, {"properties": {**old, **body["properties"]}}))


def put_version(arm: Arm, path: str, properties: Json) -> Json:
    """Store a version; what it consists of can never change, what is said of it can."""
    properties = {key: value for key, value in properties.items() if value is not None}
    old = arm.find(path)
    if old:
        fixed = {key: value for key, value in old["properties"].items() if key not in CHANGEABLE}
        changed = sorted(key for key, value in properties.items() if key in fixed and fixed[key] != value)
        if changed:
            kind, name, version = path.split("/")[-4], path.split("/")[-3], path.split("/")[-1]
            what = f"A {kind} asset with name '{name}' and version '{version}'"
            raise AzureError(409, "UserError", f"{what} already exists, and {', '.join(changed)} cannot be changed.")
        properties = {**old["properties"], **properties}
    defaults: Json = {"isArchived": False, "isAnonymous": False, "tags": {}, "properties": {}}
    if "/models/" in path:
        defaults |= {"flavors": {}, "modelType": "custom_model"}
    stored = arm.put(path, {"properties": {**defaults, **properties}})
    collection = path.rpartition("/versions/")[0]
    versions = [one["name"] for one in arm.below(f"{collection}/versions")]
    numbers = [int(one) for one in versions if one.isdigit()]
    said = (arm.find(collection) or {"properties": {"isArchived": False, "tags": {}, "properties": {}}})["properties"]
    said |= {"latestVersion": versions[-1], "nextVersion": str(max(numbers, default=0) + 1)}
    if "dataType" in properties:
        said["dataType"] = properties["dataType"]
    arm.put(collection, {"properties": said})
    return stored


@route("PUT", f"/{{kind:{ASSETS}}}/{{name}}/versions/{{version}}")
def put_asset(arm: Arm, call: Call) -> Answer:
    """Register a version: at once in a workspace, as a long-running operation in a registry."""
    made, properties = arm.find(call.id) is None, arm.checked(call)["properties"]
    state = {} if call.names["kind"].lower() == "data" else {"provisioningState": "Succeeded"}  # data has no state
    if call.scope.kind == "workspaces":
        group = f"subscriptions/{call.scope.subscription}/resourceGroups/{call.scope.group}"
        for name in ("dataUri", "modelUri"):  # the SDK sends the short form and reads the long one
            if re.match("azureml://(datastores|jobs)/", str(properties.get(name))):
                where = f"azureml://{group}/workspaces/{call.scope.name}/"
                properties[name] = where + properties[name].removeprefix("azureml://")
        return Answer(put_version(arm, call.id, {**properties, **state}), 201 if made else 200)
    copy_files(arm, call, properties)
    stored = put_version(arm, call.id, {**properties, **({"provisioningState": "Creating"} if made and state else {})})
    if not made:
        return Answer(stored)

    def finish() -> None:
        stored["properties"].update(state)

    return arm.begin(call, finish, Answer(arm.visible(stored), 201))


@route("POST", "/codes/{name}/versions/{version}/startPendingUpload")
@route("PUT", "/tempdatarefs/{name}/versions/{version}")
def start_upload(arm: Arm, call: Call) -> Answer:
    """A place of its own for an asset's files, with a signature to write there."""
    container = f"{call.names['name']}-{uuid.uuid4().hex[:12]}"
    uri = f"https://{call.scope.account}.blob.core.windows.net/{container}"
    arm.storage.containers.setdefault((call.scope.account, container), {})
    reference = {
        "blobUri": uri,
        "storageAccountArmId": (arm.find(call.scope.id) or {})["properties"].get("storageAccount", ""),
        "credential": {"credentialType": "SAS", "sasUri": f"{uri}?{arm.storage.signature()}"},
    }
    kind = {"pendingUploadType": "TemporaryBlobReference", "pendingUploadId": container}
    return Answer({"blobReferenceForConsumption": reference, **kind})


def copy_files(arm: Arm, call: Call, properties: Json, workspace: str = "") -> None:
    """Give a registry its own copy of the files that an asset of a workspace has."""
    for name in ("dataUri", "modelUri"):
        if str(properties.get(name)).startswith("azureml://"):
            files, container = arm.files(properties[name], workspace), f"copy-{uuid.uuid4().hex[:12]}"
            arm.storage.write(call.scope.account, container, files)
            properties[name] = f"https://{call.scope.account}.blob.core.windows.net/{container}"


@route("POST", "/import")
def import_asset(arm: Arm, call: Call) -> Answer:
    """Copy a model or another asset of a workspace into the registry."""
    said = call.request.json["properties"]
    found = re.search(r"/workspaces/([^/]+)/(\w+)/([^/]+)/versions/([^/]+)$", said["sourceAssetId"])
    source = found and next((one for one in arm.scopes if found[1] in (one.name, str(one.key))), None)
    if not found or not source:
        raise not_found(f"The asset '{said['sourceAssetId']}'")
    properties = dict(arm.get(f"{source.id}/{found[2]}/{found[3]}/versions/{found[4]}")["properties"])
    target = f"{call.scope.id}/{found[2]}/{said['destinationName']}/versions/{said['destinationVersion']}"
    if arm.find(target):
        raise AzureError(409, "UserError", f"'{target.rpartition('registries/')[2]}' already exists in the registry.")

    def finish() -> None:
        copy_files(arm, call, properties, source.id)
        put_version(arm, target, properties)

    return arm.begin(Call(call.request, call.fault, call.scope, target, {}), finish, Answer(status=202))


@route("POST", "/datarefs/{name}/versions/{version}")
def refer_to_data(arm: Arm, call: Call) -> Answer:
    """A signature to read an asset of the registry."""
    uri = call.request.json["blobUri"].partition("?")[0]
    credential = {"credentialType": "SAS", "sasUri": f"{uri}?{arm.storage.signature()}"}
    return Answer({"blobReferenceForConsumption": {"blobUri": uri, "credential": credential}})
