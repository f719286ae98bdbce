from collections.abc import Iterator

from policies.families import TerraformRule
from policies.model import Found, Place, Severity
from policies.sources.buckets import buckets, holds_state
from policies.sources.located import sequence
from policies.sources.tables import table
from policies.sources.terraform import Block, Module

ALARM = "aws_cloudwatch_metric_alarm"
ABOVE = ("GreaterThanThreshold", "GreaterThanOrEqualToThreshold")


class MAIL_TF_016(TerraformRule):
    """Locked backups cannot be deleted to save money: only the alarm tells before the bill does.

    AWS publishes charges in us-east-1 only; an alarm elsewhere, or without a subscribed topic, stays silent.
    """

    name = "Cost alarm wired: AWS/Billing EstimatedCharges in us-east-1, to a topic there that somebody reads"
    severity = Severity.HIGH
    fix = "Put alarm, topic and subscription into us-east-1 and name the topic in alarm_actions"
    resources = ("aws_s3_bucket", ALARM, "aws_sns_topic", "aws_sns_topic_subscription")
    bad = f'resource "{ALARM}" "cost" {{\n  metric_name   = "EstimatedCharges"\n  alarm_actions = []\n}}\n'
    good = 'region = "us-east-1"\nnamespace = "AWS/Billing"\nalarm_actions = [aws_sns_topic.cost.arn]\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every module with a bucket for backups."""
        kept = [each for each in buckets(subject) if not holds_state(subject, each)]
        alarms = [
            each for each in subject.resources(ALARM) if each.value("metric_name") == "EstimatedCharges"
        ]
        if kept and not alarms:
            yield Found(kept[0].place, "nobody watches the cost", f"an {ALARM} of EstimatedCharges")
        for alarm in alarms:
            yield from self._alarm(alarm)
            yield from self._topics(subject, alarm)

    def _alarm(self, alarm: Block) -> Iterator[Found]:
        region, threshold = table("terraform")["billing_region"], alarm.value("threshold")
        wanted = (
            ("namespace", alarm.value("namespace") == "AWS/Billing", '"AWS/Billing"'),
            ("comparison_operator", alarm.value("comparison_operator") in ABOVE, f'"{ABOVE[0]}"'),
            ("actions_enabled", alarm.value("actions_enabled", True) is True, "true"),
            ("threshold", isinstance(threshold, (int, float)) and threshold > 0, "an amount in USD"),
            ("region", self._region(alarm) == region, f'"{region}"'),
        )
        for name, right, should in wanted:
            if not right:
                what = f"the alarm's {name} is {alarm.value(name)}"
                yield Found(alarm.where(name), what, f"{name} = {should}", alarm.address)

    def _region(self, block: Block) -> object:
        """Return a resource's own region, or that of the provider it names."""
        if block.has("region"):
            return block.value("region")
        names = [name.partition(".")[2] for name in block.references("provider")]
        for provider in block.module.all("provider", "aws"):
            if provider.value("alias") in (names or [None]):
                return provider.value("region")
        return None

    def _topics(self, module: Module, alarm: Block) -> Iterator[Found]:
        named = alarm.references("alarm_actions")
        topics = [each for each in module.resources("aws_sns_topic") if f"{each.address}.arn" in named]
        if not topics or not sequence(alarm.value("alarm_actions")):
            where = alarm.where("alarm_actions")
            yield Found(where, "the alarm tells no topic of this module", "an aws_sns_topic", alarm.address)
        region = table("terraform")["billing_region"]
        for topic in topics:
            if self._region(topic) != region:
                yield Found(topic.where("region"), "the topic is elsewhere", f'"{region}"', topic.address)
            yield from self._readers(module, topic, region)

    def _readers(self, module: Module, topic: Block, region: str) -> Iterator[Found]:
        readers = module.pointing_at(topic, "topic_arn", "aws_sns_topic_subscription")
        if not readers:
            yield Found(topic.place, "nobody reads the topic", "an aws_sns_topic_subscription", topic.address)
        for reader in readers:
            place: Place = reader.where("region")
            if self._region(reader) != region:
                yield Found(place, "the subscription is elsewhere", f'"{region}"', reader.address)


check = MAIL_TF_016()
