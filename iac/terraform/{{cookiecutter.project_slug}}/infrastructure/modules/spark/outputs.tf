output "id" {
  description = "Id of the Synapse workspace."
  value       = azapi_resource.synapse.id
}
