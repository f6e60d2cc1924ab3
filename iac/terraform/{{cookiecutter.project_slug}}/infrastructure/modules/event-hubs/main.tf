# An event hub whose Capture writes events into the lake's container bronze, with the identity of its namespace.

resource "azurerm_eventhub_namespace" "this" {
  name                          = var.name
  resource_group_name           = var.group
  location                      = var.location
  tags                          = var.tags
  sku                           = "Standard"
  capacity                      = 1
  auto_inflate_enabled          = true
  maximum_throughput_units      = 4
  local_authentication_enabled  = false
  minimum_tls_version           = "1.2"
  public_network_access_enabled = var.public

  identity {
    type = "SystemAssigned"
  }
}

resource "azurerm_role_assignment" "writes" {
  for_each                         = toset(var.role_ids)
  name                             = uuidv5("url", "${var.lake_id}|${azurerm_eventhub_namespace.this.id}|${each.key}")
  scope                            = var.lake_id
  role_definition_id               = each.key
  principal_id                     = azurerm_eventhub_namespace.this.identity[0].principal_id
  principal_type                   = "ServicePrincipal"
  skip_service_principal_aad_check = true
}

resource "azurerm_eventhub" "events" {
  name            = "events"
  namespace_id    = azurerm_eventhub_namespace.this.id
  partition_count = 4

  retention_description {
    cleanup_policy          = "Delete"
    retention_time_in_hours = 24
  }

  capture_description {
    enabled             = true
    encoding            = "Avro"
    interval_in_seconds = 300
    size_limit_in_bytes = 314572800
    skip_empty_archives = true

    destination {
      name                        = "EventHubArchive.AzureBlockBlob"
      storage_account_id          = var.lake_id
      storage_authentication_type = "SystemAssigned"
      blob_container_name         = "bronze"
      archive_name_format         = "{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}"
    }
  }

  depends_on = [azurerm_role_assignment.writes]
}
