# A cluster with the Azure ML extension, attached to the workspace; or one that Azure Arc knows, attached.

locals {
  makes = var.settings.arc == ""
}

resource "azurerm_kubernetes_cluster" "this" {
  count                             = local.makes ? 1 : 0
  name                              = var.name
  resource_group_name               = var.group
  location                          = var.location
  tags                              = var.tags
  dns_prefix                        = var.name
  sku_tier                          = "Standard"
  local_account_disabled            = true
  role_based_access_control_enabled = true
  oidc_issuer_enabled               = true
  workload_identity_enabled         = true
  azure_policy_enabled              = true
  automatic_upgrade_channel         = "patch"
  node_os_upgrade_channel           = "NodeImage"
  private_cluster_enabled           = !var.public

  identity {
    type = "SystemAssigned"
  }
  azure_active_directory_role_based_access_control {
    azure_rbac_enabled = true
  }
  dynamic "api_server_access_profile" {
    for_each = var.public && length(var.ranges) > 0 ? [var.ranges] : []
    content {
      authorized_ip_ranges = api_server_access_profile.value
    }
  }
  network_profile {
    network_plugin      = "azure"
    network_plugin_mode = "overlay"
    network_policy      = "cilium"
    network_data_plane  = "cilium"
  }
  node_provisioning_profile {
    mode = "Manual"
  }
  key_vault_secrets_provider {
    secret_rotation_enabled = true
  }
  oms_agent {
    log_analytics_workspace_id      = var.logs_id
    msi_auth_for_monitoring_enabled = true
  }
  default_node_pool {
    name                        = "nodes"
    temporary_name_for_rotation = "rotation"
    vm_size                     = var.settings.size
    os_sku                      = "AzureLinux"
    auto_scaling_enabled        = true
    min_count                   = var.settings.nodes.min
    max_count                   = var.settings.nodes.max
    max_pods                    = 110

    upgrade_settings {
      max_surge = "10%"
    }
  }
}

resource "azurerm_kubernetes_cluster_extension" "azureml" {
  count             = local.makes ? 1 : 0
  name              = "azureml"
  cluster_id        = azurerm_kubernetes_cluster.this[0].id
  extension_type    = "Microsoft.AzureML.Kubernetes"
  release_train     = "stable"
  release_namespace = "azureml"
  configuration_settings = {
    enableInference            = "True"
    enableTraining             = "False"
    inferenceRouterServiceType = "LoadBalancer"
    allowInsecureConnections   = "False"
    sslCname                   = var.settings.tls.host
    sslSecret                  = var.settings.tls.secret
  }
}

# azapi: azurerm attaches clusters only as its predecessor did, without the extension.
resource "azapi_resource" "attached" {
  type      = "Microsoft.MachineLearningServices/workspaces/computes@2025-06-01"
  name      = var.compute
  parent_id = var.workspace_id
  location  = var.location
  tags      = var.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [var.identity_id]
  }

  body = {
    properties = {
      computeType      = "Kubernetes"
      resourceId       = local.makes ? azurerm_kubernetes_cluster.this[0].id : var.settings.arc
      disableLocalAuth = true
      properties       = { namespace = "default" }
    }
  }

  depends_on = [azurerm_kubernetes_cluster_extension.azureml]
}
