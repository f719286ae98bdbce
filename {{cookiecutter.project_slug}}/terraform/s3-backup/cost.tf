resource "aws_sns_topic" "cost" {
  region = local.billing_region
  name   = local.names.cost

  depends_on = [aws_s3_bucket.backup]
}

resource "aws_sns_topic_policy" "cost" {
  region = local.billing_region
  arn    = aws_sns_topic.cost.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TheAlarmMayPublish"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.arns.topic
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account_id }
          ArnEquals    = { "aws:SourceArn" = local.arns.alarm }
        }
      },
      {
        Sid       = "DenyPlainHttp"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.arns.topic
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "cost" {
  region    = local.billing_region
  topic_arn = aws_sns_topic.cost.arn
  protocol  = "email"
  endpoint  = var.admin_email
}

# Needs "Receive CloudWatch billing alerts" in the account's billing preferences, once, by hand.
resource "aws_cloudwatch_metric_alarm" "cost" {
  region            = local.billing_region
  alarm_name        = local.names.cost
  alarm_description = "The account's charges of this month are above ${var.monthly_budget_usd} USD."

  namespace   = "AWS/Billing"
  metric_name = "EstimatedCharges"
  dimensions  = { Currency = "USD" }
  statistic   = "Maximum"

  # AWS publishes the figure a few times a day.
  period              = 21600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.monthly_budget_usd
  treat_missing_data  = "missing"

  actions_enabled = true
  alarm_actions   = [aws_sns_topic.cost.arn]
  ok_actions      = [aws_sns_topic.cost.arn]
}
