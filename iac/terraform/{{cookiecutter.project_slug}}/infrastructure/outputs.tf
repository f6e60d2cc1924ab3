output "names" {
  description = "The names of what was made, by kind: pipelines read them."
  value       = local.names
}

output "resource_group" {
  description = "The resource group of this environment."
  value       = local.azure.resource_group
}
