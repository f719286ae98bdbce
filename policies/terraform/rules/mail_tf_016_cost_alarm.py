from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from policies.model import Found, Place, Severity
from policies.shared.located import mapping, sequence
from policies.shared.repository import Repository
from policies.shared.tables import table
from policies.terraform.answers import EXAMPLE, answered
from policies.terraform.blocks import Block, Module, names, number, yes
from policies.terraform.buckets import buckets, covers, holds_state, ignored
from policies.terraform.iam import statements
from policies.terraform.providers import region
from policies.terraform.rule import TerraformRule

ALARM = "aws_cloudwatch_metric_alarm"
BUDGET = "monthly_budget_usd"
#: AWS publishes the charges a few times a day; an alarm that waits longer than this comes with the bill.
LONGEST = 86400
SENDER = "cloudwatch.amazonaws.com"
ABOVE = ("GreaterThanThreshold", "GreaterThanOrEqualToThreshold")


class Asked(NamedTuple):
    """A module, and the budget that was decided, if it is known."""

    module: Module
    budget: int | None


class MAIL_TF_016(TerraformRule):
    """Locked backups cannot be deleted to save money: only the alarm tells before the bill does.

    AWS publishes charges in us-east-1 only; an alarm elsewhere, or without a subscribed topic, stays silent.
    """

    name = "Cost alarm wired: AWS/Billing EstimatedCharges in us-east-1, to a topic there that somebody reads"
    severity = Severity.HIGH
    fix = (
        "Put alarm, topic and subscription into us-east-1 and name the topic in alarm_actions; "
        f"a larger budget is decided in {EXAMPLE}"
    )
    resources = ("aws_s3_bucket", ALARM, "aws_sns_topic", "aws_sns_topic_subscription")
    bad = f'resource "{ALARM}" "cost" {{\n  metric_name   = "EstimatedCharges"\n  alarm_actions = []\n}}\n'
    good = 'region = "us-east-1"\nnamespace = "AWS/Billing"\nalarm_actions = [aws_sns_topic.cost.arn]\n'

    def subjects(self, repository: Repository) -> Iterable[Asked]:
        """Return every module with its budget; what the example says today comes before the first answer."""
        return [
            Asked(
                module,
                next((budget for budget, _ in reversed(answered(repository, module.folder, BUDGET))), None),
            )
            for module in repository.modules
        ]

    def check(self, subject: Asked) -> Iterator[Found]:
        """Look at every module with a bucket for backups."""
        module = subject.module
        kept = [each for each in buckets(module) if not holds_state(module, each)]
        alarms = [each for each in module.resources(ALARM) if each.value("metric_name") == "EstimatedCharges"]
        if kept and not any(covers(each, kept[0]) for each in alarms):
            place = (
                alarms[0].where("for_each" if alarms[0].has("for_each") else "count")
                if alarms
                else kept[0].place
            )
            yield Found(place, "nobody watches the cost", f"an {ALARM} of EstimatedCharges")
        for alarm in alarms:
            yield from ignored(alarm)
            yield from self._alarm(alarm, subject.budget)
            yield from self._topics(module, alarm)

    def _alarm(self, alarm: Block, budget: int | None) -> Iterator[Found]:
        threshold, wait = number(alarm.value("threshold")), self._wait(alarm)
        dimensions = dict(mapping(alarm.value("dimensions", {"Currency": "USD"})))
        below = threshold is not None and 0 < threshold <= (threshold if budget is None else budget)
        amount = (
            "an amount in USD"
            if budget is None
            else f"at most {budget} USD, as {EXAMPLE} or the first answer says"
        )
        wanted: tuple[tuple[str, Any, str], ...] = (
            ("namespace", alarm.value("namespace") == "AWS/Billing", '"AWS/Billing"'),
            ("comparison_operator", alarm.value("comparison_operator") in ABOVE, f'"{ABOVE[0]}"'),
            ("actions_enabled", yes(alarm.value("actions_enabled", True)), "true"),
            ("threshold", below, amount),
            ("statistic", alarm.value("statistic", "Maximum") == "Maximum", '"Maximum"'),
            (
                "dimensions",
                dimensions == {"Currency": "USD"},
                '{ Currency = "USD" }, so that all charges count',
            ),
            ("evaluation_periods", wait is None or wait <= LONGEST, f"at most {LONGEST} seconds in all"),
            (
                "region",
                region(alarm) == table("terraform")["billing_region"],
                "where AWS publishes the charges",
            ),
        )
        for name, right, should in wanted:
            if not right:
                what = f"the alarm's {name} is {alarm.value(name)}"
                yield Found(alarm.where(name), what, f"{name} = {should}", alarm.address)

    def _wait(self, alarm: Block) -> float | None:
        """Return how many seconds the charges must be too high; nothing if nobody says."""
        period, times = (number(alarm.value(name)) for name in ("period", "evaluation_periods"))
        return None if period is None or times is None else period * times

    def _topics(self, module: Module, alarm: Block) -> Iterator[Found]:
        topics = [each for each in module.resources("aws_sns_topic") if names(alarm, "alarm_actions", each)]
        if not topics or not sequence(alarm.value("alarm_actions")):
            where = alarm.where("alarm_actions")
            yield Found(where, "the alarm tells no topic of this module", "an aws_sns_topic", alarm.address)
        billing = table("terraform")["billing_region"]
        for topic in topics:
            if region(topic) != billing:
                yield Found(topic.where("region"), "the topic is elsewhere", f'"{billing}"', topic.address)
            yield from self._writers(module, topic)
            yield from self._readers(module, topic, billing)

    def _writers(self, module: Module, topic: Block) -> Iterator[Found]:
        """A topic without a policy takes what its account sends; one with a policy what that allows."""
        policies = module.pointing_at(topic, "arn", "aws_sns_topic_policy")
        said = [each for each in statements(module) if each.block in policies]
        if policies and not any(
            each.allows and any(name in (SENDER, "*") for _, name, _ in each.principals()) for each in said
        ):
            where, should = policies[0].where("policy"), f"an Allow of sns:Publish for {SENDER}"
            yield Found(where, "the alarm may not write to the topic", should, topic.address)

    def _readers(self, module: Module, topic: Block, billing: str) -> Iterator[Found]:
        readers = module.pointing_at(topic, "topic_arn", "aws_sns_topic_subscription")
        if not any(covers(each, topic) for each in readers):
            place = readers[0].place if readers else topic.place
            yield Found(place, "nobody reads the topic", "an aws_sns_topic_subscription", topic.address)
        for reader in readers:
            yield from self._reader(reader, billing)

    def _reader(self, reader: Block, billing: str) -> Iterator[Found]:
        place: Place = reader.where("region")
        if region(reader) != billing:
            yield Found(place, "the subscription is elsewhere", f'"{billing}"', reader.address)
        if reader.value("filter_policy") is not None:
            where = reader.where("filter_policy")
            yield Found(where, "a filter keeps messages back", "no filter_policy", reader.address)
        if reader.value("endpoint") in (None, ""):
            where = reader.where("endpoint")
            yield Found(where, "the subscription writes to nobody", "an address that is read", reader.address)


check = MAIL_TF_016()
