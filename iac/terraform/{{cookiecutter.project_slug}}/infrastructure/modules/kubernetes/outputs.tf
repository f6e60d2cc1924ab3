output "id" {
  description = "Id of the cluster that is made; empty for one of Azure Arc."
  value       = try(azurerm_kubernetes_cluster.this[0].id, "")
}
