"""What Prometheus may read, in a registry of its own for every application."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from mailserver_api.verdicts import Verdict


class Metrics:
    """Counters and gauges; sizes in bytes, times in seconds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "mailserver_api_messages", "Calls to /v1/messages", ["verdict"], registry=self.registry
        )
        for verdict in Verdict:
            self.requests.labels(verdict.label)
        self.bytes = Counter(
            "mailserver_api_received_bytes", "Size of fully received messages", registry=self.registry
        )
        self.duplicates = Counter(
            "mailserver_api_duplicates", "Messages recognized as accepted before", registry=self.registry
        )
        self.in_flight = Gauge("mailserver_api_in_flight", "Calls being answered", registry=self.registry)
        self.submit_seconds = Histogram(
            "mailserver_api_submit_seconds",
            "Duration of an SMTP conversation",
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60, 300),
            registry=self.registry,
        )
        self.forwards = Counter(
            "mailserver_api_forwards", "Mails to addresses outside", ["result"], registry=self.registry
        )
        for result in ("done", "failed"):
            self.forwards.labels(result)
        self.ledger_errors = Counter(
            "mailserver_api_ledger_errors", "Failures of the ledger's file", ["kind"], registry=self.registry
        )
        for kind in ("damaged", "unusable"):
            self.ledger_errors.labels(kind)
