output "role" {
  description = "The rule's role."
  value       = vault_jwt_auth_backend_role.deploy.role_name
}

output "mount" {
  description = "The rule's mount."
  value       = vault_jwt_auth_backend_role.deploy.backend
}

output "revoke_policy" {
  description = "The policy of the token that vault.token_file in gatekeeper.yaml names."
  value       = one(vault_policy.revoke[*].name)
}
