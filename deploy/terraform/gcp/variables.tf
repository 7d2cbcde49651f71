variable "gatekeeper_url" {
  description = "The gatekeeper's url, as in gatekeeper.yaml."
  type        = string

  validation {
    condition     = startswith(var.gatekeeper_url, "https://")
    error_message = "Google takes issuers over https only."
  }
}

variable "project" {
  description = "The project's id."
  type        = string
}

variable "repository" {
  description = "The repository that deploys, OWNER/NAME. With the environment it makes a subject of 127 bytes at most."
  type        = string
}

variable "environment" {
  description = "The environment that is deployed to."
  type        = string
}

variable "account_id" {
  description = "The service account's id, before the @."
  type        = string
}

variable "roles" {
  description = "What the service account may do in the project."
  type        = list(string)
  default     = []
}

variable "pool_id" {
  description = "The id of the pool."
  type        = string
  default     = "gatekeeper"
}

variable "provider_id" {
  description = "The id of the pool's provider."
  type        = string
  default     = "gatekeeper"
}

variable "pool_name" {
  description = "The pool's full name, where there is one already: projects/NUMBER/locations/global/workloadIdentityPools/ID."
  type        = string
  default     = null
}
