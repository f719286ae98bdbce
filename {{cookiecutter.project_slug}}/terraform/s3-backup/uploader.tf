# The mail host. Whoever takes it over can add backups and read them, and nothing else.
locals {
  uploader_object_actions = [
    "s3:PutObject",
    "s3:GetObject",
    "s3:GetObjectRetention",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
  ]
  # A later snapshot needs the data of an earlier one for longer. In COMPLIANCE mode retention only ever grows,
  # and the bucket policy says how far.
  uploader_data_actions = ["s3:PutObjectRetention"]
  # The host refuses to upload into a bucket that is not locked, so it must be able to look.
  uploader_bucket_actions = [
    "s3:GetBucketLocation",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
  ]
}

resource "aws_iam_user" "uploader" {
  name                 = local.names.uploader
  path                 = local.iam_path
  permissions_boundary = local.arns.boundary

  # The bucket comes first: if its name is taken, nothing is made at all.
  depends_on = [aws_s3_bucket.backup, aws_iam_policy.boundary]
}

resource "aws_iam_policy" "uploader" {
  name = local.names.uploader
  path = local.iam_path
  # Fixed text: IAM cannot change a description, and a replaced policy would leave the host without one for a moment.
  description = "Put, get and list the host's own backups; never delete, unlock or configure."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "PutAndGetBackups"
        Effect   = "Allow"
        Action   = local.uploader_object_actions
        Resource = local.arns.uploads
      },
      {
        Sid       = "LockDataForLonger"
        Effect    = "Allow"
        Action    = local.uploader_data_actions
        Resource  = local.arns.data
        Condition = { StringEquals = { "s3:object-lock-mode" = "COMPLIANCE" } }
      },
      {
        Sid       = "ListBackups"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = local.arns.bucket
        Condition = { StringLike = { "s3:prefix" = "${var.backup_prefix}*" } }
      },
      {
        Sid      = "SeeThatTheLockIsOn"
        Effect   = "Allow"
        Action   = local.uploader_bucket_actions
        Resource = local.arns.bucket
      },
      {
        Sid       = "NeverDeleteUnlockOrConfigure"
        Effect    = "Deny"
        NotAction = concat(local.uploader_object_actions, local.uploader_data_actions, local.uploader_bucket_actions, ["s3:ListBucket"])
        Resource  = "*"
      },
      {
        Sid         = "NeverOutsideItsPrefix"
        Effect      = "Deny"
        Action      = local.uploader_object_actions
        NotResource = local.arns.uploads
      },
      {
        Sid         = "NeverLockAnythingElse"
        Effect      = "Deny"
        Action      = local.uploader_data_actions
        NotResource = local.arns.data
      },
    ]
  })

  depends_on = [aws_s3_bucket.backup]
}

resource "aws_iam_user_policy_attachment" "uploader" {
  user       = aws_iam_user.uploader.name
  policy_arn = aws_iam_policy.uploader.arn
}

# The ceiling of what the uploader and the restore role can ever be given. The GitHub apply role
# may edit their policies but neither this one nor its use.
resource "aws_iam_policy" "boundary" {
  name        = local.names.boundary
  path        = local.iam_path
  description = "The most that any identity for the backups may do: read and add objects."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "ReadAndAddObjects"
        Effect = "Allow"
        Action = [
          "s3:GetObject", "s3:GetObjectRetention", "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectRetention",
          "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts",
        ]
        Resource = local.arns.objects
      },
      {
        Sid      = "ReadTheBucket"
        Effect   = "Allow"
        Action   = concat(local.uploader_bucket_actions, ["s3:ListBucket", "s3:ListBucketVersions"])
        Resource = local.arns.bucket
      },
    ]
  })

  depends_on = [aws_s3_bucket.backup]
}
