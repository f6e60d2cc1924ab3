# Storage without keys: production's or development's data lake, and the storage of the workspace.

resource "azurerm_storage_account" "this" {
  for_each                         = toset([for kind in ["lake", "storage_account"] : kind if local.make[kind]])
  name                             = local.names[each.key]
  resource_group_name              = local.group
  location                         = local.location
  tags                             = local.tags
  account_kind                     = "StorageV2"
  account_tier                     = "Standard"
  account_replication_type         = "ZRS"
  access_tier                      = "Hot"
  is_hns_enabled                   = each.key == "lake"
  shared_access_key_enabled        = false
  local_user_enabled               = false
  default_to_oauth_authentication  = true
  allow_nested_items_to_be_public  = false
  cross_tenant_replication_enabled = false
  min_tls_version                  = "TLS1_2"
  https_traffic_only_enabled       = true
  public_network_access            = local.private ? "Disabled" : "Enabled"

  network_rules {
    bypass         = ["AzureServices"]
    default_action = local.closed ? "Deny" : "Allow"
    ip_rules       = local.addresses
  }

  blob_properties {
    delete_retention_policy {
      days = 14
    }
    container_delete_retention_policy {
      days = 14
    }
    dynamic "cors_rule" { # where people label in a browser
      for_each = each.key == "lake" || length(local.labelling_origins) == 0 ? [] : [local.labelling_origins]
      content {
        allowed_origins    = cors_rule.value
        allowed_methods    = ["GET", "HEAD"]
        allowed_headers    = ["*"]
        exposed_headers    = ["*"]
        max_age_in_seconds = 1800
      }
    }
  }
}

resource "azurerm_storage_container" "zone" {
  for_each              = toset(local.make.lake ? local.shared.lake.zones : [])
  name                  = each.key
  storage_account_id    = azurerm_storage_account.this["lake"].id
  container_access_type = "private"
}

resource "azurerm_storage_management_policy" "lake" {
  count              = local.make.lake ? 1 : 0
  storage_account_id = azurerm_storage_account.this["lake"].id

  rule {
    name    = "cool"
    enabled = true
    filters {
      blob_types = ["blockBlob"]
    }
    actions {
      base_blob {
        tier_to_cool_after_days_since_modification_greater_than = local.shared.lake.cool_after_days
      }
    }
  }

  rule {
    name    = "delete-bronze"
    enabled = true
    filters {
      blob_types   = ["blockBlob"]
      prefix_match = ["bronze/"]
    }
    actions {
      base_blob {
        delete_after_days_since_modification_greater_than = local.shared.lake.delete_bronze_after_days
      }
    }
  }
}

locals {
  labelling_origins = try(local.shared.labelling_origins, [])
  storage_id        = try(azurerm_storage_account.this["storage_account"].id, "${local.inside}/Microsoft.Storage/storageAccounts/${local.names.storage_account}")

  # The lake that this environment reads: dev's own; production's for staging and prod, where it is named in shared.
  own_lake_id    = try(azurerm_storage_account.this["lake"].id, "${local.inside}/Microsoft.Storage/storageAccounts/${local.names.lake}")
  shared_lake    = try(tostring(local.shared.existing.lake), replace(local.words.lake, "{environment}", "shared"))
  shared_lake_id = "${local.shared_group_id}/providers/Microsoft.Storage/storageAccounts/${local.shared_lake}"
  lake_id        = local.has_lake ? local.own_lake_id : local.shared_lake_id
  zone_ids = { for zone in local.shared.lake.zones : zone => try(
    azurerm_storage_container.zone[zone].id, "${local.lake_id}/blobServices/default/containers/${zone}",
  ) }
}

# Events are taken in by an event hub, whose Capture writes them into the lake.
module "event_hubs" {
  source = "./modules/event-hubs"
  count  = local.has_lake && try(local.settings.event_hubs, false) ? 1 : 0

  name     = local.names.event_hubs
  group    = local.group
  location = local.location
  tags     = local.tags
  public   = !local.private
  lake_id  = local.own_lake_id
  role_ids = local.own_role_ids["event_hubs"]

  depends_on = [azurerm_storage_container.zone]
}

# A Spark pool for preparation that outgrows one machine.
module "spark" {
  source = "./modules/spark"
  count  = local.has_lake && try(local.settings.spark, false) ? 1 : 0

  name     = local.names.synapse
  group_id = local.group_id
  location = local.location
  tags     = local.tags
  public   = !local.private
  lake_id  = local.own_lake_id
  lake     = local.names.lake
  role_ids = local.own_role_ids["synapse"]

  depends_on = [azurerm_storage_container.zone]
}
