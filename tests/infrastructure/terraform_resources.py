"""What Terraform's resources are in Azure Resource Manager's words, as far as the tests compare them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from . import expected
from .terraform import Made

Body = dict[str, Any]
Part = tuple[str, str, Body]  # type, name, properties
Values = dict[str, Any]

ACCOUNT = re.compile(r"/(?:storageAccounts|azurerm_storage_account)/([^/]+)")


def last(id_: str) -> str:
    """The name at the end of an id."""
    return id_.rsplit("/", 1)[-1]


def access(values: Values) -> str:
    """publicNetworkAccess."""
    return "Enabled" if values["public_network_access_enabled"] else "Disabled"


def identity(values: Values) -> Body:
    """The identity of a resource."""
    return {"type": values["identity"][0]["type"], "ids": values["identity"][0].get("identity_ids")}


def one(type_: str, body: Callable[[Values], Body] = lambda _: {}) -> Callable[[Values], Iterator[Part]]:
    """A resource that is one of Azure's, named by itself."""

    def parts(values: Values) -> Iterator[Part]:
        yield type_, values["name"], body(values)

    return parts


def child(type_: str, parent: str, body: Callable[[Values], Body] = lambda _: {}) -> Callable[[Values], Iterator[Part]]:
    """A resource inside another, whose id an attribute has."""

    def parts(values: Values) -> Iterator[Part]:
        yield type_, f"{last(values[parent])}/{values['name']}", body(values)

    return parts


def storage(values: Values) -> Iterator[Part]:
    """An account and its service for blobs, which azurerm makes at once."""
    rules = values["network_rules"][0]
    yield (
        "Microsoft.Storage/storageAccounts",
        values["name"],
        {
            "kind": values["account_kind"],
            "sku": {"name": f"{values['account_tier']}_{values['account_replication_type']}"},
            "properties": {
                "isHnsEnabled": values["is_hns_enabled"],
                "allowSharedKeyAccess": values["shared_access_key_enabled"],
                "allowBlobPublicAccess": values["allow_nested_items_to_be_public"],
                "minimumTlsVersion": values["min_tls_version"],
                "supportsHttpsTrafficOnly": values["https_traffic_only_enabled"],
                "publicNetworkAccess": values["public_network_access"],
                "networkAcls": {"defaultAction": rules["default_action"], "ipRules": rules["ip_rules"]},
            },
        },
    )
    rules = values["blob_properties"][0]["cors_rule"]
    body = {"properties": {"cors": {"corsRules": [{"allowedOrigins": rule["allowed_origins"]} for rule in rules]}}}
    yield "Microsoft.Storage/storageAccounts/blobServices", f"{values['name']}/default", body


def container(values: Values) -> Iterator[Part]:
    name = f"{last(values['storage_account_id'])}/default/{values['name']}"
    public = {"private": "None"}.get(values["container_access_type"], values["container_access_type"])
    yield "Microsoft.Storage/storageAccounts/blobServices/containers", name, {"properties": {"publicAccess": public}}


def lifecycle(values: Values) -> Iterator[Part]:
    yield "Microsoft.Storage/storageAccounts/managementPolicies", f"{last(values['storage_account_id'])}/default", {}


def owned(type_: str, owner: str, body: Callable[[Values], Body] = lambda _: {}) -> Callable[[Values], Iterator[Part]]:
    """A diagnostic setting or lock, named after what it belongs to."""

    def parts(values: Values) -> Iterator[Part]:
        id_ = values[owner]
        path = "/".join(re.split(r"/(?:blobServices|onlineEndpoints)/", id_)[1:])
        names = [last(id_.removesuffix(f"/blobServices/{path}").removesuffix(f"/onlineEndpoints/{path}")), path]
        yield type_, "/".join(filter(None, [*names, values["name"]])), body(values)

    return parts


def azapi(values: Values) -> Iterator[Part]:
    """Already in Azure's words."""
    type_ = values["type"].split("@")[0]
    parents = type_.count("/") - 1
    names = [last(values["parent_id"])] * parents + [values["name"]]
    body = {"location": values["location"], "tags": values["tags"], **values["body"]}
    yield type_, "/".join(names), {**body, "identity": identity(values)} if values["identity"] else body


def private_endpoint(values: Values) -> Iterator[Part]:
    yield "Microsoft.Network/privateEndpoints", values["name"], {}
    name = values["private_dns_zone_group"][0]["name"]
    yield "Microsoft.Network/privateEndpoints/privateDnsZoneGroups", f"{values['name']}/{name}", {}


def defender(values: Values) -> Iterator[Part]:
    yield "Microsoft.Security/pricings", values["resource_type"], {"properties": {"pricingTier": values["tier"]}}


def datastore(values: Values) -> Iterator[Part]:
    account = ACCOUNT.search(values["storage_container_id"])
    assert account, values["storage_container_id"]
    kind = "ServicePrincipal" if values["client_id"] else "None"
    body = {"properties": {"accountName": account[1], "credentials": {"credentialsType": kind}}}
    name = f"{last(values['workspace_id'])}/{values['name']}"
    yield "Microsoft.MachineLearningServices/workspaces/datastores", name, body


def scheduled(values: Values) -> Body:
    return {
        "identity": identity(values),
        "properties": {"scopes": values["scopes"], "windowSize": values["window_duration"]},
    }


KINDS: dict[str, Callable[[Values], Iterator[Part]]] = {
    "azapi_resource": azapi,
    "azurerm_resource_group": one("Microsoft.Resources/resourceGroups"),
    "azurerm_log_analytics_workspace": one("Microsoft.OperationalInsights/workspaces"),
    "azurerm_application_insights": one("Microsoft.Insights/components"),
    "azurerm_application_insights_workbook": lambda _: iter([("Microsoft.Insights/workbooks", "workbook", {})]),
    "azurerm_storage_account": storage,
    "azurerm_storage_container": container,
    "azurerm_storage_management_policy": lifecycle,
    "azurerm_user_assigned_identity": one("Microsoft.ManagedIdentity/userAssignedIdentities"),
    "azurerm_key_vault": one(
        "Microsoft.KeyVault/vaults",
        lambda values: {
            "properties": {
                "enableRbacAuthorization": values["rbac_authorization_enabled"],
                "enablePurgeProtection": values["purge_protection_enabled"],
                "publicNetworkAccess": access(values),
                "networkAcls": {"defaultAction": values["network_acls"][0]["default_action"]},
            }
        },
    ),
    "azurerm_container_registry": one(
        "Microsoft.ContainerRegistry/registries",
        lambda values: {
            "sku": {"name": values["sku"]},
            "properties": {
                "adminUserEnabled": values["admin_enabled"],
                "anonymousPullEnabled": values["anonymous_pull_enabled"],
                "publicNetworkAccess": access(values),
                "networkRuleSet": {"defaultAction": values["network_rule_set"][0]["default_action"]},
            },
        },
    ),
    "azurerm_machine_learning_compute_cluster": child(
        "Microsoft.MachineLearningServices/workspaces/computes",
        "machine_learning_workspace_id",
        lambda values: {
            "identity": identity(values),
            "properties": {
                "disableLocalAuth": not values["local_auth_enabled"],
                "properties": {"vmSize": values["vm_size"], "enableNodePublicIp": values["node_public_ip_enabled"]},
            },
        },
    ),
    "azurerm_machine_learning_datastore_datalake_gen2": datastore,
    "azurerm_kubernetes_cluster": one(
        "Microsoft.ContainerService/managedClusters",
        lambda values: {
            "properties": {
                "disableLocalAccounts": values["local_account_disabled"],
                "aadProfile": {
                    "enableAzureRBAC": values["azure_active_directory_role_based_access_control"][0][
                        "azure_rbac_enabled"
                    ]
                },
            }
        },
    ),
    "azurerm_kubernetes_cluster_extension": owned(
        "Microsoft.KubernetesConfiguration/extensions",
        "cluster_id",
        lambda values: {"properties": {"configurationSettings": values["configuration_settings"]}},
    ),
    "azurerm_monitor_diagnostic_setting": owned("Microsoft.Insights/diagnosticSettings", "target_resource_id"),
    "azurerm_management_lock": owned(
        "Microsoft.Authorization/locks", "scope", lambda values: {"properties": {"level": values["lock_level"]}}
    ),
    "azurerm_monitor_action_group": one("Microsoft.Insights/actionGroups"),
    "azurerm_monitor_scheduled_query_rules_alert_v2": one("Microsoft.Insights/scheduledQueryRules", scheduled),
    "azurerm_monitor_metric_alert": one("Microsoft.Insights/metricAlerts"),
    "azurerm_consumption_budget_resource_group": one(
        "Microsoft.Consumption/budgets",
        lambda values: {
            "properties": {
                "amount": values["amount"],
                "timeGrain": values["time_grain"],
                "timePeriod": {"startDate": values["time_period"][0]["start_date"]},
            }
        },
    ),
    "azurerm_resource_group_policy_assignment": one("Microsoft.Authorization/policyAssignments"),
    "azurerm_role_definition": lambda _: iter([("Microsoft.Authorization/roleDefinitions", "Endpoint Caller", {})]),
    "azurerm_security_center_subscription_pricing": defender,
    "azurerm_private_endpoint": private_endpoint,
    "azurerm_eventhub_namespace": one(
        "Microsoft.EventHub/namespaces",
        lambda values: {
            "properties": {
                "disableLocalAuth": not values["local_authentication_enabled"],
                "publicNetworkAccess": access(values),
            }
        },
    ),
    "azurerm_eventhub": child("Microsoft.EventHub/namespaces/eventhubs", "namespace_id"),
    "azurerm_synapse_spark_pool": child("Microsoft.Synapse/workspaces/bigDataPools", "synapse_workspace_id"),
}


def assignment(values: Values, roles: dict[str, str]) -> expected.Assignment:
    """A role assignment with names."""
    principal = values["principal_id"]
    if "#" in principal:  # an identity's, which Azure has answered
        principal = last(principal.split("#")[0])
        assert values["principal_type"] == "ServicePrincipal"
    role = roles.get(last(values["role_definition_id"]), "Endpoint Caller")
    return expected.Assignment(last(values["scope"]), role, principal)


def found(made: list[Made], roles: dict[str, str]) -> expected.Found:
    """What Terraform has made, in the words that all tools share. roles: names by id."""
    all_ = expected.Found()
    for resource in made:
        if resource.type == "azurerm_role_assignment":
            all_.assignments.append(assignment(resource.values, roles))
            continue
        for type_, name, body in KINDS[resource.type](resource.values):
            assert (type_, name) not in all_.resources, f"{resource.address} twice"
            all_.resources[type_, name] = {"tags": resource.values.get("tags"), **body}
    return all_
