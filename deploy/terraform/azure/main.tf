# An application with a federated credential for the gatekeeper's tokens, and
# the roles that it has.

terraform {
  required_version = ">= 1.5"

  required_providers {
    azuread = {
      source  = "hashicorp/azuread"
      version = ">= 3.0"
    }
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.0"
    }
  }
}

module "subject" {
  source = "../subject"

  repository  = var.repository
  environment = var.environment
}

data "azuread_client_config" "current" {}

resource "azuread_application" "deploy" {
  display_name = var.display_name
}

resource "azuread_service_principal" "deploy" {
  client_id = azuread_application.deploy.client_id
}

# Entra ID compares all three letter by letter.
resource "azuread_application_federated_identity_credential" "gatekeeper" {
  application_id = azuread_application.deploy.id
  display_name   = "gatekeeper"
  description    = "Approved deployments of ${var.repository} to ${var.environment}"
  issuer         = trimsuffix(var.gatekeeper_url, "/")
  subject        = module.subject.subject
  audiences      = [var.audience]
}

resource "azurerm_role_assignment" "deploy" {
  for_each = var.role_assignments

  scope                = each.value
  role_definition_name = each.key
  principal_id         = azuread_service_principal.deploy.object_id
}
