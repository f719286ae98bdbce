# People, not the host: reads every version in the bucket, with MFA, for an hour at a time.
resource "aws_iam_role" "restore" {
  name                 = local.names.restore
  path                 = local.iam_path
  description          = "Reads backups, old versions too, from ${var.backup_bucket}."
  permissions_boundary = local.arns.boundary
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "PeopleWithMfa"
        Effect    = "Allow"
        Principal = { AWS = length(var.restore_principal_arns) > 0 ? sort(tolist(var.restore_principal_arns)) : ["${local.iam_prefix}:root"] }
        Action    = "sts:AssumeRole"
        Condition = { Bool = { "aws:MultiFactorAuthPresent" = "true" } }
      },
    ]
  })

  depends_on = [aws_s3_bucket.backup, aws_iam_policy.boundary]
}

resource "aws_iam_role_policy" "restore" {
  name = "read-backups"
  role = aws_iam_role.restore.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadEveryVersion"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention"]
        Resource = local.arns.objects
      },
      {
        Sid      = "ListEveryVersion"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketLocation"]
        Resource = local.arns.bucket
      },
    ]
  })
}
