# The subject of the gatekeeper's tokens, as sts/issuer spells it: the
# environment in lower case, colons of either part as %3A. It needs no provider.

variable "repository" {
  description = "The repository that deploys, OWNER/NAME, as its CI spells it."
  type        = string

  validation {
    condition     = length(split("/", var.repository)) >= 2
    error_message = "The repository is OWNER/NAME."
  }
}

variable "environment" {
  description = "The environment that is deployed to."
  type        = string

  validation {
    condition     = var.environment != ""
    error_message = "The environment is missing: without it every approval would open what this is for."
  }
}

locals {
  repository  = replace(replace(var.repository, "%", "%25"), ":", "%3A")
  environment = replace(replace(lower(var.environment), "%", "%25"), ":", "%3A")
}

output "subject" {
  description = "The sub of the gatekeeper's tokens for this repository and environment."
  value       = "repo:${local.repository}:environment:${local.environment}"
}

output "environment" {
  description = "The environment claim of these tokens."
  value       = lower(var.environment)
}
