# A workload identity pool that trusts the gatekeeper's issuer alone, and a
# service account that one repository's environment may become.

terraform {
  required_version = ">= 1.5"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 5.0"
    }
  }
}

module "subject" {
  source = "../subject"

  repository  = var.repository
  environment = var.environment
}

locals {
  pool = var.pool_name != null ? var.pool_name : one(google_iam_workload_identity_pool.gatekeeper[*].name)
}

# One for a project: later service accounts name it by pool_name.
resource "google_iam_workload_identity_pool" "gatekeeper" {
  count = var.pool_name == null ? 1 : 0

  project                   = var.project
  workload_identity_pool_id = var.pool_id
  display_name              = "Gatekeeper"
  description               = "Deployments that ${var.gatekeeper_url} approved"
}

resource "google_iam_workload_identity_pool_provider" "gatekeeper" {
  count = var.pool_name == null ? 1 : 0

  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.gatekeeper[0].workload_identity_pool_id
  workload_identity_pool_provider_id = var.provider_id
  display_name                       = "Gatekeeper"

  attribute_mapping = {
    "google.subject"        = "assertion.sub"
    "attribute.repository"  = "assertion.repository"
    "attribute.environment" = "assertion.environment"
    "attribute.request"     = "assertion.request"
  }

  # Tokens without a request are none that somebody decided on.
  attribute_condition = "assertion.request.startsWith('req_')"

  oidc {
    issuer_uri = trimsuffix(var.gatekeeper_url, "/")
  }
}

resource "google_service_account" "deploy" {
  project      = var.project
  account_id   = var.account_id
  display_name = "Deploys ${var.repository} to ${var.environment}"
}

resource "google_service_account_iam_member" "gatekeeper" {
  service_account_id = google_service_account.deploy.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/${local.pool}/subject/${module.subject.subject}"
}

resource "google_project_iam_member" "deploy" {
  for_each = toset(var.roles)

  project = var.project
  role    = each.value
  member  = google_service_account.deploy.member
}
