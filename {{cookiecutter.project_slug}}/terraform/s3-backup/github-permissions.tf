# What the GitHub roles may do. They can change neither an identity nor who may read the bucket: an administrator
# applies such changes, otherwise a merged pull request could read the backups or give itself the account.
locals {
  # What the provider reads of each resource, whether this module sets it or not. A provider that reads more
  # says in a plan what it misses.
  read_statements = [
    {
      Sid    = "ReadTheBucketsSettings"
      Effect = "Allow"
      Action = [
        "s3:GetAccelerateConfiguration", "s3:GetBucketAcl", "s3:GetBucketCORS", "s3:GetBucketLocation",
        "s3:GetBucketLogging", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketOwnershipControls",
        "s3:GetBucketPolicy", "s3:GetBucketPublicAccessBlock", "s3:GetBucketRequestPayment", "s3:GetBucketTagging",
        "s3:GetBucketVersioning", "s3:GetBucketWebsite", "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration", "s3:ListBucket", "s3:ListTagsForResource",
      ]
      Resource = [local.arns.bucket]
    },
    {
      Sid    = "ReadIdentities"
      Effect = "Allow"
      Action = [
        "iam:GetOpenIDConnectProvider", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy",
        "iam:GetUser", "iam:ListAttachedRolePolicies", "iam:ListAttachedUserPolicies", "iam:ListPolicyVersions",
        "iam:ListRolePolicies",
      ]
      Resource = [local.arns.user, local.arns.restore, local.arns.plan, local.arns.apply, local.arns.policy, local.arns.boundary, local.github_oidc]
    },
    {
      Sid      = "ReadTheAlarm"
      Effect   = "Allow"
      Action   = ["cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource"]
      Resource = [local.arns.alarm]
    },
    {
      Sid      = "ReadTheTopic"
      Effect   = "Allow"
      Action   = ["sns:GetTopicAttributes", "sns:GetSubscriptionAttributes", "sns:ListTagsForResource"]
      Resource = [local.arns.topic, "${local.arns.topic}:*"]
    },
    {
      Sid      = "ReadTheState"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = ["arn:aws:s3:::${var.state_bucket}/${var.state_key}"]
    },
    {
      Sid      = "FindTheState"
      Effect   = "Allow"
      Action   = ["s3:ListBucket"]
      Resource = ["arn:aws:s3:::${var.state_bucket}"]
    },
  ]

  # Changes of what is there already. What is missing an administrator makes, as these roles themselves.
  write_statements = [
    {
      Sid    = "ConfigureTheBucket"
      Effect = "Allow"
      Action = [
        "s3:PutBucketTagging", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration",
        "s3:TagResource", "s3:UntagResource",
      ]
      Resource = [local.arns.bucket]
    },
    {
      # The boundary holds for whatever this policy says.
      Sid      = "MaintainTheUploadersPolicy"
      Effect   = "Allow"
      Action   = ["iam:CreatePolicyVersion", "iam:DeletePolicyVersion", "iam:TagPolicy", "iam:UntagPolicy"]
      Resource = [local.arns.policy]
    },
    {
      Sid      = "MaintainTheAlarm"
      Effect   = "Allow"
      Action   = ["cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource"]
      Resource = [local.arns.alarm]
    },
    {
      Sid      = "MaintainTheTopic"
      Effect   = "Allow"
      Action   = ["sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:Unsubscribe", "sns:UntagResource"]
      Resource = [local.arns.topic, "${local.arns.topic}:*"]
    },
    {
      Sid      = "WriteTheState"
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = ["arn:aws:s3:::${var.state_bucket}/${var.state_key}"]
    },
    {
      Sid      = "LockTheState"
      Effect   = "Allow"
      Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
      Resource = ["arn:aws:s3:::${var.state_bucket}/${var.state_key}.tflock"]
    },
  ]

  lock_table_statements = [
    for table in var.state_lock_table[*] : {
      Sid      = "LockTheStateInDynamoDb"
      Effect   = "Allow"
      Action   = ["dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem"]
      Resource = ["arn:aws:dynamodb:${var.aws_region}:${local.account_id}:table/${table}"]
    }
  ]

  apply_denials = [
    {
      Sid      = "NeverTouchBackups"
      Effect   = "Deny"
      Action   = ["s3:BypassGovernanceRetention", "s3:DeleteBucket", "s3:DeleteObject*", "s3:GetObject*", "s3:PutObject*"]
      Resource = [local.arns.bucket, local.arns.objects]
    },
    {
      # Who gets at the bucket, and for how long what is in it stays.
      Sid    = "NeverOpenTheBucket"
      Effect = "Deny"
      Action = [
        "s3:DeleteBucketPolicy", "s3:PutBucketAcl", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketOwnershipControls",
        "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock",
      ]
      Resource = [local.arns.bucket]
    },
    {
      Sid      = "NeverTakeTheBoundaryAway"
      Effect   = "Deny"
      Action   = ["iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary"]
      Resource = ["*"]
    },
    {
      # The host's user and its keys, the role that reads backups, the boundary, and the roles for GitHub.
      Sid       = "NeverChangeIdentities"
      Effect    = "Deny"
      NotAction = ["iam:Get*", "iam:List*"]
      Resource  = [local.arns.user, local.arns.restore, local.arns.boundary, local.arns.plan, local.arns.apply, local.github_oidc]
    },
  ]
}
