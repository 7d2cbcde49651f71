# What a user that the API server knows by the gatekeeper's token may do, and
# the API server's configuration that makes it know.

terraform {
  required_version = ">= 1.5"

  required_providers {
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = ">= 2.20"
    }
  }
}

module "subject" {
  source = "../subject"

  repository  = var.repository
  environment = var.environment
}

locals {
  issuer = trimsuffix(var.gatekeeper_url, "/")
  user   = "gatekeeper:${module.subject.subject}"

  # https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
  authentication = {
    apiVersion = "apiserver.config.k8s.io/v1"
    kind       = "AuthenticationConfiguration"
    jwt = [{
      issuer               = { url = local.issuer, audiences = [var.audience] }
      claimValidationRules = [{ expression = "claims.request.startsWith('req_')", message = "no request was approved" }]
      claimMappings = {
        username = { claim = "sub", prefix = "gatekeeper:" }
        groups   = { expression = "['gatekeeper:environment:' + claims.environment]" }
        uid      = { claim = "jti" }
        extra = [
          { key = "gatekeeper.dev/request", valueExpression = "claims.request" },
          { key = "gatekeeper.dev/approvers", valueExpression = "claims.approvers" },
        ]
      }
    }]
  }
}

resource "kubernetes_role_binding_v1" "deploy" {
  for_each = toset(var.namespaces)

  metadata {
    name      = var.binding_name
    namespace = each.value
  }

  role_ref {
    api_group = "rbac.authorization.k8s.io"
    kind      = "ClusterRole"
    name      = var.cluster_role
  }

  subject {
    api_group = "rbac.authorization.k8s.io"
    kind      = "User"
    name      = local.user
  }
}
