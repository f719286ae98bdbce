"""The cost alarm, and the topic through which it writes to people."""

from typing import Any, ClassVar

from equipment.arguments import Argument, anything, one_of
from equipment.resource import Gone, Resource, as_dict, as_list, gone_if
from equipment.values import State

PROTOCOLS = ("application", "email", "email-json", "firehose", "http", "https", "lambda", "sms", "sqs")
STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
COMPARISONS = (
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
    "LessThanLowerOrGreaterThanUpperThreshold",
    "LessThanLowerThreshold",
    "GreaterThanUpperThreshold",
)


class Topic(Resource):
    arguments: ClassVar = {
        **anything("name"),
    }
    replaces = ("name", "region")

    def client(self, state: State) -> Any:
        return self.aws.client("sns", state["region"])

    def create(self, planned: State) -> State:
        made = self.client(planned).create_topic(Name=planned["name"], Tags=as_list(planned["tags_all"]))
        return self.read({**planned, "id": made["TopicArn"]})

    def read(self, state: State) -> State:
        arn, sns = state["id"], self.client(state)
        with gone_if("NotFound", "NotFoundException"):
            found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        return {
            "id": arn,
            "arn": arn,
            "name": arn.rsplit(":", 1)[1],
            "owner": found["Owner"],
            "policy": found["Policy"],
            **self.tags(as_dict(sns.list_tags_for_resource(ResourceArn=arn)["Tags"])),
        }

    def update(self, prior: State, planned: State) -> State:
        arn, sns = prior["id"], self.client(planned)
        if prior["tags_all"] != planned["tags_all"]:
            sns.untag_resource(ResourceArn=arn, TagKeys=list(prior["tags_all"] or {}))
            sns.tag_resource(ResourceArn=arn, Tags=as_list(planned["tags_all"]))
        return self.read({**planned, "id": arn})

    def delete(self, state: State) -> None:
        self.client(state).delete_topic(TopicArn=state["id"])


class TopicPolicy(Resource):
    arguments: ClassVar = {
        **anything("arn", "policy"),
    }
    replaces = ("arn", "region")
    json_arguments = ("policy",)

    def client(self, state: State) -> Any:
        return self.aws.client("sns", state["region"])

    def create(self, planned: State) -> State:
        self._put(planned, planned["policy"])
        return self.read({**planned, "id": planned["arn"]})

    def read(self, state: State) -> State:
        with gone_if("NotFound", "NotFoundException"):
            found = self.client(state).get_topic_attributes(TopicArn=state["id"])["Attributes"]
        return {"id": state["id"], "arn": state["id"], "owner": found["Owner"], "policy": found["Policy"]}

    def update(self, prior: State, planned: State) -> State:
        return self.create(planned)

    def delete(self, state: State) -> None:
        nobody = '{"Version":"2012-10-17","Statement":[]}'
        self._put(state, nobody)

    def _put(self, state: State, policy: str) -> None:
        self.client(state).set_topic_attributes(
            TopicArn=state["arn"], AttributeName="Policy", AttributeValue=policy
        )


class TopicSubscription(Resource):
    arguments: ClassVar = {
        **anything("topic_arn", "endpoint"),
        "protocol": Argument(PROTOCOLS),
    }
    replaces = ("topic_arn", "protocol", "endpoint", "region")

    def client(self, state: State) -> Any:
        return self.aws.client("sns", state["region"])

    def create(self, planned: State) -> State:
        made = self.client(planned).subscribe(
            TopicArn=planned["topic_arn"],
            Protocol=planned["protocol"],
            Endpoint=planned["endpoint"],
            ReturnSubscriptionArn=True,
        )
        return self.read({**planned, "id": made["SubscriptionArn"]})

    def read(self, state: State) -> State:
        arn = state["id"]
        with gone_if("NotFound", "NotFoundException"):
            found = self.client(state).get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        return {
            "id": arn,
            "arn": arn,
            "topic_arn": found["TopicArn"],
            "protocol": found["Protocol"],
            "endpoint": found["Endpoint"],
            "owner_id": found["Owner"],
            "pending_confirmation": found["PendingConfirmation"] == "true",
        }

    def delete(self, state: State) -> None:
        self.client(state).unsubscribe(SubscriptionArn=state["id"])


class MetricAlarm(Resource):
    arguments: ClassVar = {
        **anything("alarm_name", "alarm_description", "actions_enabled", "alarm_actions", "ok_actions"),
        **anything("metric_name", "namespace", "dimensions", "period", "evaluation_periods", "threshold"),
        "statistic": one_of("cloudwatch", "Statistic", *STATISTICS),
        "comparison_operator": one_of("cloudwatch", "ComparisonOperator", *COMPARISONS),
        "treat_missing_data": Argument(("breaching", "notBreaching", "ignore", "missing")),
    }
    replaces = ("alarm_name", "region")
    defaults: ClassVar = {"actions_enabled": True, "treat_missing_data": "missing"}

    def client(self, state: State) -> Any:
        return self.aws.client("cloudwatch", state["region"])

    def create(self, planned: State) -> State:
        self._put(planned)
        return self.read({**planned, "id": planned["alarm_name"]})

    def read(self, state: State) -> State:
        name, cloudwatch = state["id"], self.client(state)
        found = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        if not found:
            raise Gone
        alarm = found[0]
        tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
        return {
            "id": name,
            "alarm_name": name,
            "arn": alarm["AlarmArn"],
            "actions_enabled": alarm["ActionsEnabled"],
            "alarm_actions": alarm["AlarmActions"],
            "alarm_description": alarm.get("AlarmDescription"),
            "comparison_operator": alarm["ComparisonOperator"],
            "dimensions": {each["Name"]: each["Value"] for each in alarm["Dimensions"]},
            "evaluation_periods": alarm["EvaluationPeriods"],
            "metric_name": alarm["MetricName"],
            "namespace": alarm["Namespace"],
            "ok_actions": alarm["OKActions"],
            "period": alarm["Period"],
            "statistic": alarm["Statistic"],
            "threshold": alarm["Threshold"],
            "treat_missing_data": alarm.get("TreatMissingData", "missing"),
            **self.tags(as_dict(tags)),
        }

    def update(self, prior: State, planned: State) -> State:
        self._put(planned)
        return self.read({**planned, "id": prior["id"]})

    def delete(self, state: State) -> None:
        self.client(state).delete_alarms(AlarmNames=[state["id"]])

    def _put(self, wanted: State) -> None:
        self.client(wanted).put_metric_alarm(
            AlarmName=wanted["alarm_name"],
            AlarmDescription=wanted["alarm_description"] or "",
            ActionsEnabled=wanted["actions_enabled"],
            AlarmActions=wanted["alarm_actions"] or [],
            OKActions=wanted["ok_actions"] or [],
            MetricName=wanted["metric_name"],
            Namespace=wanted["namespace"],
            Statistic=wanted["statistic"],
            Dimensions=[{"Name": key, "Value": value} for key, value in wanted["dimensions"].items()],
            Period=int(wanted["period"]),
            EvaluationPeriods=int(wanted["evaluation_periods"]),
            Threshold=float(wanted["threshold"]),
            ComparisonOperator=wanted["comparison_operator"],
            TreatMissingData=wanted["treat_missing_data"],
            Tags=as_list(wanted["tags_all"]),
        )
