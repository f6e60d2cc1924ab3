output "id" {
  description = "Id of the namespace."
  value       = azurerm_eventhub_namespace.this.id
}
