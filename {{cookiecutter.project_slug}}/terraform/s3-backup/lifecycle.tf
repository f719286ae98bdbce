locals {
  expire_after_days = coalesce(var.expire_after_days, var.object_lock_days + 30)

  # A class is charged for at least minimum_days, so a backup that leaves earlier would cost more in it.
  storage_classes = [
    { name = "STANDARD_IA", after_days = 30, minimum_days = 30 },
    { name = "GLACIER_IR", after_days = 90, minimum_days = 90 },
  ]
  transitions = [
    for class in local.storage_classes : class
    if class.after_days + class.minimum_days <= local.expire_after_days
  ]
}

resource "aws_s3_bucket_lifecycle_configuration" "backup" {
  bucket = aws_s3_bucket.backup.id

  # Below 128 KiB the cheaper classes cost more.
  transition_default_minimum_object_size = "all_storage_classes_128K"

  rule {
    id     = "backups"
    status = "Enabled"

    filter {}

    dynamic "transition" {
      for_each = local.transitions

      content {
        days          = transition.value.after_days
        storage_class = transition.value.name
      }
    }

    expiration {
      days = local.expire_after_days
    }

    # Counted from the day on which a version was replaced, so its own lock has always ended.
    noncurrent_version_expiration {
      noncurrent_days = var.object_lock_days
    }
  }

  rule {
    id     = "remains"
    status = "Enabled"

    filter {}

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.backup]
}
