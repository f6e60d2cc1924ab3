variable "name" {
  description = "Name of the Synapse workspace, unique world-wide."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{2,47}[A-Za-z0-9]$", var.name))
    error_message = "${var.name} is not 4 to 49 letters, digits and hyphens."
  }
}

variable "group_id" {
  description = "Id of the resource group."
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

variable "public" {
  description = "Whether it is reached over the internet."
  type        = bool
}

variable "lake_id" {
  description = "Id of the lake's storage account."
  type        = string
}

variable "role_ids" {
  description = "Ids of the roles that its identity has on the lake."
  type        = list(string)
}

variable "lake" {
  description = "Name of the lake's storage account."
  type        = string
}
