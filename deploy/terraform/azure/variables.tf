variable "gatekeeper_url" {
  description = "The gatekeeper's url, as in gatekeeper.yaml."
  type        = string

  validation {
    condition     = startswith(var.gatekeeper_url, "https://")
    error_message = "Entra ID takes issuers over https only."
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

variable "display_name" {
  description = "The name of the application."
  type        = string
}

variable "audience" {
  description = "The audience of the gatekeeper's tokens; the rule's audience."
  type        = string
  default     = "api://AzureADTokenExchange"
}

variable "role_assignments" {
  description = "What the application may do: role name to scope, such as { Contributor = \"/subscriptions/ID/resourceGroups/payments\" }."
  type        = map(string)
  default     = {}
}
