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

output "uploader_user" {
  description = "Name of the host's user: `mailctl secrets aws` makes its key, which never passes through here."
  value       = aws_iam_user.uploader.name
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
