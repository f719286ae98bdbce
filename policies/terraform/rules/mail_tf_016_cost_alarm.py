"""MAIL_TF_016: cost alarm wired."""

import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found
from policies.shared.located import sequence
from policies.terraform.blocks import Block, Module
from policies.terraform.buckets import buckets
from policies.terraform.iam import statements
from policies.terraform.tables import table
from policies.terraform.values import number, yes

ALARM = "aws_cloudwatch_metric_alarm"
SENDER = "cloudwatch.amazonaws.com"
#: AWS publishes the charges a few times a day; an alarm that waits longer than this comes with the bill.
LONGEST = 86400


def region(block: Block) -> Any:
    """Return a resource's own region, or that of the provider that makes it."""
    if block.has("region"):
        return block.value("region")
    named = next((name.rpartition(".")[2] for name in block.references("provider")), None)
    providers = block.module.all("provider", "aws")
    return next((each.value("region") for each in providers if each.value("alias") == named), None)


def check(subject: Module) -> Iterator[Found]:
    """Look at every module with a bucket for backups."""
    alarms = [each for each in subject.resources(ALARM) if each.value("metric_name") == "EstimatedCharges"]
    kept = buckets(subject, with_state=False)
    if kept and not any(each.sure or not kept[0].sure for each in alarms):
        place = alarms[0].place if alarms else kept[0].place
        what, should = "nobody watches the cost", f"an {ALARM} of EstimatedCharges"
        yield Found(place, what, should, f"{subject.folder}/alarm")
    for alarm in alarms:
        yield from _alarm(alarm)
        yield from _topics(subject, alarm)


def _alarm(alarm: Block) -> Iterator[Found]:
    period, times = (number(alarm.value(name)) for name in ("period", "evaluation_periods"))
    waits = period * times if period and times else 0
    above = re.fullmatch(r"GreaterThan(OrEqualTo)?Threshold", str(alarm.value("comparison_operator")))
    dimensions = alarm.value("dimensions", {"Currency": "USD"})
    wanted = {
        "namespace": (alarm.value("namespace") == "AWS/Billing", '= "AWS/Billing"'),
        "comparison_operator": (above, '= "GreaterThanThreshold"'),
        "actions_enabled": (yes(alarm.value("actions_enabled", True)), "= true"),
        "threshold": ((number(alarm.value("threshold")) or 0) > 0, "an amount in USD"),
        "statistic": (alarm.value("statistic", "Maximum") == "Maximum", '= "Maximum"'),
        "dimensions": (dimensions == {"Currency": "USD"}, '= { Currency = "USD" }'),
        "evaluation_periods": (waits <= LONGEST, f"at most {LONGEST} seconds in all"),
    }
    yield from _compared(alarm, wanted)


def _compared(block: Block, wanted: dict[str, tuple[Any, str]]) -> Iterator[Found]:
    """Yield each attribute that is wrong; `wanted` says whether it is right, and what to write."""
    billing = table("tables")["billing_region"]
    wanted["region"] = (region(block) == billing, f'= "{billing}", where AWS publishes the charges')
    for name, (right, should) in wanted.items():
        if not right:
            what = f"{name} of {block.address} is {block.value(name)}"
            yield Found(block.where(name), what, f"{name} {should}", f"{block.address}/{name}")


def _topics(module: Module, alarm: Block) -> Iterator[Found]:
    topics = [each for each in module.resources("aws_sns_topic") if alarm.names("alarm_actions", each)]
    if not topics or not sequence(alarm.value("alarm_actions")):
        what = "the alarm tells no topic of this module"
        yield Found(alarm.where("alarm_actions"), what, "an aws_sns_topic", f"{alarm.address}/alarm_actions")
    for topic in topics:
        readers = module.pointing_at(topic, "topic_arn", "aws_sns_topic_subscription")
        if not any(each.sure or not topic.sure for each in readers):
            place = readers[0].place if readers else topic.place
            what, should = "nobody reads the topic", "an aws_sns_topic_subscription"
            yield Found(place, what, should, f"{topic.address}/readers")
        yield from _compared(topic, {})
        for reader in readers:
            unfiltered = reader.value("filter_policy") is None
            addressed = reader.value("endpoint") not in (None, "")
            wanted = {
                "filter_policy": (unfiltered, "out: a filter keeps messages back"),
                "endpoint": (addressed, "= an address that is read"),
            }
            yield from _compared(reader, wanted)
        yield from _writers(module, topic)


def _writers(module: Module, topic: Block) -> Iterator[Found]:
    """A topic without a policy takes what its account sends; one with a policy what that allows."""
    policies = module.pointing_at(topic, "arn", "aws_sns_topic_policy")
    said = [each for each in statements(module) if each.block in policies and each.allows]
    if policies and not any(name in (SENDER, "*") for each in said for _, name, _ in each.principals()):
        what, should = "the alarm may not write to the topic", f"an Allow of sns:Publish for {SENDER}"
        yield Found(policies[0].where("policy"), what, should, f"{topic.address}/writers")
