"""What a pinned tag means at its registry today, asked through the engine: its mirrors and log-ins count."""

from dataclasses import dataclass

from mailctl.core.engine import Engine, Unanswered
from mailctl.images.pins import Pin


@dataclass(frozen=True)
class Answer:
    """A pin, and the digest of its tag today, or why nobody knows."""

    pin: Pin
    digest: str | None = None
    why: str | None = None

    @property
    def moved(self) -> bool:
        return self.digest is not None and self.digest != self.pin.digest

    @property
    def state(self) -> str:
        if self.digest is None:
            return "unknown"
        return "moved" if self.moved else "same"

    def as_dict(self) -> dict[str, object]:
        """The JSON of one image; `now` is null where the registry did not say."""
        return {
            "image": self.pin.name,
            "files": list(self.pin.files),
            "state": self.state,
            "pinned": self.pin.digest,
            "now": self.digest,
            "why": self.why,
        }


def ask(pin: Pin, engine: Engine) -> Answer:
    """Ask about one pin."""
    try:
        return Answer(pin, digest=engine.upstream_digest(pin.name))
    except Unanswered as error:
        return Answer(pin, why=str(error))
