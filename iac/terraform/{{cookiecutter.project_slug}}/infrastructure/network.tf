# Private endpoints into the team's own subnet, registered in its private DNS zones.

locals {
  ml_zones  = ["privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"]
  dns_zones = "${local.settings.private_endpoints.zones}/providers/Microsoft.Network/privateDnsZones"
  leads_to = merge(
    local.has_lake ? {
      lake-blob = { id = local.own_lake_id, group = "blob", zones = ["privatelink.blob.core.windows.net"] }
      lake-dfs  = { id = local.own_lake_id, group = "dfs", zones = ["privatelink.dfs.core.windows.net"] }
    } : {},
    local.is_shared ? {
      registry = { id = local.registry_id, group = "amlregistry", zones = local.ml_zones }
    } : {},
    local.has_work ? {
      workspace    = { id = local.workspace_id, group = "amlworkspace", zones = local.ml_zones }
      vault        = { id = local.key_vault_id, group = "vault", zones = ["privatelink.vaultcore.azure.net"] }
      images       = { id = local.images_id, group = "registry", zones = ["privatelink.azurecr.io"] }
      storage-blob = { id = local.storage_id, group = "blob", zones = ["privatelink.blob.core.windows.net"] }
      storage-file = { id = local.storage_id, group = "file", zones = ["privatelink.file.core.windows.net"] }
    } : {},
  )
}

resource "azurerm_private_endpoint" "this" {
  for_each            = { for name, target in local.leads_to : name => target if local.private }
  name                = "${local.names.private_endpoint}-${each.key}"
  resource_group_name = local.group
  location            = local.location
  tags                = local.tags
  subnet_id           = local.settings.private_endpoints.subnet

  private_service_connection {
    name                           = each.key
    private_connection_resource_id = each.value.id
    subresource_names              = [each.value.group]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = "default"
    private_dns_zone_ids = [for zone in each.value.zones : "${local.dns_zones}/${zone}"]
  }
}
