"""Faults as data: which requests go wrong, when, and how.

Examples, each handed to `cloud.faults.add`:
- `Fault("PUT", "/deployments/green$", status=429, headers={"Retry-After": "1"}, times=2)`
- `container_crash("green")`: accepted, then provisioning ends in Failed
- `Fault("PUT", "/deployments/green$", ends="Never")`: accepted, then it hangs
- `Fault("PUT", "/jobs/", drop="after")`: took effect, but nobody was told
- `Fault("PUT", "/onlineEndpoints/[^/]+$", then=kill)`: took effect, then the caller died

azure-core itself repeats a request three times after 408, 429, 500, 502, 503 and 504, and unless it is a POST also
after a broken connection; it waits 0, 1.6 and 3.2 s, or as long as Retry-After says. With `times=0` a fault never ends.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal

from .wire import Answer, AzureError, Request

MESSAGES = {  # what Azure says when a test does not say it itself
    401: ("ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than current UTC time."),
    403: ("AuthorizationFailed", "The client does not have authorization to perform this action over this scope."),
    409: ("Conflict", "Resource is being modified by another operation. Try again later."),
    412: ("PreconditionFailed", "The condition set in the request's header was not met."),
    429: ("TooManyRequests", "The request is being throttled. Retry later."),
    500: ("InternalServerError", "An internal server error occurred. Please try again."),
    503: ("ServiceUnavailable", "The server is currently unavailable. Please retry later."),
}


class Dropped(Exception):
    """The connection breaks without an answer."""


@dataclass
class Fault:
    """Break the `nth` request that matches, and the `times` - 1 after it; never stop if `times` is 0."""

    method: str  # a regular expression: "PUT|PATCH"
    path: str  # a regular expression, searched in host and path
    status: int | None = None  # answer with this error instead
    code: str = ""
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0  # answer this many seconds later
    drop: Literal["before", "after"] | None = None  # break the connection before or after the request took effect
    ends: Literal["Failed", "Never"] | None = None  # how the long-running operation that it starts will end
    then: Callable[[Request], object] | None = None  # called once the request took effect, before it is answered
    nth: int = 1
    times: int = 1
    seen: int = field(default=0, init=False)

    def hit(self, request: Request) -> bool:
        """Count a matching request; is it one to break?"""
        if not re.fullmatch(self.method, request.method) or not re.search(self.path, request.host + request.path):
            return False
        self.seen += 1
        return self.seen >= self.nth and (not self.times or self.seen < self.nth + self.times)


class Faults:
    """The rules of one test."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []
        self.lock = Lock()

    def add(self, *rules: Fault) -> None:
        """From now on."""
        self.rules.extend(rules)

    def apply(self, request: Request, answer: Callable[[Fault | None], Answer]) -> Answer:
        """The answer to a request after the first rule that hits it had its way."""
        with self.lock:
            rule = next((one for one in self.rules if one.hit(request)), None)
        if rule is None:
            return answer(None)
        if rule.delay:
            time.sleep(rule.delay)
        if rule.drop == "before":
            raise Dropped
        if rule.status is not None:
            code, message = MESSAGES.get(rule.status, ("UserError", "The request failed."))
            headers = dict(rule.headers)
            if rule.status == 401:
                headers.setdefault("WWW-Authenticate", 'Bearer error="invalid_token"')
            return AzureError(rule.status, rule.code or code, rule.message or message, headers).answer
        given = answer(rule)
        if rule.then:
            rule.then(request)
        if rule.drop == "after":
            raise Dropped
        return given


def no_quota(deployment: str) -> Fault:
    """A managed deployment is refused at once, for want of cores."""
    message = (
        "The request is invalid. Exception Details: (InferencingClientCreateDeploymentFailed) InferencingClient "
        'HttpRequest error, error detail: {"errors":{"VmSize":["Not enough quota available for Standard_DS3_v2. '
        "Current usage/limit: 0/6. Additional needed: 8 Please see troubleshooting guide, available here: "
        'https://aka.ms/oe-tsg#error-outofquota"]},"title":"One or more validation errors occurred.","status":400}'
    )
    return Fault("PUT", f"/deployments/{deployment}$", status=400, code="BadRequest", message=message)


def unschedulable(deployment: str) -> Fault:
    """A Kubernetes deployment is accepted, but no node has room for it."""
    message = "Kubernetes unschedulable. Details:0/1 nodes are available: 1 Too many pods."
    return Fault("PUT", f"/deployments/{deployment}$", ends="Failed", code="OutOfQuota", message=message)


def image_build_failure(deployment: str) -> Fault:
    """The image of a deployment cannot be built."""
    message = (
        "Environment Image Build Failed. Check the build log under the storage account 'stdev' in the container "
        "'azureml' at the path 'ExperimentRun/dcid.imgbldrun_0/20_image_build_log.txt'. Please see troubleshooting "
        "guide, available here: https://aka.ms/oe-tsg#error-imagebuildfailure"
    )
    return Fault("PUT", f"/deployments/{deployment}$", ends="Failed", code="ImageBuildFailure", message=message)


def container_crash(deployment: str) -> Fault:
    """The container of a deployment starts and dies."""
    message = (
        "User container has crashed or terminated. Please see troubleshooting guide, available here: "
        "https://aka.ms/oe-tsg#error-resourcenotready"
    )
    return Fault("PUT", f"/deployments/{deployment}$", ends="Failed", code="ResourceNotReady", message=message)
