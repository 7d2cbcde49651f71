variable "gatekeeper_url" {
  description = "The gatekeeper's url, as in gatekeeper.yaml. The API server has to reach its /.well-known/."
  type        = string

  validation {
    condition     = startswith(var.gatekeeper_url, "https://")
    error_message = "Kubernetes takes issuers over https only."
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

variable "audience" {
  description = "The audience of the gatekeeper's tokens: the rule's audience, one for each cluster."
  type        = string
}

variable "namespaces" {
  description = "Where the role is given."
  type        = list(string)
}

variable "cluster_role" {
  description = "The ClusterRole that is given in these namespaces."
  type        = string
  default     = "edit"
}

variable "binding_name" {
  description = "The name of the role bindings."
  type        = string
  default     = "gatekeeper-deploy"
}
