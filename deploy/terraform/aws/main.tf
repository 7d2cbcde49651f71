# A role that trusts the gatekeeper alone: its own OIDC issuer
# (exchange: gatekeeper_token), or its own AWS identity (exchange: assume_role).

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

module "subject" {
  source = "../subject"

  repository  = var.repository
  environment = var.environment
}

locals {
  host     = trimsuffix(trimprefix(var.gatekeeper_url, "https://"), "/")
  by_token = var.gatekeeper_role_arn == null
  provider = var.oidc_provider_arn != null ? var.oidc_provider_arn : one(aws_iam_openid_connect_provider.gatekeeper[*].arn)
}

# One for an account: later roles name it by oidc_provider_arn.
resource "aws_iam_openid_connect_provider" "gatekeeper" {
  count = local.by_token && var.oidc_provider_arn == null ? 1 : 0

  url            = "https://${local.host}"
  client_id_list = [var.audience]
}

data "aws_iam_policy_document" "trust" {
  statement {
    # The last two let the session say which request it is and who approved.
    actions = [local.by_token ? "sts:AssumeRoleWithWebIdentity" : "sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]

    principals {
      type        = local.by_token ? "Federated" : "AWS"
      identifiers = [local.by_token ? local.provider : var.gatekeeper_role_arn]
    }

    dynamic "condition" {
      for_each = local.by_token ? { "${local.host}:aud" = var.audience, "${local.host}:sub" = module.subject.subject } : {
        "aws:RequestTag/repository"  = var.repository
        "aws:RequestTag/environment" = module.subject.environment
      }

      content {
        test     = "StringEquals"
        variable = condition.key
        values   = [condition.value]
      }
    }

    dynamic "condition" {
      for_each = local.by_token || var.external_id == null ? [] : [var.external_id]

      content {
        test     = "StringEquals"
        variable = "sts:ExternalId"
        values   = [condition.value]
      }
    }
  }
}

resource "aws_iam_role" "deploy" {
  name                 = var.role_name
  description          = "Assumed through ${local.host} for ${module.subject.subject}"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = var.max_session_duration
}

resource "aws_iam_role_policy_attachment" "deploy" {
  for_each = toset(var.policy_arns)

  role       = aws_iam_role.deploy.name
  policy_arn = each.value
}
