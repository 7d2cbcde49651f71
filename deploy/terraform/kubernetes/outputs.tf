output "user" {
  description = "Who the token's bearer is to the API server."
  value       = local.user
}

output "authentication_configuration" {
  description = "The file that the API server's --authentication-config names."
  value       = yamlencode(local.authentication)
}
