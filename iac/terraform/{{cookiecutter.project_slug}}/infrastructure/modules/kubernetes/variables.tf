variable "name" {
  description = "Name of the cluster."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,61}[A-Za-z0-9]$", var.name))
    error_message = "${var.name} is not 2 to 63 letters, digits, hyphens and underscores."
  }
}

variable "group" {
  description = "Name of the resource group."
  type        = string
}

variable "location" {
  description = "Azure region."
  type        = string
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
}

variable "settings" {
  description = "infrastructure.kubernetes in config."
  type = object({
    size  = string
    nodes = object({ min = number, max = number })
    tls   = object({ host = string, secret = string })
    arc   = string
  })

  validation {
    condition     = var.settings.arc != "" || (var.settings.tls.host != "" && var.settings.tls.secret != "")
    error_message = "infrastructure.kubernetes.tls is empty: `mlops check --infrastructure` says what to write."
  }
  validation {
    condition     = var.settings.nodes.min >= 1 && var.settings.nodes.min <= var.settings.nodes.max
    error_message = "infrastructure.kubernetes.nodes: min is at least 1 and at most max."
  }
}

variable "public" {
  description = "Whether the API server is reached over the internet."
  type        = bool
}

variable "ranges" {
  description = "Ranges of public addresses that may reach it; none leaves it to sign-in."
  type        = list(string)
}

variable "logs_id" {
  description = "Id of the Log Analytics workspace."
  type        = string
}

variable "workspace_id" {
  description = "Id of the Azure ML workspace."
  type        = string
}

variable "compute" {
  description = "Name under which the workspace knows the cluster."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{1,15}$", var.compute))
    error_message = "${var.compute} is not 2 to 16 letters, digits and hyphens."
  }
}

variable "identity_id" {
  description = "Id of the identity of jobs."
  type        = string
}
