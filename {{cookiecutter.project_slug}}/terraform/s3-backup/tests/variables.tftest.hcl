# Every validation of variables.tf refuses what it is there to refuse, and good values pass.
# Run with: terraform test (no AWS account is used)

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  name               = "mailserver"
  environment        = "production"
  aws_region         = "eu-central-1"
  backup_bucket      = "example-com-mail-backup"
  state_bucket       = "example-com-mail-tfstate"
  backup_prefix      = "mailserver/"
  object_lock_days   = 30
  monthly_budget_usd = 10
  admin_email        = "admin@example.com"
}

run "accepts_smallest_values" {
  command = plan

  variables {
    object_lock_days   = 1
    expire_after_days  = 2
    monthly_budget_usd = 0.01
  }
}

run "accepts_largest_values" {
  command = plan

  variables {
    object_lock_days = 36500
  }
}

run "accepts_staging_with_a_bucket_of_its_own" {
  command = plan

  variables {
    environment   = "staging"
    backup_bucket = "example-com-mail-backup-staging"
  }
}

run "refuses_name_in_capitals" {
  command = plan

  variables {
    name = "Mail"
  }

  expect_failures = [var.name]
}

run "refuses_name_too_long_for_a_role" {
  command = plan

  variables {
    name = "a23456789012345678901234567890123456789012"
  }

  expect_failures = [var.name]
}

run "refuses_environment_unknown" {
  command = plan

  variables {
    environment = "test"
  }

  expect_failures = [var.environment]
}

run "refuses_owner_empty" {
  command = plan

  variables {
    owner = ""
  }

  expect_failures = [var.owner]
}

run "refuses_region_unknown" {
  command = plan

  variables {
    aws_region = "eu-middle-1"
  }

  expect_failures = [var.aws_region]
}

run "refuses_region_of_another_partition" {
  command = plan

  variables {
    aws_region = "cn-north-1"
  }

  expect_failures = [var.aws_region]
}

run "refuses_bucket_with_dots" {
  command = plan

  variables {
    backup_bucket = "mail.example.com"
  }

  expect_failures = [var.backup_bucket]
}

run "refuses_bucket_in_capitals" {
  command = plan

  variables {
    backup_bucket = "Example-Backup"
  }

  expect_failures = [var.backup_bucket]
}

run "refuses_bucket_too_short" {
  command = plan

  variables {
    backup_bucket = "ab"
  }

  expect_failures = [var.backup_bucket]
}

run "refuses_bucket_with_a_reserved_beginning" {
  command = plan

  variables {
    backup_bucket = "xn--backup"
  }

  expect_failures = [var.backup_bucket]
}

run "refuses_bucket_with_a_reserved_end" {
  command = plan

  variables {
    backup_bucket = "backup--x-s3"
  }

  expect_failures = [var.backup_bucket]
}

run "refuses_bucket_that_holds_the_state" {
  command = plan

  variables {
    backup_bucket = "example-com-mail-tfstate"
  }

  expect_failures = [var.backup_bucket]
}

run "refuses_staging_with_the_bucket_of_production" {
  command = plan

  variables {
    environment = "staging"
  }

  expect_failures = [var.backup_bucket]
}

run "refuses_production_with_the_bucket_of_staging" {
  command = plan

  variables {
    backup_bucket = "example-com-mail-backup-staging"
  }

  expect_failures = [var.backup_bucket]
}

run "refuses_prefix_without_slash" {
  command = plan

  variables {
    backup_prefix = "mailserver"
  }

  expect_failures = [var.backup_prefix]
}

run "refuses_prefix_with_a_wildcard" {
  command = plan

  variables {
    backup_prefix = "*/"
  }

  expect_failures = [var.backup_prefix]
}

run "refuses_prefix_of_the_whole_bucket" {
  command = plan

  variables {
    backup_prefix = "/"
  }

  expect_failures = [var.backup_prefix]
}

run "refuses_no_lock_days" {
  command = plan

  variables {
    object_lock_days = 0
  }

  expect_failures = [var.object_lock_days]
}

run "refuses_half_a_lock_day" {
  command = plan

  variables {
    object_lock_days = 1.5
  }

  expect_failures = [var.object_lock_days]
}

run "refuses_more_lock_days_than_s3_takes" {
  command = plan

  variables {
    object_lock_days = 36501
  }

  expect_failures = [var.object_lock_days]
}

run "refuses_expiry_on_the_day_the_lock_ends" {
  command = plan

  variables {
    expire_after_days = 30
  }

  expect_failures = [var.expire_after_days]
}

run "refuses_expiry_in_half_days" {
  command = plan

  variables {
    expire_after_days = 60.5
  }

  expect_failures = [var.expire_after_days]
}

run "refuses_no_budget" {
  command = plan

  variables {
    monthly_budget_usd = 0
  }

  expect_failures = [var.monthly_budget_usd]
}

run "refuses_negative_budget" {
  command = plan

  variables {
    monthly_budget_usd = -5
  }

  expect_failures = [var.monthly_budget_usd]
}

run "refuses_no_e_mail" {
  command = plan

  variables {
    admin_email = ""
  }

  expect_failures = [var.admin_email]
}

run "refuses_e_mail_without_domain" {
  command = plan

  variables {
    admin_email = "admin@localhost"
  }

  expect_failures = [var.admin_email]
}

run "refuses_restore_by_a_wildcard" {
  command = plan

  variables {
    restore_principal_arns = ["*"]
  }

  expect_failures = [var.restore_principal_arns]
}

run "refuses_github_repository_with_a_wildcard" {
  command = plan

  variables {
    github_repository = "example/*"
  }

  expect_failures = [var.github_repository]
}

run "refuses_github_repository_without_owner" {
  command = plan

  variables {
    github_repository = "mailserver"
  }

  expect_failures = [var.github_repository]
}

run "refuses_state_bucket_in_capitals" {
  command = plan

  variables {
    state_bucket = "State"
  }

  expect_failures = [var.state_bucket]
}

run "refuses_state_key_with_a_wildcard" {
  command = plan

  variables {
    state_key = "*.tfstate"
  }

  expect_failures = [var.state_key]
}

run "refuses_state_lock_table_with_a_wildcard" {
  command = plan

  variables {
    state_lock_table = "*"
  }

  expect_failures = [var.state_lock_table]
}

run "refuses_a_github_owner_by_name" {
  command = plan

  variables {
    github_owner_id      = "example"
    github_repository_id = "456789"
  }

  expect_failures = [var.github_owner_id]
}

run "refuses_a_github_owner_without_its_repository" {
  command = plan

  variables {
    github_owner_id = "123456"
  }

  expect_failures = [var.github_owner_id]
}

run "refuses_a_github_repository_by_name" {
  command = plan

  variables {
    github_owner_id      = "123456"
    github_repository_id = "*"
  }

  expect_failures = [var.github_repository_id]
}

run "refuses_a_github_environment_with_a_wildcard" {
  command = plan

  variables {
    github_environment = "*"
  }

  expect_failures = [var.github_environment]
}
