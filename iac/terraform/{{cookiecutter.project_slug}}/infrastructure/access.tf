# Who gets which role on which resource: the two tables and `system:` of rbac.yml.

locals {
  managed = ["workspace", "compute", "endpoint", "monitoring_processes"]
  here    = local.single && var.environment == "prod" ? ["dev", "staging", "prod"] : [var.environment]
  stages = compact([
    var.environment == "dev" ? "" : "production",
    var.environment == "dev" || (local.single && !local.is_shared) ? "pre_production" : "",
  ])

  # What a column of the tables is in this environment; Azure DevOps' columns are no Azure resources.
  columns = { for column, kinds in {
    workspace          = local.is_shared ? [] : ["workspace"]
    key_vault          = local.is_shared ? [] : ["key_vault"]
    container_registry = local.is_shared ? [] : ["container_registry"]
    storage_account    = compact([local.is_shared ? "" : "storage_account", local.has_lake ? "lake" : ""])
    log_analytics      = ["log_analytics"]
    azure_monitor      = local.is_shared ? ["azure_monitor"] : ["application_insights", "azure_monitor"]
  } : column => kinds if local.applied }
  personas = [
    for name, persona in local.rbac.personas : name
    if !(local.is_shared && persona.principal == "managed") && !(local.shared.just_in_time && persona.access == "eligible")
  ]
  from_tables = flatten([
    for stage in local.stages : [
      for persona in local.personas : [
        for column, kinds in local.columns : [
          for role in try(local.rbac.assignments[stage][persona][column], []) : [
            for kind in kinds : { on = kind, role = role, principal = persona, of = var.environment }
          ]
        ]
      ]
    ]
  ])
  from_system = flatten([
    for line in local.rbac.system : [
      for of in local.single ? [local.is_shared && !can(line.of) ? "shared" : "prod"] : try(line.of, [var.environment]) :
      { on = line.resource, role = line.role, principal = line.principal, of = of }
    ] if local.applied && length(setintersection(line.in, local.here)) > 0
  ])

  # Ids of groups and service principals; those of an environment replace those of shared.
  groups_of = {
    for name, config in local.config : name => merge(local.shared.groups, config.infrastructure.groups)
  }
  grants = [
    for grant in distinct(concat(local.from_tables, local.from_system)) : merge(grant, {
      key  = "${grant.role} for ${grant.principal} of ${grant.of}"
      type = try(local.rbac.personas[grant.principal].principal, "managed") == "group" ? "Group" : "ServicePrincipal"
    })
    if contains(local.managed, grant.principal) || try(local.groups_of[grant.of][grant.principal], "") != ""
  ]

  role_type = "Microsoft.Authorization/roleDefinitions"
  role_ids = merge(
    { for name, id in local.roles : name => "${local.subscription_id}/providers/${local.role_type}/${id}" },
    { for role in azurerm_role_definition.caller : "Endpoint Caller" => role.role_definition_resource_id },
  )
  # Of what is made here with an identity of its own.
  own_role_ids = { for kind in ["event_hubs", "synapse"] : kind => [
    for line in local.rbac.system : local.role_ids[line.role]
    if line.principal == kind && contains(line.in, var.environment)
  ] }

  # The workspace needs its identity's roles on what it uses; roles on itself and on alerts come after it.
  scopes_before = merge(
    { log_analytics = local.logs_id },
    { for kind in ["lake"] : kind => local.own_lake_id if local.has_lake },
    { for kind in ["registry"] : kind => local.registry_id if local.is_shared },
    { for kind, id in {
      key_vault            = local.key_vault_id
      container_registry   = local.images_id
      storage_account      = local.storage_id
      application_insights = local.insights_id
    } : kind => id if local.has_work },
  )
  monitored = merge(
    { for persona, group in azurerm_monitor_action_group.persona : "group ${persona}" => group.id },
    { for alert, rule in azurerm_monitor_scheduled_query_rules_alert_v2.logs : "alert ${alert}" => rule.id },
    { for alert, rule in azurerm_monitor_metric_alert.metrics : "alert ${alert}" => rule.id },
  )
  scopes_after = merge(
    { for kind in ["workspace"] : kind => { workspace = local.workspace_id } if local.has_work },
    { azure_monitor = local.monitored },
  )

  with_principal = [for grant in local.grants : merge(grant, {
    role_id      = local.role_ids[grant.role]
    principal_id = try(local.managed_ids["${grant.of}/${grant.principal}"], local.groups_of[grant.of][grant.principal])
  })]
  grants_before = merge([for kind, scope in local.scopes_before : {
    for grant in local.with_principal : "${kind}: ${grant.key}" => merge(grant, { scope = scope }) if grant.on == kind
  }]...)
  grants_after = merge(flatten([for kind, scopes in local.scopes_after : [for name, scope in scopes : {
    for grant in local.with_principal : "${name}: ${grant.key}" => merge(grant, { scope = scope }) if grant.on == kind
  }]])...)
}

# A name follows from scope, principal and role, so that applying again changes nothing.
resource "azurerm_role_assignment" "resources" {
  for_each                         = local.grants_before
  name                             = uuidv5("url", join("|", [each.value.scope, each.value.principal_id, each.value.role_id]))
  scope                            = each.value.scope
  role_definition_id               = each.value.role_id
  principal_id                     = each.value.principal_id
  principal_type                   = each.value.type
  skip_service_principal_aad_check = each.value.type == "ServicePrincipal" ? true : null
}

resource "azurerm_role_assignment" "workspace" {
  for_each                         = local.grants_after
  name                             = uuidv5("url", join("|", [each.value.scope, each.value.principal_id, each.value.role_id]))
  scope                            = each.value.scope
  role_definition_id               = each.value.role_id
  principal_id                     = each.value.principal_id
  principal_type                   = each.value.type
  skip_service_principal_aad_check = each.value.type == "ServicePrincipal" ? true : null
}

# A right to send requests to endpoints, which Azure does not have built in.
resource "azurerm_role_definition" "caller" {
  count              = local.applied && contains(["staging", "prod"], var.environment) ? 1 : 0
  name               = "Endpoint Caller (${local.azure.resource_group})"
  role_definition_id = uuidv5("url", "${local.subscription_id}/${local.azure.resource_group}/Endpoint Caller")
  scope              = local.subscription_id
  assignable_scopes  = [local.subscription_id]
  description        = local.rbac.custom_roles["Endpoint Caller"].description

  permissions {
    actions = local.rbac.custom_roles["Endpoint Caller"].actions
  }
}

# shared makes the identities of every environment, which never have a secret; the others look theirs up.
resource "azurerm_user_assigned_identity" "of" {
  for_each = local.is_shared ? {
    for pair in setproduct(local.environments, local.managed) :
    "${pair[0]}/${pair[1]}" => replace(local.words["${pair[1]}_identity"], "{environment}", pair[0])
  } : {}
  name                = each.value
  resource_group_name = local.group
  location            = local.location
  tags                = local.tags
}

data "azurerm_user_assigned_identity" "here" {
  provider            = azurerm.shared
  for_each            = toset(local.has_work ? local.managed : [])
  name                = replace(local.words["${each.key}_identity"], "{environment}", var.environment)
  resource_group_name = local.registry.resource_group
}

locals {
  identity_ids = { for kind, identity in data.azurerm_user_assigned_identity.here : kind => identity.id }
  managed_ids = merge(
    { for key, identity in azurerm_user_assigned_identity.of : key => identity.principal_id },
    { for kind, identity in data.azurerm_user_assigned_identity.here : "${var.environment}/${kind}" => identity.principal_id },
  )
}
