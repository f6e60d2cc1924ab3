# What Azure Monitor watches: alerts.yml says what, config from which number on.

# Who is told: an action group for each persona in infrastructure.contacts.
resource "azurerm_monitor_action_group" "persona" {
  for_each            = local.applied ? local.shared.contacts : {}
  name                = "${local.names.action_group}-${replace(each.key, "_", "-")}"
  resource_group_name = local.group
  location            = "global"
  tags                = local.tags
  short_name          = substr(replace(each.key, "_", ""), 0, 12)

  dynamic "email_receiver" {
    for_each = each.value
    content {
      name                    = email_receiver.value
      email_address           = email_receiver.value
      use_common_alert_schema = true
    }
  }
}

locals {
  receiver_ids = { for persona, group in azurerm_monitor_action_group.persona : persona => group.id }
  limits       = merge(local.shared.alerts, local.shared.alerts.sizes[local.shared.alerts.size])

  # Metrics are watched of what is there.
  watched = merge(
    local.has_work ? { workspace = local.workspace_id, storage_account = local.storage_id } : {},
    local.watches ? { endpoint = local.endpoint_id } : {},
    { for cluster in module.kubernetes : "kubernetes" => cluster.id if local.makes_cluster },
  )
  namespaces = {
    workspace       = "Microsoft.MachineLearningServices/workspaces"
    storage_account = "Microsoft.Storage/storageAccounts"
    endpoint        = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
    kubernetes      = "Microsoft.ContainerService/managedClusters"
  }
  # Those of how the model serves here; `days` are no alerts, but are in the workbook.
  log_alerts = {
    for name, alert in local.alerts.logs : name => alert
    if local.has_work && contains(try(alert.serving, [local.serving]), local.serving)
  }
  metric_alerts = {
    for name, alert in local.alerts.metrics : name => alert
    if contains(keys(local.watched), alert.of) && contains(try(alert.serving, [local.serving]), local.serving)
  }
}

resource "azurerm_monitor_scheduled_query_rules_alert_v2" "logs" {
  for_each = {
    for name, alert in local.log_alerts : name => alert if contains(alert.in, var.environment) && can(alert.window)
  }
  name                    = "${local.names.alert}-${replace(each.key, "_", "-")}"
  resource_group_name     = local.group
  location                = local.location
  tags                    = local.tags
  display_name            = each.value.text
  description             = each.value.text
  severity                = each.value.severity
  scopes                  = [local.logs_id]
  evaluation_frequency    = each.value.every
  window_duration         = each.value.window
  auto_mitigation_enabled = true
  skip_query_validation   = true # a table is there from its first row on

  criteria {
    query                   = file("${path.module}/queries/${each.value.query}.kql")
    metric_measure_column   = each.value.measure
    time_aggregation_method = each.value.when == "GreaterThan" ? "Maximum" : "Minimum"
    operator                = each.value.when
    threshold               = local.limits[each.value.limit]

    failing_periods {
      number_of_evaluation_periods             = 1
      minimum_failing_periods_to_trigger_alert = 1
    }
  }

  action {
    action_groups = [for persona in each.value.tell : local.receiver_ids[persona]]
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [local.identity_ids.monitoring_processes]
  }
}

resource "azurerm_monitor_metric_alert" "metrics" {
  for_each            = { for name, alert in local.metric_alerts : name => alert if contains(alert.in, var.environment) }
  name                = "${local.names.alert}-${replace(each.key, "_", "-")}"
  resource_group_name = local.group
  tags                = local.tags
  description         = each.value.text
  severity            = each.value.severity
  scopes              = [local.watched[each.value.of]]
  frequency           = each.value.every
  window_size         = each.value.window
  auto_mitigate       = true

  criteria {
    metric_namespace       = local.namespaces[each.value.of]
    metric_name            = each.value.metric
    aggregation            = each.value.aggregation
    operator               = each.value.when
    threshold              = local.limits[each.value.limit]
    skip_metric_validation = true
  }

  dynamic "action" {
    for_each = each.value.tell
    content {
      action_group_id = local.receiver_ids[action.value]
    }
  }
}

# A page with a table for each query, over the time that the reader chooses.
resource "azurerm_application_insights_workbook" "this" {
  count               = local.has_work ? 1 : 0
  name                = uuidv5("url", "${local.subscription_id}/${local.azure.resource_group}/workbook")
  resource_group_name = local.group
  location            = local.location
  tags                = local.tags
  display_name        = "${local.workspace}: usage, infrastructure, cost"
  category            = "workbook"
  source_id           = lower(local.logs_id)

  data_json = jsonencode({
    version = "Notebook/1.0"
    items = concat(
      [{
        type = 9
        name = "time"
        content = {
          version    = "KqlParameterItem/1.0"
          parameters = [{ name = "time", type = 4, isRequired = true, value = { durationMs = 86400000 } }]
        }
      }],
      [for name, alert in local.log_alerts : {
        type = 3
        name = name
        content = {
          version                  = "KqlItem/1.0"
          title                    = alert.text
          query                    = file("${path.module}/queries/${alert.query}.kql")
          queryType                = 0
          resourceType             = "microsoft.operationalinsights/workspaces"
          timeContextFromParameter = "time"
          size                     = 1
        }
      }],
    )
    fallbackResourceIds = [local.logs_id]
  })
}
