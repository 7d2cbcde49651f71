output "client_id" {
  description = "The rule's client_id."
  value       = azuread_application.deploy.client_id
}

output "tenant_id" {
  description = "The rule's tenant_id."
  value       = data.azuread_client_config.current.tenant_id
}
