output "state_bucket" {
  description = "Bucket for the backend of s3-backup."
  value       = aws_s3_bucket.state.id
}

output "aws_region" {
  description = "Region of that bucket."
  value       = var.aws_region
}

output "lock_table" {
  description = "DynamoDB table for older Terraform; null if S3 alone locks."
  value       = one(aws_dynamodb_table.lock[*].name)
}
