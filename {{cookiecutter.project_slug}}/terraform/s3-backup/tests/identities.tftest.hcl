# Who may do what, read from the plan.
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
  github_environment = "aws"
}

run "uploader" {
  command = plan

  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_policy.uploader.policy).Statement : statement.Action if statement.Effect == "Allow"])) == toset(["s3:PutObject", "s3:GetObject", "s3:GetObjectRetention", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:ListBucket", "s3:GetBucketLocation", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning", "s3:GetEncryptionConfiguration", "s3:PutObjectRetention"])
    error_message = "the uploader may put, get and list, lock for longer, and see that the lock is on; nothing else"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_policy.uploader.policy).Statement :
      statement.Resource == "arn:aws:s3:::example-com-mail-backup/mailserver/*" if statement.Sid == "PutAndGetBackups"
    ])
    error_message = "the uploader may touch its own prefix only"
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_policy.uploader.policy).Statement : jsonencode([statement.Resource, statement.Condition]) if statement.Sid == "LockDataForLonger"
    ] == [jsonencode(["arn:aws:s3:::example-com-mail-backup/mailserver/data/*", { StringEquals = { "s3:object-lock-mode" = "COMPLIANCE" } }])]
    error_message = "the uploader may lock data only, and in COMPLIANCE mode only"
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_policy.uploader.policy).Statement : statement.Condition if statement.Sid == "ListBackups"
    ] == [{ StringLike = { "s3:prefix" = "mailserver/*" } }]
    error_message = "the uploader may list its own prefix only"
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_policy.uploader.policy).Statement : "${statement.Sid} ${statement.Effect}" if startswith(statement.Sid, "Never")
    ] == ["NeverDeleteUnlockOrConfigure Deny", "NeverOutsideItsPrefix Deny", "NeverLockAnythingElse Deny"]
    error_message = "what the uploader must never do must be denied, not merely left out"
  }

  assert {
    condition     = aws_iam_user.uploader.permissions_boundary == "arn:aws:iam::123456789012:policy/mailserver-backup/mailserver-production-boundary"
    error_message = "no policy that is added later may lift the uploader above the boundary"
  }

  assert {
    condition     = sort(flatten([for statement in jsondecode(aws_iam_policy.boundary.policy).Statement : statement.Action])) == sort(["s3:GetObject", "s3:GetObjectRetention", "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectRetention", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:GetBucketLocation", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning", "s3:GetEncryptionConfiguration", "s3:ListBucket", "s3:ListBucketVersions"])
    error_message = "no identity may ever do more than read and add"
  }

  assert {
    condition     = output.uploader_user == "mailserver-production-uploader"
    error_message = "mailctl must learn for whom to make a key"
  }
}

run "restore" {
  command = plan

  assert {
    condition     = alltrue([for action in flatten([for statement in jsondecode(aws_iam_role_policy.restore.policy).Statement : statement.Action]) : can(regex("^s3:(Get|List)", action))])
    error_message = "the restore role may only read"
  }

  assert {
    condition     = jsondecode(aws_iam_role.restore.assume_role_policy).Statement[0].Condition == { Bool = { "aws:MultiFactorAuthPresent" = "true" } }
    error_message = "the restore role must ask for MFA"
  }

  assert {
    condition     = aws_iam_role.restore.permissions_boundary == "arn:aws:iam::123456789012:policy/mailserver-backup/mailserver-production-boundary"
    error_message = "no policy that is added later may lift the restore role above the boundary"
  }

  assert {
    condition     = aws_iam_role.restore.max_session_duration == 3600
    error_message = "a session of the restore role must end after an hour"
  }

  assert {
    condition     = jsondecode(aws_iam_role.restore.assume_role_policy).Statement[0].Principal.AWS == ["arn:aws:iam::123456789012:root"]
    error_message = "without restore_principal_arns this account decides"
  }
}

run "restore_by_named_people" {
  command = plan

  variables {
    restore_principal_arns = ["arn:aws:iam::123456789012:user/admin"]
  }

  assert {
    condition     = jsondecode(aws_iam_role.restore.assume_role_policy).Statement[0].Principal.AWS == ["arn:aws:iam::123456789012:user/admin"]
    error_message = "only the named people may restore"
  }
}

run "no_github_without_a_repository" {
  command = plan

  assert {
    condition     = length(aws_iam_role.plan) + length(aws_iam_role.apply) + length(aws_iam_openid_connect_provider.github) == 0
    error_message = "without github_repository nothing may trust GitHub"
  }

  assert {
    condition     = output.plan_role_arn == null && output.apply_role_arn == null
    error_message = "without github_repository there is no role to name"
  }
}

run "github" {
  command = plan

  variables {
    github_repository = "example/mailserver"
  }

  assert {
    condition = jsondecode(aws_iam_role.apply[0].assume_role_policy).Statement[0].Condition == {
      StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = ["repo:example/mailserver:environment:aws"]
      }
    }
    error_message = "only the environment with a required reviewer may apply"
  }

  assert {
    condition     = jsondecode(aws_iam_role.plan[0].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == ["repo:example/mailserver:pull_request", "repo:example/mailserver:ref:refs/heads/main"]
    error_message = "pull requests and the main branch may plan"
  }

  assert {
    condition     = aws_iam_role.plan[0].max_session_duration == 3600 && aws_iam_role.apply[0].max_session_duration == 3600
    error_message = "a session of a GitHub role must end after an hour"
  }

  assert {
    condition     = alltrue([for action in flatten([for statement in jsondecode(aws_iam_role_policy.plan[0].policy).Statement : statement.Action]) : can(regex("^[a-z0-9]+:(Get|List|Describe)", action))])
    error_message = "the plan role may only read"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.apply[0].policy).Statement : !contains(statement.Resource, "*") if statement.Effect == "Allow"])
    error_message = "the apply role may change these resources only"
  }

  assert {
    condition     = length([for action in flatten([for statement in jsondecode(aws_iam_role_policy.apply[0].policy).Statement : statement.Action if statement.Effect == "Allow"]) : action if can(regex("^iam:(Create|Attach|Put|Update|Pass)", action)) && action != "iam:CreatePolicyVersion"]) == 0
    error_message = "the apply role may make no key and no identity"
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.apply[0].policy).Statement : statement.Sid if statement.Effect == "Deny"
    ] == ["NeverTouchBackups", "NeverOpenTheBucket", "NeverTakeTheBoundaryAway", "NeverChangeIdentities"]
    error_message = "the apply role must be kept from backups, from who may read the bucket, and from identities"
  }

  assert {
    condition     = aws_iam_openid_connect_provider.github[0].url == "https://token.actions.githubusercontent.com" && aws_iam_openid_connect_provider.github[0].client_id_list == toset(["sts.amazonaws.com"])
    error_message = "GitHub's tokens must be accepted for AWS only"
  }
}

run "github_with_immutable_subjects" {
  command = plan

  variables {
    github_repository    = "example/mailserver"
    github_owner_id      = "123456"
    github_repository_id = "456789"
  }

  assert {
    condition     = jsondecode(aws_iam_role.apply[0].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == ["repo:example/mailserver:environment:aws", "repo:example@123456/mailserver@456789:environment:aws"]
    error_message = "a repository of today names its ids when it applies"
  }

  assert {
    condition = toset(jsondecode(aws_iam_role.plan[0].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"]) == toset([
      "repo:example/mailserver:pull_request", "repo:example/mailserver:ref:refs/heads/main",
      "repo:example@123456/mailserver@456789:pull_request", "repo:example@123456/mailserver@456789:ref:refs/heads/main",
    ])
    error_message = "a repository of today names its ids when it plans"
  }
}

run "github_without_environments" {
  command = plan

  variables {
    github_repository  = "example/mailserver"
    github_environment = null
  }

  assert {
    condition     = jsondecode(aws_iam_role.apply[0].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == ["repo:example/mailserver:ref:refs/heads/main"]
    error_message = "without environments the main branch alone may apply"
  }
}

run "github_with_a_provider_that_is_there_already" {
  command = plan

  variables {
    github_repository           = "example/mailserver"
    create_github_oidc_provider = false
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && length(aws_iam_role.apply) == 1
    error_message = "an account can have GitHub's provider only once"
  }
}

run "github_with_a_lock_table" {
  command = plan

  variables {
    github_repository = "example/mailserver"
    state_lock_table  = "terraform-state-lock"
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.apply[0].policy).Statement : statement.Resource if statement.Sid == "LockTheStateInDynamoDb"
    ] == [["arn:aws:dynamodb:eu-central-1:123456789012:table/terraform-state-lock"]]
    error_message = "the apply role must reach the lock table, and that table only"
  }
}
