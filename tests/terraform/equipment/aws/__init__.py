"""The AWS resources that the modules use, carried out with boto3."""

from equipment.aws import alarms, dynamodb, iam, s3, s3_settings
from equipment.resource import DataSource, Resource

RESOURCES: dict[str, type[Resource]] = {
    "aws_cloudwatch_metric_alarm": alarms.MetricAlarm,
    "aws_dynamodb_table": dynamodb.Table,
    "aws_iam_openid_connect_provider": iam.OpenIdConnectProvider,
    "aws_iam_policy": iam.Policy,
    "aws_iam_role": iam.Role,
    "aws_iam_role_policy": iam.RolePolicy,
    "aws_iam_user": iam.User,
    "aws_iam_user_policy_attachment": iam.UserPolicyAttachment,
    "aws_s3_bucket": s3.Bucket,
    "aws_s3_bucket_lifecycle_configuration": s3_settings.Lifecycle,
    "aws_s3_bucket_object_lock_configuration": s3_settings.ObjectLock,
    "aws_s3_bucket_ownership_controls": s3_settings.OwnershipControls,
    "aws_s3_bucket_policy": s3_settings.BucketPolicy,
    "aws_s3_bucket_public_access_block": s3_settings.PublicAccessBlock,
    "aws_s3_bucket_server_side_encryption_configuration": s3_settings.Encryption,
    "aws_s3_bucket_versioning": s3_settings.Versioning,
    "aws_sns_topic": alarms.Topic,
    "aws_sns_topic_policy": alarms.TopicPolicy,
    "aws_sns_topic_subscription": alarms.TopicSubscription,
}

DATA_SOURCES: dict[str, type[DataSource]] = {"aws_caller_identity": iam.CallerIdentity}
