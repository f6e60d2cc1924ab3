"""What Azure says of a failure leads to what helps against it."""

import pytest
from mlops_runtime.cloud.errors import advice

SAID = {
    "OutOfQuota: Not enough quota available for Standard_F4s_v2 in SubscriptionId.": "more quota",
    "ImageBuildFailure: Environment image build failed.": "correct pyproject.toml",
    "ResourceNotReady: User container has crashed or terminated.": "container did not start",
    "DeploymentCrashLoopBackOff: The container exits again and again.": "container did not start",
    "UserScriptInitFailed: The init function in the script raised an exception.": "container did not start",
    "PodUnschedulable: 0/3 nodes are available: 3 Insufficient cpu.": "cluster has no room",
    "ImagePullLoopBackOff: Failed to pull image from the registry.": "AcrPull",
    "WorkspaceManagedNetworkNotReady: The managed network is not ready.": "provision-network",
    "EndpointAlreadyExists: The name is used.": "deployment.endpoint.name",
    "HttpResponseError AuthorizationFailed: does not have authorization": "rbac.yml",
    "ClientAuthenticationError: DefaultAzureCredential failed": "az login",
    "Conflict: already running method": "wait until it has ended",
    "TooManyRequests: The request is being throttled.": "fewer requests",
    "Something that nobody has met yet": "",
}


@pytest.mark.parametrize("said", SAID)
def test_advice(said: str) -> None:
    helps = advice(said)
    assert SAID[said] in helps
    assert bool(helps) == bool(SAID[said])
