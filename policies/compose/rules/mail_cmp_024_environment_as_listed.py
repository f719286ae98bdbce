from collections.abc import Iterator
from typing import Any

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Place, Severity
from policies.shared import environment, tables
from policies.shared.located import mapping, where
from policies.shared.secrets import handed_over


class MAIL_CMP_024(ComposeRule):
    """Images do other things when their environment says so: one line and the scanner fetches no signatures,
    the web mail installs packages from the internet, or every program loads another library first.

    So the variables of each service are a list, policies/data/environment.yml, and a new one is reviewed
    there.
    """

    name = "Environment as in policies/data/environment.yml, and nothing that loads code or needs no password"
    severity = Severity.HIGH
    fix = "Remove the variable, or add it to policies/data/environment.yml in the same pull request"
    bad = 'services:\n  clamav:\n    environment: {CLAMAV_NO_FRESHCLAMD: "true"}\n'
    good = "services:\n  clamav:\n    environment: {TZ: Asia/Tokyo}\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Compare what is set, in hooks as well, with the table; then look for what must be there."""
        row = tables.table("environment")["each"].get(service.name)
        # What .env gives to a service is told by MAIL_CMP_017.
        unseen = {place for _, place in service.items("env_file")}
        given = [each for each in service.entries("environment") if each[2] not in unseen]
        for hook, _ in service.hooks():
            node = hook.get("environment")
            given += [(str(name), value, where(node, name)) for name, value in mapping(node).items()]
        for name, value, place in given:
            # A secret is told by MAIL_CMP_017 as well.
            wrong = None if handed_over(name, value, True) else self._wrong(service, name, value, place)
            if wrong:
                yield Found(place, *wrong, service.name)
        for name in mapping(row).get("needed", ()):
            if service.get("environment", name) is None:
                where_ = service.where("environment")
                yield Found(where_, f"{name} is not set", f"{name} as in the table", service.name)

    def _wrong(self, service: Service, name: str, value: Any, place: Place) -> tuple[str, str] | None:
        """Ask the narrowest tables first: those of a file, and of a service beside this one."""
        table = tables.table("environment")
        beside = [rows for other, rows in table["beside"].items() if other in service.project.services]
        rows = [mapping(table["files"].get(place.file)), *beside]
        return environment.wrong(service.name, name, value, [each.get(service.name) for each in rows])


check = MAIL_CMP_024()
