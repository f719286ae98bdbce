from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared import tables
from policies.shared.units import number, size


class MAIL_CMP_003(ComposeRule):
    """The host was bought for the sum of these limits; a service that takes more takes it from another one.

    A higher limit here today is an out-of-memory kill of the database tomorrow. If the host has grown, the
    table in policies/data/services.yml is the place to say so, in the same pull request.
    """

    name = (
        "CPU and memory no higher than the table: lower the limit, or raise "
        "policies/data/services.yml with it"
    )
    severity = Severity.MEDIUM
    fix = (
        "Lower the limit to the table's value, or change policies/data/services.yml in the same pull request"
    )
    bad = "services:\n  nginx:\n    deploy:\n      resources:\n        limits: {memory: 4G}\n"
    good = "services:\n  nginx:\n    deploy:\n      resources:\n        limits: {memory: 256M}\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Compare both forms of both limits with the table; a service that is not in it has no bound."""
        row = tables.service(service.name)
        times = self._instances(service)
        for name, short, read in (("memory", "mem_limit", size), ("cpus", "cpus", number)):
            most = read(row.get(name))
            for path in (("deploy", "resources", "limits", name), (short,)):
                value = read(service.get(*path))
                if most is not None and value is not None and value * times > most:
                    count = f"{times:g} times " if times > 1 else ""
                    what = f"{name} {count}{service.get(*path)} is more than the table's {row[name]}"
                    yield Found(service.where(*path), what, f"at most {row[name]}", service.name)
        swap, most = size(service.get("memswap_limit")), size(row.get("memory"))
        # The engine adds as much swap as there is memory unless it is told otherwise.
        if swap is not None and most is not None and swap > 2 * most:
            what = (
                f"memswap_limit {service.get('memswap_limit')} is more than twice the table's {row['memory']}"
            )
            yield Found(service.where("memswap_limit"), what, "leave memswap_limit out", service.name)

    def _instances(self, service: Service) -> float:
        counts = (number(service.get("deploy", "replicas")), number(service.get("scale")))
        return max([1.0, *(count for count in counts if count)])


check = MAIL_CMP_003()
