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
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.backup.rule).blocked_encryption_types == tolist(["SSE-C"])
    error_message = "nobody may encrypt a backup with a key that only he has"
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
      DenyPlainHttp         = jsonencode({ Bool = { "aws:SecureTransport" = "false" } })
      DenyOldTls            = jsonencode({ NumericLessThan = { "s3:TlsVersion" = "1.2" } })
      DenyOtherEncryption   = jsonencode({ Null = { "s3:x-amz-server-side-encryption" = "false" }, StringNotEquals = { "s3:x-amz-server-side-encryption" = "AES256" } })
      DenyShorterRetention  = jsonencode({ NumericLessThan = { "s3:object-lock-remaining-retention-days" = "40" } })
      DenyLongerRetention   = jsonencode({ NumericGreaterThan = { "s3:object-lock-remaining-retention-days" = "81" } })
      DenyWeakerLockMode    = jsonencode({ Null = { "s3:object-lock-mode" = "false" }, StringNotEquals = { "s3:object-lock-mode" = "COMPLIANCE" } })
      DenyBypassOfRetention = "null"
    }
    error_message = "the bucket policy must refuse plain HTTP, old TLS, other encryption, a weaker lock and one without end"
  }

  assert {
    condition = {
      for statement in jsondecode(aws_s3_bucket_policy.backup.policy).Statement : statement.Sid => join(" ", flatten([statement.Action]))
      } == {
      DenyPlainHttp         = "s3:*"
      DenyOldTls            = "s3:*"
      DenyOtherEncryption   = "s3:PutObject"
      DenyShorterRetention  = "s3:PutObject s3:PutObjectRetention"
      DenyLongerRetention   = "s3:PutObject s3:PutObjectRetention"
      DenyWeakerLockMode    = "s3:PutObject s3:PutObjectRetention"
      DenyBypassOfRetention = "s3:BypassGovernanceRetention"
    }
    error_message = "the bucket policy must refuse each of these for every call that could do it"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_s3_bucket_policy.backup.policy).Statement : statement.Effect == "Deny" && statement.Principal == "*"])
    error_message = "the bucket policy must only take rights away, from everybody"
  }
}

run "lifecycle" {
  command = plan

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.backup.rule[0].filter[0].prefix == "mailserver/daily/" && aws_s3_bucket_lifecycle_configuration.backup.rule[0].expiration[0].days == 70
    error_message = "a daily snapshot must be listed 30 days longer than its lock"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.backup.rule[1].filter[0].prefix == "mailserver/weekly/" && aws_s3_bucket_lifecycle_configuration.backup.rule[1].expiration[0].days == 70
    error_message = "a weekly snapshot must be listed 30 days longer than its lock"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.backup.rule[2].filter[0].prefix == "mailserver/data/" && length(aws_s3_bucket_lifecycle_configuration.backup.rule[2].expiration) == 0
    error_message = "no data may expire by age"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.backup.rule[3].noncurrent_version_expiration[0].noncurrent_days == 40
    error_message = "a replaced version must stay as long as its lock"
  }

  assert {
    condition     = [for each in aws_s3_bucket_lifecycle_configuration.backup.rule[2].transition : "${each.storage_class} ${each.days}"] == ["STANDARD_IA 30"]
    error_message = "data must move to STANDARD_IA: the drill reads it back every month, which the colder classes charge for"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.backup.rule[3].abort_incomplete_multipart_upload[0].days_after_initiation == 7
    error_message = "abandoned uploads must be cleaned up"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.backup.rule[3].expiration[0].expired_object_delete_marker
    error_message = "delete markers without versions must be cleaned up"
  }

  assert {
    condition     = [aws_s3_bucket_lifecycle_configuration.backup.rule[0].status, aws_s3_bucket_lifecycle_configuration.backup.rule[1].status, aws_s3_bucket_lifecycle_configuration.backup.rule[2].status, aws_s3_bucket_lifecycle_configuration.backup.rule[3].status] == ["Enabled", "Enabled", "Enabled", "Enabled"]
    error_message = "no lifecycle rule may be off"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.backup.transition_default_minimum_object_size == "all_storage_classes_128K"
    error_message = "small objects must stay in STANDARD"
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
    condition     = aws_cloudwatch_metric_alarm.cost.treat_missing_data == "missing" && aws_cloudwatch_metric_alarm.cost.actions_enabled
    error_message = "the alarm must not take silence for good news, and must be on"
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
