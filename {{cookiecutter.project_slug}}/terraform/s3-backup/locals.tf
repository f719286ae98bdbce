data "aws_caller_identity" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id

  # AWS publishes billing metrics in this region only.
  billing_region = "us-east-1"

  common_tags = {
    Project     = "mailserver-backup"
    Environment = var.environment
    ManagedBy   = "terraform"
    Owner       = var.owner
  }

  names = {
    for part in ["uploader", "restore", "boundary", "cost", "plan", "apply"] :
    part => "${var.name}-${var.environment}-${part}"
  }

  # Data that a later snapshot needs as well is locked again for twice the time: that is all that mailctl asks for.
  # One day more, because S3 rounds what is left of a day. It takes 100 years at most.
  longest_lock_days = min(2 * var.object_lock_days, 36500) + 1

  # Written out rather than read from resources, so that a plan shows every policy in full
  # and the roles can be limited to resources that do not exist yet.
  iam_path   = "/mailserver-backup/"
  iam_prefix = "arn:aws:iam::${local.account_id}"
  arns = {
    bucket   = "arn:aws:s3:::${var.backup_bucket}"
    objects  = "arn:aws:s3:::${var.backup_bucket}/*"
    uploads  = "arn:aws:s3:::${var.backup_bucket}/${var.backup_prefix}*"
    data     = "arn:aws:s3:::${var.backup_bucket}/${var.backup_prefix}data/*"
    user     = "${local.iam_prefix}:user${local.iam_path}${local.names.uploader}"
    restore  = "${local.iam_prefix}:role${local.iam_path}${local.names.restore}"
    plan     = "${local.iam_prefix}:role${local.iam_path}${local.names.plan}"
    apply    = "${local.iam_prefix}:role${local.iam_path}${local.names.apply}"
    policy   = "${local.iam_prefix}:policy${local.iam_path}${local.names.uploader}"
    boundary = "${local.iam_prefix}:policy${local.iam_path}${local.names.boundary}"
    topic    = "arn:aws:sns:${local.billing_region}:${local.account_id}:${local.names.cost}"
    alarm    = "arn:aws:cloudwatch:${local.billing_region}:${local.account_id}:alarm:${local.names.cost}"
  }
}
