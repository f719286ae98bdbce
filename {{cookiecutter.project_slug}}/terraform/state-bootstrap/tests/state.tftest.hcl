# What protects the state, read from the plan, and what the variables refuse.
# Run with: terraform test (no AWS account is used)

mock_provider "aws" {}

variables {
  aws_region   = "eu-central-1"
  state_bucket = "example-com-mail-tfstate"
}

run "bucket" {
  command = plan

  assert {
    condition     = aws_s3_bucket.state.force_destroy == false
    error_message = "the state must not be emptied when its bucket is destroyed"
  }

  assert {
    condition     = aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "old states allow a rollback of a bad apply"
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "the state holds secrets and must be encrypted"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.state.block_public_acls,
      aws_s3_bucket_public_access_block.state.block_public_policy,
      aws_s3_bucket_public_access_block.state.ignore_public_acls,
      aws_s3_bucket_public_access_block.state.restrict_public_buckets,
    ])
    error_message = "every kind of public access must be blocked"
  }

  assert {
    condition     = one(aws_s3_bucket_ownership_controls.state.rule).object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs must be off"
  }

  assert {
    condition     = [for statement in jsondecode(aws_s3_bucket_policy.state.policy).Statement : "${statement.Effect} ${statement.Sid}"] == ["Deny DenyPlainHttp", "Deny DenyOldTls"]
    error_message = "plain HTTP and old TLS must be refused"
  }

  assert {
    condition     = length(aws_dynamodb_table.lock) == 0
    error_message = "S3 locks the state; no table is needed"
  }
}

run "lock_table" {
  command = plan

  variables {
    create_lock_table = true
  }

  assert {
    condition     = aws_dynamodb_table.lock[0].name == "terraform-state-lock" && aws_dynamodb_table.lock[0].hash_key == "LockID"
    error_message = "Terraform looks for a table with the key LockID"
  }

  assert {
    condition     = aws_dynamodb_table.lock[0].deletion_protection_enabled && aws_dynamodb_table.lock[0].point_in_time_recovery[0].enabled
    error_message = "the table must not be lost"
  }
}

run "refuses_an_unknown_region" {
  command = plan

  variables {
    aws_region = "tokyo"
  }

  expect_failures = [var.aws_region]
}

run "refuses_a_bucket_in_capitals" {
  command = plan

  variables {
    state_bucket = "State"
  }

  expect_failures = [var.state_bucket]
}

run "refuses_an_empty_owner" {
  command = plan

  variables {
    owner = ""
  }

  expect_failures = [var.owner]
}

run "refuses_a_table_with_a_wildcard" {
  command = plan

  variables {
    lock_table = "*"
  }

  expect_failures = [var.lock_table]
}
