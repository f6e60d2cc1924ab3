variable "environment" {
  description = "Which part of the estate. Apply shared first."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["shared", "dev", "staging", "prod"], var.environment)
    error_message = "There is no environment ${var.environment}: choose among shared, dev, staging and prod."
  }
}
