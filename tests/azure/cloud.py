"""A stand-in for Azure on loopback, for the real azure-ai-ml SDK, azure-identity and MLflow, unpatched.

A test gets one as the fixture `cloud`, with workspaces dev, staging and prod and a registry, and uses
- `cloud.environment()`: what a subprocess needs to take this for Azure (`server.py` says how)
- `cloud.get("dev", "/onlineEndpoints/x")`: what is there; `cloud.arm.files(uri)`: the bytes of an asset or output
- `cloud.requests("PUT", "/jobs/")`: what was asked
- `cloud.faults.add(…)` (`faults.py`), `cloud.jobs.plan(JobScript(…))`, `cloud.scoring.behave(…)`: what is to happen
- `cloud.arm.direct_scoring = True`: managed endpoints get a plain address on loopback, for clients that ignore proxies
- `cloud.arm.add_compute(…)`, `cloud.arm.add_datastore(…)`, `cloud.add_model(…)`: what is there at first

What it is held to: bodies follow Azure's published specification (`specification.py`); what no route answers is a 501
(`Arm.unmodelled`); every host but Azure's is refused (`Server.strays`).

What it does not model: no role is checked (who is signed in may do anything, who is not may do nothing); images are not
built, code is not run and computes do not start: a job ends as its script says, a deployment answers as its behaviour
says. Quotas, build failures and crashes happen only as faults. Bodies of POST actions are not checked, nor are the
steps inside a pipeline and what a component says, which the specification leaves open. Data Lake storage (`dfs`),
networks, diagnostics, cost and policy do not exist; of managed identities only which ones there are
(`cloud.arm.identities`). Time passes quickly: an operation takes `seconds`.
"""

import base64
import json
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from . import endpoints, insights, jobs, mlflow
from .arm import DATA_PLANE, MANAGEMENT, REGION, REGISTRY_PLANE, Arm, Scope, put_version
from .faults import Fault, Faults
from .server import Server
from .storage import Storage
from .wire import Answer, AzureError, Json, Request

TENANT = "00000000-0000-0000-0000-00000000000a"
CLIENT = "00000000-0000-0000-0000-00000000000b"
CLOUD = {  # what Azure says of itself to who asks before signing in
    "name": "AzureCloud",
    "portal": "https://portal.azure.com",
    "authentication": {
        "loginEndpoint": "https://login.microsoftonline.com/",
        "audiences": ["https://management.azure.com/"],
    },
    "resourceManager": "https://management.azure.com/",
    "suffixes": {"storage": "core.windows.net", "keyVaultDns": "vault.azure.net", "acrLoginServer": "azurecr.io"},
}
AUDIENCES = {MANAGEMENT: {"https://management.azure.com", "https://management.core.windows.net"}}
SERVICES = {"https://ml.azure.com", *AUDIENCES[MANAGEMENT]}


def token(audience: str, seconds: int = 3600) -> str:
    """An unsigned token with the claims that the SDK looks at."""
    claims: Json = {"aud": audience, "tid": TENANT, "oid": CLIENT, "appid": CLIENT, "name": "loopback"}
    claims |= {"exp": int(time.time()) + seconds, "jti": uuid.uuid4().hex}
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "loopback"])


def claims_of(given: str) -> Json:
    """What a token says, or nothing if it is none of ours."""
    parts = given.split(".")
    if len(parts) != 3 or parts[2] != "loopback":
        return {}
    return dict(json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))))


def demand_token(request: Request, audiences: set[str]) -> None:
    """Refuse who is not signed in for this service."""
    claims = claims_of(request.token)
    challenge = {"WWW-Authenticate": f'Bearer authorization_uri="https://login.microsoftonline.com/{TENANT}"'}
    if not claims:
        raise AzureError(401, "AuthenticationFailed", "The 'Authorization' header is missing or invalid.", challenge)
    if claims["exp"] < time.time():
        raise AzureError(401, "ExpiredAuthenticationToken", "The access token has expired.", challenge)
    if str(claims["aud"]).rstrip("/") not in audiences:
        raise AzureError(401, "InvalidAuthenticationTokenAudience", f"Not for '{claims['aud']}'.", challenge)


class Cloud:
    """Everything there is, behind one port."""

    def __init__(
        self,
        folder: Path,
        workspaces: tuple[str | Scope, ...] = ("dev", "staging", "prod"),
        registry: str | Scope = "registry",
        *,
        seconds: float = 0.02,
    ) -> None:
        self.scopes = [Scope(one) if isinstance(one, str) else one for one in workspaces]
        self.registry = Scope(registry, "registries") if isinstance(registry, str) else registry
        self.storage = Storage()
        self.arm = Arm(self.storage, [*self.scopes, self.registry], seconds)
        self.autoscale = insights.Autoscale(self.arm)
        self.monitor = insights.Monitor()
        self.images: dict[str, Json] = {}  # what Azure ML Studio says of the image of an environment, by its reference
        self.jobs = jobs.Jobs(self.arm)
        self.server = Server(folder)
        self.arm.direct_address = f"http://127.0.0.1:{self.server.port}"
        self.scoring = endpoints.Scoring(self.arm, demand_token)
        self.mlflow = mlflow.MLflow(self.arm)
        self.federated_token = folder / "federated-token"
        self.federated_token.write_text(token("api://AzureADTokenExchange"))
        inference = re.escape(f".{REGION}.inference.ml.azure.com")
        self.server.serve(re.escape(MANAGEMENT), self.manage)
        self.server.serve(re.escape("login.microsoftonline.com"), self.sign_in)
        schemas = r"azuremlschemas(prod)?\.azureedge\.net"  # without an answer the SDK asks again for seconds
        self.server.serve(schemas, lambda *_: Answer({}))
        self.server.serve(re.escape("api.loganalytics.azure.com"), self.monitor.logs)
        self.server.serve(re.escape("ml.azure.com"), self.studio)
        self.server.serve(r"[a-z0-9]{3,24}\.blob\.core\.windows\.net", self.blobs)
        self.server.serve(rf"(\w+|{REGION})\.api\.azureml\.ms|{re.escape(REGISTRY_PLANE)}", self.data_plane)
        self.server.serve(rf"[\w-]+{inference}|127\.0\.0\.1|localhost", self.scoring)

    @property
    def faults(self) -> Faults:
        """What is to go wrong."""
        return self.server.faults

    @property
    def log(self) -> list[Request]:
        """Everything that arrived, oldest first."""
        return self.server.log

    def requests(self, method: str = ".*", path: str = "") -> list[Request]:
        """What arrived with this method (a regular expression) and this in its host and path."""
        return [one for one in self.log if re.fullmatch(method, one.method) and re.search(path, one.host + one.path)]

    def workspace(self, name: str) -> Scope:
        """A workspace by name."""
        return next(one for one in self.scopes if one.name == name)

    def get(self, where: str, path: str = "") -> Json:
        """What is at a path, such as `/onlineEndpoints/x`, of a workspace or the registry; AzureError if nothing is."""
        scope = self.registry if where == self.registry.name else self.workspace(where)
        with self.arm.lock:
            self.arm.settle()
            return dict(self.arm.visible(self.arm.get(scope.id + path)))

    def add_model(self, workspace: str, name: str, files: dict[str, bytes], job: str = "", **said: Any) -> Json:
        """Register the next version of a model, as a job would; `said` is its tags, properties, description …"""
        scope, run = self.workspace(workspace), job or str(uuid.uuid4())
        folder = f"ExperimentRun/dcid.{run}/model"
        self.storage.write(scope.account, "azureml", {f"{folder}/{path}": content for path, content in files.items()})
        group = f"subscriptions/{scope.subscription}/resourceGroups/{scope.group}"
        uri = f"azureml://{group}/workspaces/{scope.name}/datastores/workspaceartifactstore/paths/{folder}"
        container = self.arm.find(f"{scope.id}/models/{name}") or {"properties": {"nextVersion": "1"}}
        path = f"{scope.id}/models/{name}/versions/{container['properties']['nextVersion']}"
        return put_version(self.arm, path, {"modelUri": uri, "modelType": "mlflow_model", "jobName": run, **said})

    def environment(self) -> dict[str, str]:
        """What makes a process take this for Azure."""
        proxy, certificate = f"http://127.0.0.1:{self.server.port}", str(self.server.certificate)
        none = "127.0.0.1,localhost"
        return {
            **dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), proxy),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), none),
            "REQUESTS_CA_BUNDLE": certificate,
            "SSL_CERT_FILE": certificate,
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_FEDERATED_TOKEN_FILE": str(self.federated_token),
        }

    def stop(self) -> None:
        """Stop listening."""
        self.server.stop()

    def manage(self, request: Request, fault: Fault | None) -> Answer:
        """Azure Resource Manager."""
        if request.path == "/metadata/endpoints":
            return Answer([CLOUD])
        demand_token(request, AUDIENCES[MANAGEMENT])
        if self.monitor.knows(request.path):
            return self.monitor.manage(request)
        return self.autoscale(request) if insights.PROVIDER in request.path else self.arm(request, fault)

    def studio(self, request: Request, _: Fault | None) -> Answer:
        """What Azure ML Studio asks about the image that was built of an environment."""
        demand_token(request, AUDIENCES[MANAGEMENT])
        if found := re.fullmatch(
            r"/api/\w+/environment/v1\.0/.*/environments/([^/]+)/versions/([^/]+)/image", request.path
        ):
            reference = f"azureml:{found[1]}:{found[2]}"
        else:
            assert request.path == f"/api/{REGION}/environment/v1.0/consume/imageDetails", request.path
            reference = request.json["assetId"]
        if reference not in self.images:
            return Answer({"imageExistsInRegistry": False, "dockerImage": None})
        return Answer({"imageExistsInRegistry": True, "dockerImage": self.images[reference]})

    def blobs(self, request: Request, fault: Fault | None) -> Answer:
        """Azure Storage: opened by a signature, or by a token for storage."""
        if not self.storage.opened_by(request):
            demand_token(request, {"https://storage.azure.com"})
        return self.storage(request, fault)

    def sign_in(self, request: Request, _: Fault | None) -> Answer:
        """Entra: the addresses of its endpoints, and a token for whoever brings the federated one."""
        root = f"https://login.microsoftonline.com/{TENANT}"
        if request.path.endswith("/.well-known/openid-configuration"):
            issuer = {"issuer": f"{root}/v2.0", "authorization_endpoint": f"{root}/oauth2/v2.0/authorize"}
            return Answer({**issuer, "token_endpoint": f"{root}/oauth2/v2.0/token"})
        if request.path.endswith("/discovery/instance"):
            return Answer(
                {"tenant_discovery_endpoint": f"{root}/v2.0/.well-known/openid-configuration", "metadata": []}
            )
        form = dict(parse_qsl(request.body.decode()))
        if form.get("client_assertion") != self.federated_token.read_text():
            return Answer(
                {"error": "invalid_client", "error_description": "AADSTS700024: assertion is not valid."}, 401
            )
        audience = form["scope"].split()[0].removesuffix("/.default")
        return Answer({"token_type": "Bearer", "expires_in": 3600, "access_token": token(audience)})

    def data_plane(self, request: Request, fault: Fault | None) -> Answer:
        """The workspace's and the registry's own services."""
        path = request.path
        if path.startswith("/discovery"):
            return Answer(
                dict.fromkeys(("api", "history", "experimentation", "modelmanagement"), f"https://{DATA_PLANE}")
            )
        demand_token(request, SERVICES)
        if found := re.fullmatch(r"/registrymanagement/v1\.0/registries/([^/]+)/discovery", path):
            if found[1].lower() != self.registry.name.lower():
                raise AzureError(404, "RegistryNotFound", f"Registry {found[1]} was not found.")
            return Answer(
                {
                    "registryName": self.registry.name,
                    "primaryRegion": REGION,
                    "regions": [REGION],
                    "subscriptionId": self.registry.subscription,
                    "resourceGroup": self.registry.group,
                    "primaryRegionResourceProviderUri": f"https://{REGISTRY_PLANE}/",
                    "registryFqdns": {REGION: {"uri": f"https://{REGISTRY_PLANE}/"}},
                }
            )
        if path.startswith("/mferp/managementfrontend/"):
            return self.arm(request, fault)
        if path.startswith("/mlflow/"):
            return self.mlflow(request, fault)
        return self.jobs(request, fault)


@contextmanager
def running(folder: Path, *workspaces: str | Scope) -> Iterator[Cloud]:
    """A cloud that stops when the block ends."""
    cloud = Cloud(folder, workspaces or ("dev", "staging", "prod"))
    try:
        yield cloud
    finally:
        cloud.stop()
