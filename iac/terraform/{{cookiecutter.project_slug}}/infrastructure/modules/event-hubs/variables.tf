variable "name" {
  description = "Name of the namespace, unique world-wide."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]$", var.name))
    error_message = "${var.name} is not 6 to 50 letters, digits and hyphens."
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
