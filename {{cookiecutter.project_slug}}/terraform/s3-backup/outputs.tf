locals {
  active_keys        = [for label, status in var.access_keys : label if status == "Active"]
  current_access_key = var.current_access_key != null ? var.current_access_key : one(local.active_keys)
}

output "backup_bucket" {
  description = "Bucket that the host uploads to."
  value       = aws_s3_bucket.backup.id
}

output "backup_region" {
  description = "Region of the bucket."
  value       = var.aws_region
}

output "backup_prefix" {
  description = "Folder of the bucket that the host may use."
  value       = var.backup_prefix
}

output "object_lock_days" {
  description = "Days for which an upload cannot be deleted."
  value       = var.object_lock_days
}

output "access_key_id" {
  description = "Id of the access key that the host is to use now."
  value       = aws_iam_access_key.uploader[local.current_access_key].id
}

output "secret_access_key" {
  description = "Secret of that key: terraform output -raw secret_access_key"
  value       = aws_iam_access_key.uploader[local.current_access_key].secret
  sensitive   = true
}

output "access_key_ids" {
  description = "Ids of all access keys by label."
  value       = { for label, key in aws_iam_access_key.uploader : label => key.id }
}

output "uploader_user_arn" {
  description = "ARN of the host's user."
  value       = aws_iam_user.uploader.arn
}

output "restore_role_arn" {
  description = "ARN of the role that people assume, with MFA, to restore."
  value       = aws_iam_role.restore.arn
}

output "plan_role_arn" {
  description = "ARN of the role for pull requests on GitHub; null without github_repository."
  value       = one(aws_iam_role.plan[*].arn)
}

output "apply_role_arn" {
  description = "ARN of the role for the main branch on GitHub; null without github_repository."
  value       = one(aws_iam_role.apply[*].arn)
}

output "alarm_topic_arn" {
  description = "ARN of the cost alarm's topic, in us-east-1."
  value       = aws_sns_topic.cost.arn
}
