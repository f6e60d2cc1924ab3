terraform {
  required_version = ">= 1.9, < 2.0"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 5.10"
    }
    azapi = { # for what azurerm does not know; each use says why
      source  = "Azure/azapi"
      version = "~> 2.13"
    }
  }
}

provider "azurerm" {
  subscription_id                 = local.azure.subscription
  resource_provider_registrations = "none" # `mlops bootstrap` registers what is needed, once
  storage_use_azuread             = true

  features {
    key_vault {
      purge_soft_delete_on_destroy = false
    }
    resource_group {
      prevent_deletion_if_contains_resources = true
    }
  }
}

# Where the registry, production's lake and the identities are.
provider "azurerm" {
  alias                           = "shared"
  subscription_id                 = local.config.shared.registry.subscription
  resource_provider_registrations = "none"
  features {}
}

provider "azapi" {
  subscription_id = local.azure.subscription
}
