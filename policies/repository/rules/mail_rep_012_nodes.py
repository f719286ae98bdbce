"""MAIL_REP_012: the hosts of nodes.yml go together."""

from collections.abc import Iterator

from policies.model import Found, Place
from policies.shared.located import mapping, sequence, where
from policies.shared.repository import Repository

FILE = "nodes.yml"
MEMBERS = {1, 2, 3}
ONCE = ("name", "address", "database", "shard")


def check(subject: Repository) -> Iterator[Found]:
    """Look at all hosts together, if there is such a file."""
    documents = subject.yaml(FILE) if FILE in subject.files else []
    for document in (each for each in documents if isinstance(each, dict)):
        rows = sequence(document.get("nodes"))
        for field in ONCE:
            seen: set[str] = set()
            for number, row in enumerate(rows):
                value = mapping(row).get(field)
                if value is not None and str(value) in seen:
                    place = where(document, "nodes", number, field)
                    yield Found(place, f"{field} {value} stands twice", "each once", f"nodes/{field}/{value}")
                seen |= {str(value)} - {"None"}
            if field == "database" and seen != {str(member) for member in MEMBERS}:
                has = ", ".join(sorted(seen)) or "none"
                should = "the members 1, 2 and 3, each on a host of its own"
                yield Found(Place(FILE), f"members of the database: {has}", should, "nodes/database")
            if field == "shard" and not seen:
                yield Found(
                    Place(FILE), "no host keeps mailboxes", "a shard on one host at least", "nodes/shard"
                )
