# A Synapse Spark pool, which costs nothing while no job runs. azapi: azurerm does not make the private endpoint to the lake.

resource "azapi_resource" "synapse" {
  type      = "Microsoft.Synapse/workspaces@2021-06-01"
  name      = var.name
  parent_id = var.group_id
  location  = var.location
  tags      = var.tags

  identity {
    type = "SystemAssigned"
  }

  body = {
    properties = {
      azureADOnlyAuthentication     = true
      managedVirtualNetwork         = "default"
      managedVirtualNetworkSettings = { preventDataExfiltration = true }
      publicNetworkAccess           = var.public ? "Enabled" : "Disabled"
      defaultDataLakeStorage = {
        accountUrl                   = "https://${var.lake}.dfs.core.windows.net"
        filesystem                   = "silver"
        resourceId                   = var.lake_id
        createManagedPrivateEndpoint = true
      }
    }
  }
}

resource "azurerm_role_assignment" "reads" {
  for_each                         = toset(var.role_ids)
  name                             = uuidv5("url", "${var.lake_id}|${azapi_resource.synapse.id}|${each.key}")
  scope                            = var.lake_id
  role_definition_id               = each.key
  principal_id                     = azapi_resource.synapse.identity[0].principal_id
  principal_type                   = "ServicePrincipal"
  skip_service_principal_aad_check = true
}

resource "azurerm_synapse_spark_pool" "this" {
  name                 = "spark"
  synapse_workspace_id = azapi_resource.synapse.id
  tags                 = var.tags
  spark_version        = "3.5"
  node_size_family     = "MemoryOptimized"
  node_size            = "Small"

  auto_scale {
    min_node_count = 3
    max_node_count = 10
  }
  auto_pause {
    delay_in_minutes = 15
  }
}
