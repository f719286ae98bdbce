# Remembers which environment this state was made for. ignore_changes keeps the first
# value, so a run with the wrong backend or the wrong variable is refused in its plan.
resource "terraform_data" "environment" {
  input = var.environment

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition     = self.input == var.environment
      error_message = "environment: this state belongs to ${self.input}, not to ${var.environment}. Give each environment a state of its own: terraform init -reconfigure -backend-config=\"key=mailserver/s3-backup/${var.environment}/terraform.tfstate\""
    }
  }
}

resource "aws_s3_bucket" "backup" {
  bucket              = var.backup_bucket
  object_lock_enabled = true
  force_destroy       = false

  depends_on = [terraform_data.environment]

  lifecycle {
    prevent_destroy = true

    # Without this an imported bucket that has no Object Lock would be planned for replacement;
    # with it the plan says what is wrong.
    ignore_changes = [object_lock_enabled]

    postcondition {
      condition     = self.object_lock_enabled
      error_message = "backup_bucket: ${self.bucket} exists without Object Lock, so backups in it could be deleted. Leave it as it is (terraform state rm aws_s3_bucket.backup) and choose a new backup_bucket."
    }
  }
}

resource "aws_s3_bucket_versioning" "backup" {
  bucket = aws_s3_bucket.backup.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "backup" {
  bucket = aws_s3_bucket.backup.id

  rule {
    default_retention {
      mode = "COMPLIANCE"
      days = var.object_lock_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.backup]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "backup" {
  bucket = aws_s3_bucket.backup.id

  rule {
    # A key of our own could be deleted by whoever takes over the account,
    # and with it every backup that the lock protects.
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
    # With a customer's own key the host alone could read a backup. Left out, providers up to 6.39 change it at every apply.
    blocked_encryption_types = ["SSE-C"]
  }
}

resource "aws_s3_bucket_public_access_block" "backup" {
  bucket                  = aws_s3_bucket.backup.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "backup" {
  bucket = aws_s3_bucket.backup.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "backup" {
  bucket = aws_s3_bucket.backup.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "DenyPlainHttp"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.arns.bucket, local.arns.objects]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "DenyOldTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.arns.bucket, local.arns.objects]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      },
      {
        Sid       = "DenyOtherEncryption"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = local.arns.objects
        # A missing header is welcome: the default encryption then applies, and the parts of a multipart upload
        # cannot carry one.
        Condition = {
          Null            = { "s3:x-amz-server-side-encryption" = "false" }
          StringNotEquals = { "s3:x-amz-server-side-encryption" = "AES256" }
        }
      },
      {
        Sid       = "DenyShorterRetention"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:PutObject", "s3:PutObjectRetention"]
        Resource  = local.arns.objects
        Condition = { NumericLessThan = { "s3:object-lock-remaining-retention-days" = tostring(var.object_lock_days) } }
      },
      {
        # Nobody can shorten a lock in COMPLIANCE mode, so a stolen key must not lock rubbish for a century.
        Sid       = "DenyLongerRetention"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:PutObject", "s3:PutObjectRetention"]
        Resource  = local.arns.objects
        Condition = { NumericGreaterThan = { "s3:object-lock-remaining-retention-days" = tostring(local.longest_lock_days) } }
      },
      {
        Sid       = "DenyWeakerLockMode"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:PutObject", "s3:PutObjectRetention"]
        Resource  = local.arns.objects
        # A Deny with a negated operator also matches a missing header, which is the
        # normal case here: the bucket's default then applies.
        Condition = {
          Null            = { "s3:object-lock-mode" = "false" }
          StringNotEquals = { "s3:object-lock-mode" = "COMPLIANCE" }
        }
      },
      {
        Sid       = "DenyBypassOfRetention"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:BypassGovernanceRetention"
        Resource  = local.arns.objects
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.backup]
}
