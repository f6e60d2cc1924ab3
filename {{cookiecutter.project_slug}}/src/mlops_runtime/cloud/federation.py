"""Sign-in of pipelines without a secret, for as long as they wait: the CI system vouches for the job each time."""

import json
import os
from typing import Any
from urllib.error import URLError
from urllib.request import Request

from mlops_runtime import web
from mlops_runtime.errors import Problem

AUDIENCE = "api://AzureADTokenExchange"
GITHUB = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")  # in jobs with the permission id-token
AZURE_PIPELINES = "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"  # in the tasks that sign in by a service connection
GITLAB = "AZURE_ID_TOKEN"  # of `id_tokens`: valid until the job's timeout
SECONDS = 30


def credential() -> Any:
    """The credential of this job; None where no CI system offers one that lasts."""
    told = os.environ
    if AZURE_PIPELINES in told and "SYSTEM_OIDCREQUESTURI" in told and "SYSTEM_ACCESSTOKEN" in told:
        from azure.identity import AzurePipelinesCredential

        return AzurePipelinesCredential(
            tenant_id=told["AZURESUBSCRIPTION_TENANT_ID"],
            client_id=told["AZURESUBSCRIPTION_CLIENT_ID"],
            service_connection_id=told[AZURE_PIPELINES],
            system_access_token=told["SYSTEM_ACCESSTOKEN"],
        )
    ways = {_of_github: all(name in told for name in GITHUB), _of_gitlab: GITLAB in told}
    asserted = next((way for way, there in ways.items() if there), None)
    if asserted is None or not told.get("AZURE_CLIENT_ID") or not told.get("AZURE_TENANT_ID"):
        return None
    from azure.identity import ClientAssertionCredential

    return ClientAssertionCredential(told["AZURE_TENANT_ID"], told["AZURE_CLIENT_ID"], asserted)


def _of_github() -> str:
    """A new token of this job, which is good for some minutes."""
    url, permission = (os.environ[name] for name in GITHUB)
    request = Request(f"{url}&audience={AUDIENCE}", headers={"Authorization": f"Bearer {permission}"})
    try:
        with web.ask(request, SECONDS) as answer:
            return str(json.load(answer)["value"])
    except URLError as error:
        raise Problem(f"GitHub gives this job no token: {error.reason}. It needs the permission id-token.") from None


def _of_gitlab() -> str:
    return os.environ[GITLAB]
