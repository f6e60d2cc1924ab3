# What must be true whatever config says. README.md says how to run it; nothing is made.

mock_provider "azurerm" {
  mock_data "azurerm_client_config" {
    defaults = { tenant_id = "00000000-0000-0000-0000-000000000000" }
  }
}

mock_provider "azurerm" {
  alias = "shared"
  mock_data "azurerm_user_assigned_identity" {
    defaults = {
      id           = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/group/providers/Microsoft.ManagedIdentity/userAssignedIdentities/identity"
      principal_id = "00000000-0000-0000-0000-000000000000"
    }
  }
}

mock_provider "azapi" {}

variables {
  environment = "prod"
}

run "production_is_closed_and_kept" {
  command = plan

  assert {
    condition = alltrue([
      for account in azurerm_storage_account.this : !account.shared_access_key_enabled && !account.allow_nested_items_to_be_public
    ])
    error_message = "Storage must have neither keys nor public blobs."
  }
  assert {
    condition = alltrue([
      for workspace in azapi_resource.workspace :
      workspace.body.properties.managedNetwork.isolationMode == "AllowOnlyApprovedOutbound"
    ])
    error_message = "Jobs must reach approved hosts only."
  }
  assert {
    condition = length(azurerm_management_lock.keep) == sum([
      for made in [azurerm_storage_account.this, azurerm_key_vault.this, azurerm_container_registry.this] : length(made)
    ])
    error_message = "What holds data, secrets and images must be locked in production."
  }
  assert {
    condition     = length(terraform_data.protected) == 1
    error_message = "`terraform destroy` must be refused in production."
  }
  assert {
    condition     = length(azurerm_storage_container.zone) == 0
    error_message = "Production's lake belongs to shared."
  }
}

run "people_cannot_read_production_data" {
  command = plan
  variables {
    environment = "shared"
  }

  assert {
    condition = alltrue([
      for key, grant in local.grants_before :
      grant.type == "ServicePrincipal" || grant.principal == "data_governance_processes" || grant.role == "Reader"
      if startswith(key, "lake:")
    ])
    error_message = "Only processes may have a role on the content of production's lake."
  }
}

run "development_has_its_own_lake" {
  command = plan
  variables {
    environment = "dev"
  }

  assert {
    condition     = length(azurerm_storage_container.zone) == (local.make.lake ? length(local.shared.lake.zones) : 0)
    error_message = "Development must have a lake of its own."
  }
}

run "staging_is_like_production" {
  command = plan
  variables {
    environment = "staging"
  }

  assert {
    condition     = length(azurerm_storage_container.zone) == 0
    error_message = "Production's lake belongs to shared."
  }
}

run "no_other_environment" {
  command = plan
  variables {
    environment = "test"
  }
  expect_failures = [var.environment]
}
