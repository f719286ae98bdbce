locals {
  expire_after_days = coalesce(var.expire_after_days, var.object_lock_days + 30)
}

# A snapshot is a small manifest that names data of any age: yesterday's mail and that of years ago. So only manifests
# expire by age. Age says nothing about whether data is needed, and a rule that went by it would hide mail that
# yesterday's snapshot needs. What no manifest names any more an administrator may remove.
resource "aws_s3_bucket_lifecycle_configuration" "backup" {
  bucket = aws_s3_bucket.backup.id

  # Below 128 KiB the cheaper classes cost more.
  transition_default_minimum_object_size = "all_storage_classes_128K"

  rule {
    id     = "daily"
    status = "Enabled"

    filter {
      prefix = "${var.backup_prefix}daily/"
    }

    expiration {
      days = local.expire_after_days
    }
  }

  rule {
    id     = "weekly"
    status = "Enabled"

    filter {
      prefix = "${var.backup_prefix}weekly/"
    }

    expiration {
      days = local.expire_after_days
    }
  }

  rule {
    id     = "data"
    status = "Enabled"

    filter {
      prefix = "${var.backup_prefix}data/"
    }

    # No colder class: the monthly drill reads everything back, and each of them charges more for that than it saves.
    transition {
      days          = 30
      storage_class = "STANDARD_IA"
    }
  }

  rule {
    id     = "remains"
    status = "Enabled"

    filter {}

    # Counted from the day on which a version was replaced or hidden, so that there is time to notice. Its own lock
    # holds beyond that.
    noncurrent_version_expiration {
      noncurrent_days = var.object_lock_days
    }

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.backup]
}
