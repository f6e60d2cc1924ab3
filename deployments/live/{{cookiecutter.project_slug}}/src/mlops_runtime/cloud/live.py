"""A live endpoint on Azure: its state, its traffic, and how many instances its deployments have."""

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

from mlops_runtime import cloud, naming
from mlops_runtime.cloud.errors import explained
from mlops_runtime.cloud.releases import DIGEST, LONGEST_SECONDS, REFUSED, ROLLOUT, Endpoint, never_ends
from mlops_runtime.config import Config
from mlops_runtime.rollout import IN_PROGRESS, Deployed, State

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

POLLS = (1, 2, 4, 8, 15)  # seconds between looks at a deployment; the last one is repeated
EARLY = 300  # seconds before its end in which a token is asked for again
MANAGEMENT = "https://management.azure.com"
AUTOSCALE = "Microsoft.Insights/autoscaleSettings"
IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"


def identity(settings: Config) -> dict[str, Any]:
    """The identity that infrastructure/ makes for the containers of an environment and gives their roles.

    Dotted keys of endpoint.yml and their values.
    """
    place = settings.registry
    environment = "prod" if settings.infrastructure.workspaces == "one" else settings.environment
    name = naming.names(settings.root, environment, settings.project.name, "", {})["endpoint_identity"]
    group = f"/subscriptions/{place.subscription}/resourceGroups/{place.resource_group}"
    which = [{"resource_id": f"{group}/providers/{IDENTITIES}/{name}"}]
    return {"identity.type": "user_assigned", "identity.user_assigned_identities": which}


class Live(Endpoint):
    """The endpoint that config names."""

    def __init__(self, settings: Config, client: "MLClient") -> None:
        super().__init__(settings, client.online_endpoints, client.online_deployments)
        if not any(key.startswith("identity.") for key in self.changes):
            self.changes |= identity(settings)
        self.uri = ""
        self._token, self._until = "", 0.0
        self._asking = threading.Lock()

    def state(self) -> State:
        """What is there now."""
        entity = self.read()
        if entity is None:
            return State()
        self.uri = str(entity.scoring_uri)
        with explained(f"To look at the deployments of {self.name}"):
            found = list(self.deployments.list(self.name))
        return State(
            {name: int(share) for name, share in (entity.traffic or {}).items() if share},
            {one.name: Deployed((one.tags or {}).get(DIGEST, ""), cloud.word(one.provisioning_state)) for one in found},
            str((entity.tags or {}).get(ROLLOUT, "")),
            str((entity.tags or {}).get(REFUSED, "")),
        )

    def token(self) -> str:
        """What lets requests in, as the endpoint's auth_mode wants it; kept, as to get one can take seconds."""
        with self._asking:
            if time.time() >= self._until:
                with explained(f"To sign in to the endpoint {self.name}"):
                    given = self.operations.get_keys(self.name)
                self._token = str(getattr(given, "access_token", None) or given.primary_key)
                self._until = float(getattr(given, "expiry_time_utc", None) or "inf") - EARLY
            return self._token

    def shift(
        self, traffic: dict[str, int], *, mirror: dict[str, int] | None = None, end: bool = False, refused: str = ""
    ) -> None:
        """Share the requests like this and copy some as `mirror` says; `end` and `refused` as for `change`."""

        def edit(entity: Any) -> None:
            entity.traffic = dict(traffic)
            entity.mirror_traffic = dict(mirror or {})

        self.change(edit, end=end, refused=refused)

    def wait(self, name: str) -> str:
        """Wait until Azure has finished with a deployment; its state then. Problem when it does not finish."""
        ends = time.monotonic() + LONGEST_SECONDS
        for pause in itertools.chain(POLLS, itertools.repeat(POLLS[-1])):
            state = self.provisioning(name)
            if state not in IN_PROGRESS:
                return state
            if time.monotonic() > ends:
                break
            time.sleep(pause)
        raise never_ends()

    def provisioning(self, name: str) -> str:
        """Azure's word for a deployment's state."""
        with explained(f"To look at the deployment {name}"):
            return cloud.word(self.deployments.get(name, self.name).provisioning_state)

    def scale(self, name: str, least: int, most: int, cpu_percent: int) -> None:
        """Let Azure Monitor add instances above this load and take them away below half of it."""
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
        from azure.core.rest import HttpRequest

        place = self.settings.azure
        group = f"/subscriptions/{place.subscription}/resourceGroups/{place.resource_group}/providers"
        workspace = f"{group}/Microsoft.MachineLearningServices/workspaces/{place.workspace}"
        target = f"{workspace}/onlineEndpoints/{self.name}/deployments/{name}"

        def rule(operator: str, limit: float, direction: str) -> dict[str, Any]:
            trigger = {"metricName": "CpuUtilizationPercentage", "metricResourceUri": target, "timeGrain": "PT1M"}
            trigger |= {"statistic": "Average", "timeWindow": "PT5M", "timeAggregation": "Average"}
            action = {"direction": direction, "type": "ChangeCount", "value": "1", "cooldown": "PT5M"}
            return {"metricTrigger": {**trigger, "operator": operator, "threshold": limit}, "scaleAction": action}

        capacity = {"minimum": str(least), "maximum": str(most), "default": str(least)}
        rules = [rule("GreaterThan", cpu_percent, "Increase"), rule("LessThan", cpu_percent / 2, "Decrease")]
        profiles = [{"name": "load", "capacity": capacity, "rules": rules}]
        properties = {"enabled": True, "targetResourceUri": target, "profiles": profiles}
        url = f"{MANAGEMENT}{group}/{AUTOSCALE}/{self.name}-{name}?api-version=2022-10-01"
        policies = [RetryPolicy(), BearerTokenCredentialPolicy(cloud.credential(), f"{MANAGEMENT}/.default")]
        request = HttpRequest("PUT", url, json={"location": place.location, "properties": properties})
        client: Any = PipelineClient(MANAGEMENT, policies=policies)
        with explained(f"To let {name} have more instances"), client:
            client.send_request(request).raise_for_status()
