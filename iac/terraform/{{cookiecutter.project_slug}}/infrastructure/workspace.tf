# The Azure ML workspace in its managed network with what it needs, and the registry that all environments share.

# azapi: azurerm has no such resource.
resource "azapi_resource" "registry" {
  count     = local.make.registry ? 1 : 0
  type      = "Microsoft.MachineLearningServices/registries@2025-06-01"
  name      = local.registry.name
  parent_id = local.group_id
  location  = local.location
  tags      = local.tags

  identity {
    type = "SystemAssigned"
  }

  body = {
    properties = {
      publicNetworkAccess = local.private ? "Disabled" : "Enabled"
      regionDetails = [{
        location   = local.location
        acrDetails = [{ systemCreatedAcrAccount = { acrAccountSku = "Premium" } }]
        storageAccountDetails = [{ systemCreatedStorageAccount = {
          storageAccountType       = "Standard_LRS"
          storageAccountHnsEnabled = false
          allowBlobPublicAccess    = false
        } }]
      }]
    }
  }
}

resource "azurerm_key_vault" "this" {
  count                         = local.make.key_vault ? 1 : 0
  name                          = local.names.key_vault
  resource_group_name           = local.group
  location                      = local.location
  tags                          = local.tags
  tenant_id                     = data.azurerm_client_config.current.tenant_id
  sku_name                      = "standard"
  rbac_authorization_enabled    = true
  soft_delete_retention_days    = 90
  purge_protection_enabled      = true
  public_network_access_enabled = !local.private

  network_acls {
    bypass         = "AzureServices"
    default_action = local.closed ? "Deny" : "Allow"
    ip_rules       = local.addresses
  }
}

# Premium: the managed network reaches it through a private endpoint.
resource "azurerm_container_registry" "this" {
  count                         = local.make.container_registry ? 1 : 0
  name                          = local.names.container_registry
  resource_group_name           = local.group
  location                      = local.location
  tags                          = local.tags
  sku                           = "Premium"
  admin_enabled                 = false
  anonymous_pull_enabled        = false
  public_network_access_enabled = !local.private
  network_rule_bypass_option    = "AzureServices"
  retention_policy_in_days      = 30

  network_rule_set = [{
    default_action = local.closed ? "Deny" : "Allow"
    ip_rule        = [for range in local.ranges : { action = "Allow", ip_range = range }]
  }]
}

locals {
  key_vault_id = try(azurerm_key_vault.this[0].id, "${local.inside}/Microsoft.KeyVault/vaults/${local.names.key_vault}")
  images_id    = try(azurerm_container_registry.this[0].id, "${local.inside}/Microsoft.ContainerRegistry/registries/${local.names.container_registry}")
  registry_id  = try(azapi_resource.registry[0].id, "${local.shared_group_id}/providers/Microsoft.MachineLearningServices/registries/${local.registry.name}")
  workspace_id = try(azapi_resource.workspace[0].id, "${local.inside}/Microsoft.MachineLearningServices/workspaces/${local.workspace}")
  endpoint_id  = local.watches ? "${local.workspace_id}/onlineEndpoints/${local.endpoint.name}" : ""

  approved_hosts = merge([
    for purpose, hosts in local.shared.approved_outbound :
    { for index, host in hosts : "${replace(purpose, "_", "-")}-${index + 1}" => host }
  ]...)
  reached_privately = {
    lake-blob = { id = local.lake_id, target = "blob" }
    lake-dfs  = { id = local.lake_id, target = "dfs" }
    registry  = { id = local.registry_id, target = "amlregistry" }
  }
}

# azapi: azurerm cannot choose the firewall's size, and would open the network before the rules are there.
resource "azapi_resource" "workspace" {
  count     = local.make.workspace ? 1 : 0
  type      = "Microsoft.MachineLearningServices/workspaces@2025-06-01"
  name      = local.workspace
  parent_id = local.group_id
  location  = local.location
  tags      = local.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [local.identity_ids.workspace]
  }

  body = {
    kind = "Default"
    sku  = { name = "Basic", tier = "Basic" }
    properties = {
      friendlyName                = local.workspace
      primaryUserAssignedIdentity = local.identity_ids.workspace
      storageAccount              = local.storage_id
      keyVault                    = local.key_vault_id
      containerRegistry           = local.images_id
      applicationInsights         = local.insights_id
      systemDatastoresAuthMode    = "Identity"
      publicNetworkAccess         = local.private ? "Disabled" : "Enabled"
      v1LegacyMode                = false
      imageBuildCompute           = try(keys(local.clusters)[0], null)
      serverlessComputeSettings   = { serverlessComputeNoPublicIP = true }
      provisionNetworkNow         = true
      managedNetwork = {
        isolationMode = "AllowOnlyApprovedOutbound"
        firewallSku   = local.settings.firewall
        outboundRules = merge(
          { for name, host in local.approved_hosts : name => {
            type        = "FQDN"
            category    = "UserDefined"
            destination = host
          } },
          { for name, reached in local.reached_privately : name => {
            type        = "PrivateEndpoint"
            category    = "UserDefined"
            destination = { serviceResourceId = reached.id, subresourceTarget = reached.target, sparkEnabled = true }
          } },
        )
      }
    }
  }

  depends_on = [azurerm_role_assignment.resources] # its identity has its roles before
}

resource "azurerm_machine_learning_compute_cluster" "this" {
  for_each                      = local.clusters
  name                          = each.key
  machine_learning_workspace_id = local.workspace_id
  location                      = local.location
  tags                          = local.tags
  vm_size                       = each.value.size
  vm_priority                   = "Dedicated"
  local_auth_enabled            = false
  node_public_ip_enabled        = false
  ssh_public_access_enabled     = false

  identity {
    type         = "UserAssigned"
    identity_ids = [local.identity_ids.compute]
  }

  scale_settings {
    min_node_count                       = 0
    max_node_count                       = each.value.nodes
    scale_down_nodes_after_idle_duration = "PT5M"
  }
}

# Who reads or writes there does so with an identity of its own: no credentials are kept.
resource "azurerm_machine_learning_datastore_datalake_gen2" "zone" {
  for_each              = local.has_work ? local.zone_ids : {}
  name                  = replace(each.key, "-", "_")
  workspace_id          = local.workspace_id
  storage_container_id  = each.value
  service_data_identity = "None"
}

# A Kubernetes cluster with the Azure ML extension, attached to the workspace; or one that Azure Arc knows, attached.
locals {
  makes_cluster = length([for settings in local.kubernetes : settings if settings.arc == ""]) > 0
}

module "kubernetes" {
  source = "./modules/kubernetes"
  count  = length(local.kubernetes)

  name         = local.names.kubernetes
  group        = local.group
  location     = local.location
  tags         = local.tags
  settings     = local.kubernetes[0]
  public       = !local.private
  ranges       = local.ranges
  logs_id      = local.logs_id
  workspace_id = local.workspace_id
  compute      = replace(try(local.endpoint.compute, "kubernetes"), "azureml:", "")
  identity_id  = local.identity_ids.compute

  depends_on = [azapi_resource.workspace]
}
