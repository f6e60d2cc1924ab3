# The estate of one environment on Azure. README.md says how to apply it.

data "azurerm_client_config" "current" {}

resource "azurerm_resource_group" "this" {
  count    = local.make.resource_group ? 1 : 0
  name     = local.azure.resource_group
  location = local.azure.location
  tags     = local.tags

  depends_on = [terraform_data.settings]
}

locals {
  location        = local.azure.location
  subscription_id = "/subscriptions/${local.azure.subscription}"
  group           = try(azurerm_resource_group.this[0].name, local.azure.resource_group)
  group_id        = try(azurerm_resource_group.this[0].id, "${local.subscription_id}/resourceGroups/${local.azure.resource_group}")
  inside          = "${local.group_id}/providers" # ids of what is there already begin with it
  shared_group_id = "/subscriptions/${local.registry.subscription}/resourceGroups/${local.registry.resource_group}"
}

resource "azurerm_log_analytics_workspace" "this" {
  count                           = local.make.log_analytics ? 1 : 0
  name                            = local.names.log_analytics
  resource_group_name             = local.group
  location                        = local.location
  tags                            = local.tags
  sku                             = "PerGB2018"
  retention_in_days               = local.shared.log_days
  local_authentication_enabled    = false
  allow_resource_only_permissions = true
}

resource "azurerm_application_insights" "this" {
  count               = local.make.application_insights ? 1 : 0
  name                = local.names.application_insights
  resource_group_name = local.group
  location            = local.location
  tags                = local.tags
  application_type    = "web"
  workspace_id        = local.logs_id
  retention_in_days   = local.shared.log_days
}

locals {
  logs_id     = try(azurerm_log_analytics_workspace.this[0].id, "${local.inside}/Microsoft.OperationalInsights/workspaces/${local.names.log_analytics}")
  insights_id = try(azurerm_application_insights.this[0].id, "${local.inside}/Microsoft.Insights/components/${local.names.application_insights}")
}

# Everything that has logs or metrics sends them to Log Analytics. AKS: only who changed what, for all would cost much.
resource "azurerm_monitor_diagnostic_setting" "to_logs" {
  for_each = merge(
    { for kind, account in azurerm_storage_account.this : kind => { id = "${account.id}/blobServices/default", metrics = ["Transaction"] } },
    { for vault in azurerm_key_vault.this : "key_vault" => { id = vault.id, metrics = ["AllMetrics"] } },
    { for images in azurerm_container_registry.this : "container_registry" => { id = images.id, metrics = ["AllMetrics"] } },
    { for registry in azapi_resource.registry : "registry" => { id = registry.id, metrics = [] } },
    { for name in local.has_work ? ["workspace"] : [] : name => { id = local.workspace_id, metrics = ["AllMetrics"] } },
    { for name in local.watches ? ["endpoint"] : [] : name => { id = local.endpoint_id, metrics = ["AllMetrics"] } },
    { for cluster in module.kubernetes : "kubernetes" => { id = cluster.id, metrics = ["AllMetrics"] } if local.makes_cluster },
    { for ingestion in module.event_hubs : "event_hubs" => { id = ingestion.id, metrics = ["AllMetrics"] } },
    { for spark in module.spark : "spark" => { id = spark.id, metrics = [] } },
  )
  name                       = "to-logs"
  target_resource_id         = each.value.id
  log_analytics_workspace_id = local.logs_id

  enabled_log {
    category_group = each.key == "kubernetes" ? "audit" : "allLogs"
  }
  dynamic "enabled_metric" {
    for_each = each.value.metrics
    content {
      category = enabled_metric.value
    }
  }
}

# What holds data, secrets or images cannot be deleted.
resource "azurerm_management_lock" "keep" {
  for_each = { for kind, id in merge(
    { for kind, account in azurerm_storage_account.this : kind => account.id },
    { for vault in azurerm_key_vault.this : "key_vault" => vault.id },
    { for images in azurerm_container_registry.this : "container_registry" => images.id },
  ) : kind => id if local.protect }
  name       = "keep"
  scope      = each.value
  lock_level = "CanNotDelete"
  notes      = "Holds what must not be lost: remove this lock first."
}
