variable "aws_region" {
  description = "Region of the state bucket, as in the backend of s3-backup/provider.tf."
  type        = string
  default     = "{{ cookiecutter.aws_region }}"
  nullable    = false

  validation {
    condition     = can(regex("^(af|ap|ca|eu|il|me|mx|sa|us)-(central|north|south|(north|south)?(east|west))-[1-9]$", var.aws_region))
    error_message = "aws_region: \"${var.aws_region}\" is not a commercial AWS region; use one such as ap-northeast-1, eu-central-1 or us-east-1."
  }
}

variable "state_bucket" {
  description = "Name of the state bucket, as in the backend of s3-backup/provider.tf."
  type        = string
  default     = "{{ cookiecutter.state_bucket }}"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.state_bucket))
    error_message = "state_bucket: \"${var.state_bucket}\" is not a usable bucket name; use 3 to 63 lower-case letters, digits and hyphens, for example \"example-com-terraform-state\"."
  }
}

variable "owner" {
  description = "Value of the Owner tag: whom to ask about these resources."
  type        = string
  default     = "admin"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9 _.:/=+@-]{1,256}$", var.owner))
    error_message = "owner: use 1 to 256 letters, digits, spaces or _.:/=+@-, for example \"admin\"."
  }
}

variable "create_lock_table" {
  description = "Whether to make the DynamoDB table that locks the state for Terraform and OpenTofu before 1.10."
  type        = bool
  default     = false
  nullable    = false
}

variable "lock_table" {
  description = "Name of that table, as in s3-backup/dynamodb_override.tf.example."
  type        = string
  default     = "terraform-state-lock"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{3,255}$", var.lock_table))
    error_message = "lock_table: use 3 to 255 letters, digits, dots, hyphens or underscores, for example \"terraform-state-lock\"."
  }
}
