variable "gatekeeper_url" {
  description = "The gatekeeper's url, as in gatekeeper.yaml. Vault has to reach its /.well-known/."
  type        = string
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
  description = "The name of the role; the rule's role."
  type        = string
}

variable "audience" {
  description = "The audience of the gatekeeper's tokens: the rule's audience, which is its address where it names none."
  type        = string
}

variable "policies" {
  description = "What the token may do: Vault policies."
  type        = list(string)
}

variable "ttl" {
  description = "How long the token lives, in seconds."
  type        = number
  default     = 1200
}

variable "mount" {
  description = "The path of the jwt auth method; the rule's mount."
  type        = string
  default     = "jwt"
}

variable "create_mount" {
  description = "Whether the auth method and the gatekeeper's policy are made here. False where another role made them."
  type        = bool
  default     = true
}
