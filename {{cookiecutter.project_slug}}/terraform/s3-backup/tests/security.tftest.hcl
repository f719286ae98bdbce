# What protects the backups, read from the plan.
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
  object_lock_days   = 40
  monthly_budget_usd = 12.5
  admin_email        = "admin@example.com"
}

run "bucket" {
  command = plan

  assert {
    condition     = aws_s3_bucket.backup.bucket == "example-com-mail-backup" && aws_s3_bucket.backup.object_lock_enabled
    error_message = "the bucket must be made with Object Lock"
  }

  assert {
    condition     = aws_s3_bucket.backup.force_destroy == false
    error_message = "the bucket must not be emptied when it is destroyed"
  }

  assert {
    condition     = aws_s3_bucket_versioning.backup.versioning_configuration[0].status == "Enabled"
    error_message = "versioning must be on"
  }

  assert {
    condition     = one(aws_s3_bucket_object_lock_configuration.backup.rule).default_retention[0].mode == "COMPLIANCE"
    error_message = "the lock must be in COMPLIANCE mode: in GOVERNANCE mode an administrator can delete"
  }

  assert {
    condition     = one(aws_s3_bucket_object_lock_configuration.backup.rule).default_retention[0].days == 40
    error_message = "the lock must last for object_lock_days"
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.backup.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "uploads must be encrypted by default"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.backup.block_public_acls,
      aws_s3_bucket_public_access_block.backup.block_public_policy,
      aws_s3_bucket_public_access_block.backup.ignore_public_acls,
      aws_s3_bucket_public_access_block.backup.restrict_public_buckets,
    ])
    error_message = "every kind of public access must be blocked"
  }

  assert {
    condition     = one(aws_s3_bucket_ownership_controls.backup.rule).object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs must be off"
  }

  assert {
    condition = {
      for statement in jsondecode(aws_s3_bucket_policy.backup.policy).Statement : statement.Sid => jsonencode(try(statement.Condition, null))
      } == {
      DenyPlainHttp                        = jsonencode({ Bool = { "aws:SecureTransport" = "false" } })
      DenyOldTls                           = jsonencode({ NumericLessThan = { "s3:TlsVersion" = "1.2" } })
      DenyUploadsThatDoNotAskForEncryption = jsonencode({ StringNotEquals = { "s3:x-amz-server-side-encryption" = "AES256" } })
      DenyShorterRetention                 = jsonencode({ NumericLessThan = { "s3:object-lock-remaining-retention-days" = "40" } })
      DenyWeakerLockMode                   = jsonencode({ Null = { "s3:object-lock-mode" = "false" }, StringNotEquals = { "s3:object-lock-mode" = "COMPLIANCE" } })
      DenyBypassOfRetention                = "null"
    }
    error_message = "the bucket policy must refuse plain HTTP, old TLS, unencrypted uploads and a weaker lock"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_s3_bucket_policy.backup.policy).Statement : statement.Effect == "Deny" && statement.Principal == "*"])
    error_message = "the bucket policy must only take rights away, from everybody"
  }
}

run "lifecycle" {
  command = plan

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.backup.rule[0].expiration[0].days == 70
    error_message = "a backup must stay 30 days longer than its lock"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.backup.rule[0].noncurrent_version_expiration[0].noncurrent_days == 40
    error_message = "a replaced version must stay as long as its lock"
  }

  assert {
    condition     = [for each in aws_s3_bucket_lifecycle_configuration.backup.rule[0].transition : "${each.storage_class} ${each.days}"] == ["STANDARD_IA 30"]
    error_message = "a backup that is kept for 70 days moves to STANDARD_IA only: GLACIER_IR would be charged for 90 days"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.backup.rule[1].abort_incomplete_multipart_upload[0].days_after_initiation == 7
    error_message = "abandoned uploads must be cleaned up"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.backup.rule[1].expiration[0].expired_object_delete_marker
    error_message = "delete markers without versions must be cleaned up"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.backup.transition_default_minimum_object_size == "all_storage_classes_128K"
    error_message = "small objects must stay in STANDARD"
  }
}

run "lifecycle_of_long_locks_reaches_the_cheapest_class" {
  command = plan

  variables {
    object_lock_days = 365
  }

  assert {
    condition     = toset([for each in aws_s3_bucket_lifecycle_configuration.backup.rule[0].transition : "${each.storage_class} ${each.days}"]) == toset(["STANDARD_IA 30", "GLACIER_IR 90"])
    error_message = "a backup that is kept for a year must move to GLACIER_IR"
  }
}

run "lifecycle_of_short_locks_stays_in_standard" {
  command = plan

  variables {
    object_lock_days = 1
  }

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.backup.rule[0].transition) == 0
    error_message = "a backup that is kept for 31 days must not pay for a class with a minimum of 30 days after day 30"
  }
}

run "cost_alarm" {
  command = plan

  assert {
    condition = toset([
      aws_sns_topic.cost.region, aws_sns_topic_policy.cost.region,
      aws_sns_topic_subscription.cost.region, aws_cloudwatch_metric_alarm.cost.region,
    ]) == toset(["us-east-1"])
    error_message = "billing metrics are in us-east-1, so the alarm and its topic must be there"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.cost.namespace == "AWS/Billing" && aws_cloudwatch_metric_alarm.cost.metric_name == "EstimatedCharges"
    error_message = "the alarm must watch the charges"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.cost.threshold == 12.5 && aws_cloudwatch_metric_alarm.cost.comparison_operator == "GreaterThanThreshold"
    error_message = "the alarm must go off above the budget"
  }

  assert {
    condition     = tomap(aws_cloudwatch_metric_alarm.cost.dimensions) == tomap({ Currency = "USD" })
    error_message = "the alarm must watch the whole account in US dollars"
  }

  assert {
    condition     = aws_sns_topic_subscription.cost.protocol == "email" && aws_sns_topic_subscription.cost.endpoint == "admin@example.com"
    error_message = "the alarm must reach a person"
  }

  assert {
    condition = jsondecode(aws_sns_topic_policy.cost.policy).Statement[0].Condition == {
      StringEquals = { "aws:SourceAccount" = "123456789012" }
      ArnEquals    = { "aws:SourceArn" = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:mailserver-production-cost" }
    }
    error_message = "only this alarm may publish to the topic"
  }
}
