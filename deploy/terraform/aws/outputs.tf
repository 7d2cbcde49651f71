output "role_arn" {
  description = "The rule's role_arn."
  value       = aws_iam_role.deploy.arn
}

output "oidc_provider_arn" {
  description = "The account's OIDC provider for the gatekeeper, for the next role's oidc_provider_arn."
  value       = local.by_token ? local.provider : null
}
