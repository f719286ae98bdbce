# Defaults are the answers given when this repository was made, so that a plain
# `terraform plan -out=tfplan` works on a fresh checkout and in CI.
# terraform.tfvars (not committed) overrides them.

variable "name" {
  description = "Prefix of the names of users, roles, policies, alarm and topic."
  type        = string
  default     = "{{ cookiecutter.project_slug[:40].strip('-') }}"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.name))
    error_message = "name: use 1 to 40 lower-case letters, digits and hyphens, starting with a letter, for example \"mailserver\" (longer names do not fit into a role name)."
  }
}

variable "environment" {
  description = "Environment that this state belongs to; part of every name and tag."
  type        = string
  default     = "production"
  nullable    = false

  validation {
    condition     = contains(["production", "staging", "development"], var.environment)
    error_message = "environment: \"${var.environment}\" is unknown; use production, staging or development."
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

variable "aws_region" {
  description = "Region of the backup bucket. The cost alarm always lives in us-east-1."
  type        = string
  default     = "{{ cookiecutter.aws_region }}"
  nullable    = false

  validation {
    condition     = can(regex("^(af|ap|ca|eu|il|me|mx|sa|us)-(central|north|south|(north|south)?(east|west))-[1-9]$", var.aws_region))
    error_message = "aws_region: \"${var.aws_region}\" is not a commercial AWS region; use one such as ap-northeast-1, eu-central-1 or us-east-1."
  }
}

variable "backup_bucket" {
  description = "Name of the backup bucket, unique in all of AWS. Outside production it ends in -<environment>."
  type        = string
  default     = "{{ cookiecutter.backup_bucket }}"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.backup_bucket))
    error_message = "backup_bucket: \"${var.backup_bucket}\" is not a usable bucket name; use 3 to 63 lower-case letters, digits and hyphens (no dots: they break TLS), for example \"example-com-mail-backup\"."
  }

  validation {
    condition     = !can(regex("^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|--x-s3|--table-s3)$", var.backup_bucket))
    error_message = "backup_bucket: \"${var.backup_bucket}\" has a beginning or an end that AWS reserves; use a name such as \"example-com-mail-backup\"."
  }

  validation {
    condition     = var.backup_bucket != var.state_bucket
    error_message = "backup_bucket: \"${var.backup_bucket}\" is also the state_bucket; use two buckets, the state must not fall under the lock."
  }

  # Two environments can never share a bucket: each name fits exactly one of them.
  validation {
    condition     = var.environment == "production" ? !can(regex("-(staging|development)$", var.backup_bucket)) : endswith(var.backup_bucket, "-${var.environment}")
    error_message = "backup_bucket: \"${var.backup_bucket}\" does not belong to environment ${var.environment}; outside production use a name that ends in -<environment>, such as \"example-com-mail-backup-staging\", and in production one that does not."
  }
}

variable "backup_prefix" {
  description = "Folder of the bucket that the host uploads to; nothing outside it is open to the host."
  type        = string
  default     = "{{ cookiecutter.project_slug }}/"
  nullable    = false

  validation {
    condition     = can(regex("^([A-Za-z0-9_.-]+/)+$", var.backup_prefix))
    error_message = "backup_prefix: use folder names that end in a slash and do not start with one, for example \"mailserver/\"."
  }
}

#% filter replace("default     = 90", "default     = " ~ cookiecutter.object_lock_days)
variable "object_lock_days" {
  description = "Days for which nobody, not even the account's root user, can delete an uploaded version."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.object_lock_days >= 1 && var.object_lock_days <= 36500 && floor(var.object_lock_days) == var.object_lock_days
    error_message = "object_lock_days: ${var.object_lock_days} is not possible; use a whole number from 1 to 36500, for example 90. A lock in COMPLIANCE mode cannot be taken back."
  }
}

#% endfilter
variable "expire_after_days" {
  description = "Days after which a snapshot is no longer listed; null means 30 days after its lock ended. S3 only hides it then: it is deleted, and paid for, object_lock_days later."
  type        = number
  default     = null

  validation {
    condition     = var.expire_after_days == null || try(var.expire_after_days > var.object_lock_days && floor(var.expire_after_days) == var.expire_after_days, false)
    error_message = "expire_after_days: use a whole number above object_lock_days (${var.object_lock_days}), for example ${var.object_lock_days + 30}, or leave it out; a backup must not expire before its lock ends."
  }
}

#% filter replace("default     = 10", "default     = " ~ cookiecutter.monthly_budget_usd)
variable "monthly_budget_usd" {
  description = "Charges of the whole account in a month, in US dollars, above which the alarm goes off."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.monthly_budget_usd > 0
    error_message = "monthly_budget_usd: ${var.monthly_budget_usd} is not possible; use an amount above 0 in US dollars, for example 10."
  }
}

#% endfilter
variable "admin_email" {
  description = "Address that the cost alarm writes to. AWS asks it to confirm the subscription once."
  type        = string
  default     = "{{ cookiecutter.admin_email }}"
  nullable    = false

  validation {
    condition     = can(regex("^[^@[:space:]]+@[^@[:space:]]+[.][A-Za-z0-9-]{2,}$", var.admin_email))
    error_message = "admin_email: \"${var.admin_email}\" is not an e-mail address; use one that a person reads, for example \"admin@example.com\"."
  }
}

variable "restore_principal_arns" {
  description = "ARNs that may assume the restore role, always with MFA; empty means whoever this account allows."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.restore_principal_arns : can(regex("^arn:aws:iam::[0-9]{12}:(root|user/.+|role/.+)$", arn))])
    error_message = "restore_principal_arns: use ARNs of IAM users or roles, for example \"arn:aws:iam::123456789012:user/admin\"."
  }
}

variable "github_repository" {
  description = "GitHub repository (owner/name) whose workflows may plan and apply; null makes no GitHub roles."
  type        = string
  default     = null

  validation {
    condition     = var.github_repository == null || can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository: use owner/name without wildcards, for example \"example/mailserver\"."
  }
}

variable "github_owner_id" {
  description = "Number of the repository's owner at GitHub (gh api repos/OWNER/NAME --jq .owner.id). A repository made or renamed since 2026-07-15 needs it."
  type        = string
  default     = null

  validation {
    condition     = var.github_owner_id == null || can(regex("^[1-9][0-9]*$", var.github_owner_id))
    error_message = "github_owner_id: use the number that this prints: gh api repos/OWNER/NAME --jq .owner.id"
  }

  validation {
    condition     = (var.github_owner_id == null) == (var.github_repository_id == null)
    error_message = "github_owner_id: set it together with github_repository_id, or neither of them."
  }
}

variable "github_repository_id" {
  description = "Number of the repository at GitHub (gh api repos/OWNER/NAME --jq .id)."
  type        = string
  default     = null

  validation {
    condition     = var.github_repository_id == null || can(regex("^[1-9][0-9]*$", var.github_repository_id))
    error_message = "github_repository_id: use the number that this prints: gh api repos/OWNER/NAME --jq .id"
  }
}

#% filter replace("default     = \"aws\"", "default     = " ~ ('"aws"' if cookiecutter.github_environments else "null"))
variable "github_environment" {
  description = "GitHub environment whose jobs may apply: it has a required reviewer and takes the branch main only. null: any job on main, where the plan of GitHub has no environments."
  type        = string
  default     = "aws"

  validation {
    condition     = var.github_environment == null || can(regex("^[A-Za-z0-9_-]{1,100}$", var.github_environment))
    error_message = "github_environment: use letters, digits, hyphens and underscores, for example \"aws\"."
  }
}

#% endfilter
variable "create_github_oidc_provider" {
  description = "Whether to make GitHub's identity provider; false if this account already has it (there can be only one)."
  type        = bool
  default     = true
  nullable    = false
}

variable "state_bucket" {
  description = "Bucket that holds this state, as in provider.tf; the GitHub roles may read or write it."
  type        = string
  default     = "{{ cookiecutter.state_bucket }}"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.state_bucket))
    error_message = "state_bucket: \"${var.state_bucket}\" is not a usable bucket name; use 3 to 63 lower-case letters, digits and hyphens, for example \"example-com-terraform-state\"."
  }
}

variable "state_key" {
  description = "Key of this state in the state bucket, as in provider.tf."
  type        = string
  default     = "mailserver/s3-backup/terraform.tfstate"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*[.]tfstate$", var.state_key))
    error_message = "state_key: use a path without wildcards that ends in .tfstate, for example \"mailserver/s3-backup/terraform.tfstate\"."
  }
}

variable "state_lock_table" {
  description = "DynamoDB table that locks this state, if dynamodb_override.tf is in use; null if S3 locks it."
  type        = string
  default     = null

  validation {
    condition     = var.state_lock_table == null || can(regex("^[A-Za-z0-9_.-]{3,255}$", var.state_lock_table))
    error_message = "state_lock_table: use the table's name, for example \"terraform-state-lock\", or leave it out."
  }
}
