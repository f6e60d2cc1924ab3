"""What went wrong on Azure, for people: the service's own words and what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from mlops_runtime.errors import Problem, Refusal

# In the order in which they are tried: what the service says, and what helps.
ADVICE = {
    r"credential|AADSTS|InvalidAuthenticationToken|Unauthorized|\b401\b|expired": (
        "sign in with `az login`; a CI pipeline signs in through its federated credential"
    ),
    r"AuthorizationFailed|Forbidden|\b403\b": (
        "the identity lacks a role there: infrastructure/rbac.yml says who has which, and a new role takes minutes"
    ),
    r"userAssignedIdentities|FailedIdentityOperation": (
        "apply infrastructure/ for `shared`, which makes the identities; or write your own, or "
        "{type: system_assigned}, as deployment.endpoint.identity in config"
    ),
    r"quota|OutOfCapacity|SkuNotAvailable|not enough .*(?:cores|capacity)": (
        "ask for more quota, or choose another instance type or fewer instances in config"
    ),
    r"PodUnschedulable|Unschedulable|Insufficient (?:cpu|memory|nvidia)": (
        "the cluster has no room: free some, add nodes, or ask for less in mlops/azureml/deploy or in config"
    ),
    r"ImagePull|ACRSecretError|pull(?:ing)? (?:the )?image": (
        "the image cannot be fetched: the endpoint's identity needs the role AcrPull on the container registry"
    ),
    r"ManagedNetworkNotReady": "provision the workspace's managed network first: `az ml workspace provision-network`",
    r"EndpointAlreadyExists|name .*(?:already (?:in use|taken)|not available)": (
        "the endpoint's name is taken in the region: choose another under deployment.endpoint.name in config"
    ),
    r"ImageBuild|image build|conda.*(?:fail|error)|EnvironmentBuild": (
        "the image could not be built: read the build log in the workspace's environment, and correct pyproject.toml"
    ),
    r"crash|ResourceNotReady|liveness|readiness|UserScript|OutOfMemory|OOMKilled|score\.py|init\(\)": (
        "the container did not start: its log is with this message; `mlops serve` runs the same script on this machine"
    ),
    r"Conflict|\b409\b|another operation|being (?:updated|deleted)": (
        "another operation is under way there: wait until it has ended and run the command again"
    ),
    r"ParentResourceNotFound|ResourceNotFound|WorkspaceNotFound|NotFound|\b404\b|does not exist": (
        "check the names under azure:, registry: and compute: in config; what they name has to be there"
    ),
    r"Too ?Many ?Requests|\b429\b|Throttl": "Azure wants fewer requests: wait some minutes, then run the command again",
    r"connect|timed? ?out|Name or service|resolve|Connection|ServiceUnavailable|\b50[0-9]\b": (
        "Azure cannot be reached or does not answer: check the network, then run the command again; it goes on "
        "where it was"
    ),
}
LONGEST = 600  # characters of the service's message


def advice(message: str) -> str:
    """What helps against an error with this message; empty when nothing is known."""
    return next((text for pattern, text in ADVICE.items() if re.search(pattern, message, re.IGNORECASE)), "")


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what the SDK raises into a Problem: what was being done, what Azure said, what helps."""
    try:
        yield
    except (Problem, Refusal):
        raise
    except Exception as error:  # the SDK raises many unrelated types
        told = _message(error)
        helps = advice(f"{type(error).__name__} {told}")
        raise Problem(f"{doing} failed: {told.rstrip('.')}.{f' What to do: {helps}.' if helps else ''}") from error


def _message(error: Exception) -> str:
    """One line of what an exception says, without request ids; the service's code in front where it is known."""
    inner = getattr(error, "error", None)
    text = getattr(inner, "message", None) or getattr(error, "message", None) or str(error) or type(error).__name__
    code = getattr(inner, "code", None)
    line = " ".join(str(text).split())
    return (f"{code}: {line}" if code and str(code) not in line else line)[:LONGEST]
