# A jwt auth method of Vault or OpenBao that trusts the gatekeeper's issuer
# alone, a role for one repository's environment, and the policy of the token
# by which the gatekeeper revokes.

terraform {
  required_version = ">= 1.5"

  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = ">= 4.0"
    }
  }
}

module "subject" {
  source = "../subject"

  repository  = var.repository
  environment = var.environment
}

# One for a Vault: later roles name its path by mount and leave it alone.
resource "vault_jwt_auth_backend" "gatekeeper" {
  count = var.create_mount ? 1 : 0

  path               = var.mount
  type               = "jwt"
  description        = "Deployments that ${var.gatekeeper_url} approved"
  oidc_discovery_url = trimsuffix(var.gatekeeper_url, "/")
  bound_issuer       = trimsuffix(var.gatekeeper_url, "/")
}

resource "vault_jwt_auth_backend_role" "deploy" {
  backend   = var.create_mount ? vault_jwt_auth_backend.gatekeeper[0].path : var.mount
  role_name = var.role_name
  role_type = "jwt"

  user_claim      = "sub"
  bound_audiences = [var.audience]
  bound_subject   = module.subject.subject
  bound_claims    = { environment = module.subject.environment }

  # Vault's audit log shows them with each use of the token.
  claim_mappings = {
    request    = "request"
    repository = "repository"
    run_id     = "run_id"
    sha        = "sha"
  }

  token_policies         = var.policies
  token_ttl              = var.ttl
  token_explicit_max_ttl = var.ttl
  token_type             = "service" # batch tokens cannot be revoked
}

resource "vault_policy" "revoke" {
  count = var.create_mount ? 1 : 0

  name   = "gatekeeper-revoke"
  policy = <<-EOT
    path "auth/token/revoke-accessor" {
      capabilities = ["update"]
    }
  EOT
}
