"""Terraform for the bootstrap: where its state is kept, and who may write which part of it."""

import uuid
from pathlib import Path
from typing import Any

from mlops_runtime import infrastructure
from mlops_runtime.bootstrap import azure
from mlops_runtime.bootstrap.context import PLAN, SHARED, Context
from mlops_runtime.bootstrap.steps import STALE, Facts, Refused, Step
from mlops_runtime.bootstrap.tools import az, found

ROLES: list[dict[str, Any]] = []  # Terraform needs none besides those of every tool
BACKEND = Path(infrastructure.FOLDER, "backend.tf")
SHORT = 10  # characters of the project's name in that of the account, of which 24 are allowed
ACCOUNT, FILE = "state/account", "state/backend.tf"
STATE_ROLE = {"role": "Storage Blob Data Contributor", "id": "ba92f5b4-2d11-453d-a403-e96b0029c9fe"}
STATE_READER = {"role": "Storage Blob Data Reader", "id": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"}
SECURE = (
    *("--kind", "StorageV2", "--sku", "Standard_ZRS", "--min-tls-version", "TLS1_2", "--https-only", "true"),
    *("--allow-blob-public-access", "false", "--allow-shared-key-access", "false"),
)
KEPT_DAYS = 90
KEEP = ("--enable-versioning", "true", "--enable-delete-retention", "true", "--delete-retention-days", str(KEPT_DAYS))
TEXT = """\
# Where Terraform keeps its state, locked while it is written; `mlops bootstrap` wrote this. Each environment has a
# container of its own: terraform -chdir=infrastructure init -reconfigure -backend-config=container_name=dev
terraform {{
  backend "azurerm" {{
    use_azuread_auth     = true
    storage_account_name = "{account}"
    key                  = "terraform.tfstate"
  }}
}}
"""


def caller_role(subscription: str, resource_group: str) -> str:
    """The id that access.tf gives to the custom role Endpoint Caller."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"/subscriptions/{subscription}/{resource_group}/Endpoint Caller"))


def steps(context: Context) -> list[Step]:
    """An account for the state, a container of it for each environment and its pipelines, and the file that says so."""
    suffix = context.shared.infrastructure.name_suffix or context.suffix()
    account = f"tf{context.project.replace('-', '')[:SHORT]}{suffix}"
    made = [_account(context, account), _retention(context, account)]
    for environment in context.environments:
        container = _container(context, account, environment)
        made.append(container)
        scope = (
            f"{context.scope(SHARED)}/providers/Microsoft.Storage/storageAccounts/{account}"
            f"/blobServices/default/containers/{environment}"
        )
        line = {**STATE_ROLE, "at": scope, "reason": "writes the state of this environment"}
        made.append(azure.right(context, environment, line, None, container.name))
        line = {**STATE_READER, "at": scope, "reason": "compares this environment with config"}
        made.append(azure.right(context, PLAN, line, None, container.name))
    return [*made, _backend(context, account)]


def _where(context: Context) -> tuple[str, ...]:
    return ("--resource-group", context.shared.registry.resource_group, "--subscription", context.subscription(SHARED))


def _account(context: Context, account: str) -> Step:
    where = _where(context)

    def find() -> Facts | None:
        there = found(az, "storage", "account", "show", "--name", account, *where)
        return {"id": there["id"]} if there else None

    def make() -> Facts:
        place = ("--name", account, *where, "--location", context.shared.registry.location)
        return {"id": az("storage", "account", "create", *place, *SECURE)["id"]}

    def undo(_: Facts) -> None:
        az("storage", "account", "delete", "--name", account, *where, "--yes")

    what = f"storage account {account} for Terraform's state"
    needs = (f"resource-group/{SHARED}",)
    return Step(ACCOUNT, what, find, make, undo, needs, "Contributor on the resource group", own=True)


def _retention(context: Context, account: str) -> Step:
    call = ("storage", "account", "blob-service-properties")
    where = ("--account-name", account, *_where(context))

    def find() -> Facts | None:
        there = az(*call, "show", *where)
        kept = there["isVersioningEnabled"] and there["deleteRetentionPolicy"]["enabled"]
        return {"days": KEPT_DAYS} if kept else None

    def make() -> Facts:
        az(*call, "update", *where, *KEEP)
        return {"days": KEPT_DAYS}

    def undo(_: Facts) -> None:
        """Nothing: it goes with the account."""

    what = f"versions of the state, kept for {KEPT_DAYS} days"
    return Step("state/retention", what, find, make, undo, (ACCOUNT,), "Contributor on the resource group")


def _container(context: Context, account: str, environment: str) -> Step:
    place = ("--name", environment, "--storage-account", account, *_where(context))

    def find() -> Facts | None:
        there = found(az, "storage", "container-rm", "show", *place)
        return {"id": there["id"]} if there else None

    def make() -> Facts:
        return {"id": az("storage", "container-rm", "create", *place)["id"]}

    def undo(_: Facts) -> None:
        group = ("--resource-group", context.place(environment).resource_group)
        held = found(az, "resource", "list", *group, "--subscription", context.subscription(environment)) or []
        others = [one for one in held if not one["id"].endswith(f"/storageAccounts/{account}")]
        if others:
            raise Refused(f"{environment} has {len(others)} resources that Terraform knows by it: destroy them first")
        az("storage", "container-rm", "delete", *place, "--yes")

    what = f"container {environment} in it, for the state of {environment}"
    return Step(f"state/{environment}", what, find, make, undo, (ACCOUNT,), "Contributor on the resource group")


def _backend(context: Context, account: str) -> Step:
    file, text = context.root / BACKEND, TEXT.format(account=account)

    def find() -> Facts | None:
        if not file.is_file():
            return None
        return {"account": account, STALE: context.record.knows(FILE) and file.read_text(encoding="utf-8") != text}

    def make() -> Facts:
        file.write_text(text, encoding="utf-8", newline="\n")
        return {"account": account}

    def undo(_: Facts) -> None:
        file.unlink(missing_ok=True)

    return Step(FILE, f"{BACKEND.as_posix()}, which tells Terraform", find, make, undo, (ACCOUNT,))
