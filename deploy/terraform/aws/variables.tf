variable "gatekeeper_url" {
  description = "The gatekeeper's url, as in gatekeeper.yaml."
  type        = string

  validation {
    condition     = startswith(var.gatekeeper_url, "https://")
    error_message = "AWS takes issuers over https only."
  }
}

variable "repository" {
  description = "The repository that deploys, OWNER/NAME."
  type        = string
}

variable "environment" {
  description = "The environment that is deployed to."
  type        = string
}

variable "role_name" {
  description = "The name of the role; its ARN is the rule's role_arn."
  type        = string
}

variable "policy_arns" {
  description = "What the role may do: managed policies."
  type        = list(string)
  default     = []
}

variable "audience" {
  description = "The audience of the gatekeeper's tokens; the rule's audience."
  type        = string
  default     = "sts.amazonaws.com"
}

variable "max_session_duration" {
  description = "The longest session in seconds; no shorter than the rule's session_duration."
  type        = number
  default     = 3600
}

variable "oidc_provider_arn" {
  description = "The account's OIDC provider for the gatekeeper, where there is one already."
  type        = string
  default     = null
}

variable "gatekeeper_role_arn" {
  description = "The gatekeeper's own role, for exchange: assume_role. Set: no OIDC provider is used."
  type        = string
  default     = null
}

variable "external_id" {
  description = "The rule's external_id, for exchange: assume_role."
  type        = string
  default     = null
}
