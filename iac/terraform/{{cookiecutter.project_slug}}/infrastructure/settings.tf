# Everything comes from config/*.yml and the data beside this file.

locals {
  config = {
    for name in ["shared", "dev", "staging", "prod"] : name => yamldecode(file("${path.module}/../config/${name}.yml"))
  }
  rbac     = yamldecode(file("${path.module}/rbac.yml"))
  roles    = yamldecode(file("${path.module}/roles.yml"))
  rules    = yamldecode(file("${path.module}/names.yml"))
  alerts   = yamldecode(file("${path.module}/alerts.yml"))
  policies = yamldecode(file("${path.module}/policies.yml"))

  is_shared = var.environment == "shared"
  file      = local.config[var.environment]
  settings  = local.file.infrastructure
  shared    = local.config.shared.infrastructure
  registry  = local.config.shared.registry
  azure     = try(local.file.azure, local.registry)
  workspace = try(local.azure.workspace, "")
  project   = local.config.shared.project.name
  serving   = local.shared.serving
  protect   = local.is_shared || try(local.settings.protect, false)

  # With a single workspace only shared and prod are applied, and prod has the rights of all environments.
  single       = local.shared.workspaces == "one"
  applied      = !local.single || contains(["shared", "prod"], var.environment)
  has_work     = local.applied && !local.is_shared
  has_lake     = local.is_shared || (local.applied && var.environment == "dev")
  environments = local.single ? ["prod"] : ["dev", "staging", "prod"]
  endpoint     = try(local.file.deployment.endpoint, {})
  watches      = local.has_work && try(local.settings.endpoint, false) && local.serving != "batch"
  kubernetes   = [for settings in [try(local.settings.kubernetes, null)] : settings if local.has_work && settings != null]
  clusters     = local.has_work ? try(local.settings.clusters, {}) : {}
  private      = local.applied && local.settings.private_endpoints.subnet != ""
  addresses    = [for address in local.settings.allowed_addresses : trimsuffix(address, "/32")]
  ranges       = [for address in local.addresses : strcontains(address, "/") ? address : "${address}/32"]
  closed       = local.private || length(local.addresses) > 0

  # Names by the rule in names.yml; `existing` names what is there already.
  words = { for kind, rule in local.rules : kind => replace(
    replace(rule.name, "{project}", substr(replace(local.project, "-", ""), 0, rule.length)),
    "{suffix}", local.shared.name_suffix,
  ) }
  names = { for kind, words in local.words : kind => try(
    tostring(local.settings.existing[kind]), replace(words, "{environment}", var.environment),
  ) }
  make = { # whether a kind is made here: what is there already is used as it is
    for kind, here in {
      resource_group       = local.applied
      log_analytics        = local.applied
      lake                 = local.has_lake
      registry             = local.is_shared
      storage_account      = local.has_work
      key_vault            = local.has_work
      container_registry   = local.has_work
      application_insights = local.has_work
      workspace            = local.has_work
    } : kind => here && !contains(keys(local.settings.existing), kind)
  }

  tags = {
    project     = local.project
    environment = var.environment
    owner       = local.config[local.is_shared ? "prod" : var.environment].contacts.owner
    managed_by  = "infrastructure"
  }
}

# What is missing is refused here rather than by Azure half-way.
resource "terraform_data" "settings" {
  input = var.environment

  lifecycle {
    precondition {
      condition     = length(local.shared.name_suffix) >= 3
      error_message = "infrastructure.name_suffix is empty: `mlops check --infrastructure` says what to write."
    }
    precondition {
      condition     = length(local.shared.approved_outbound.package_index) > 0
      error_message = "infrastructure.approved_outbound.package_index is empty: `mlops check --infrastructure` says what to write."
    }
    precondition {
      condition     = local.shared.budget_start != ""
      error_message = "infrastructure.budget_start is empty: `mlops check --infrastructure` says what to write."
    }
    precondition {
      condition     = local.azure.subscription != "" && local.registry.subscription != ""
      error_message = "A subscription is empty in config: `mlops check --infrastructure` says what to write."
    }
  }
}

# `terraform destroy` ends here where config says protect, and in shared. README.md says how to go on.
resource "terraform_data" "protected" {
  count = local.protect ? 1 : 0
  input = var.environment

  lifecycle {
    prevent_destroy = true
  }
}
