output "workload_identity_provider" {
  description = "The rule's workload_identity_provider."
  value       = "${local.pool}/providers/${var.provider_id}"
}

output "service_account" {
  description = "The rule's service_account."
  value       = google_service_account.deploy.email
}

output "pool_name" {
  description = "For the next service account's pool_name."
  value       = local.pool
}
