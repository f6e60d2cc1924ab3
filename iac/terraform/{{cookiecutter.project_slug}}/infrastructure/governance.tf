# What the resource group costs, which policies watch it, and what Defender watches.

locals {
  tiers = concat(
    [for percent in local.settings.budget.spent : { percent = percent, kind = "Actual", tell = local.alerts.budget.spent }],
    [for percent in local.settings.budget.forecast : { percent = percent, kind = "Forecasted", tell = local.alerts.budget.forecast }],
  )
}

resource "azurerm_consumption_budget_resource_group" "this" {
  count             = local.applied ? 1 : 0
  name              = local.names.budget
  resource_group_id = local.group_id
  amount            = local.settings.budget.monthly
  time_grain        = "Monthly"

  time_period {
    start_date = "${local.shared.budget_start}T00:00:00Z"
  }

  dynamic "notification" { # a tier is a share of the budget, spent or forecast
    for_each = local.tiers
    content {
      enabled        = true
      operator       = "GreaterThanOrEqualTo"
      threshold      = notification.value.percent
      threshold_type = notification.value.kind
      contact_groups = [for persona in notification.value.tell : local.receiver_ids[persona]]
    }
  }
}

resource "azurerm_resource_group_policy_assignment" "this" {
  for_each             = { for name, policy in local.policies : name => policy if local.applied }
  name                 = "${local.names.policy}-${replace(each.key, "_", "-")}"
  resource_group_id    = local.group_id
  display_name         = each.value.title
  policy_definition_id = "/providers/Microsoft.Authorization/policyDefinitions/${each.value.id}"
  parameters = try(jsonencode({
    for name, value in each.value.parameters : name => { value = value }
  }), null)
}

# For the whole subscription, so that it is never taken away again: `terraform destroy` would do it for everybody.
resource "azurerm_security_center_subscription_pricing" "plan" {
  for_each      = toset(local.is_shared ? local.shared.defender : [])
  tier          = "Standard"
  resource_type = each.key
}
