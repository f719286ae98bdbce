"""The forms of the pages: their fields, what was entered, and beside each field what is wrong with it.

What a field may hold is said here as far as it is about the form (length, yes or no). What it means is the
services' business: their refusals land at the same fields, so there is one way to show an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from sqlalchemy.orm import Session
from wtforms import BooleanField, Field, PasswordField, SelectMultipleField, StringField
from wtforms.validators import ValidationError

from usermgmt.parts import database
from usermgmt.passwords import generate_password
from usermgmt.problems import Conflict, Missing, Problem, Refused

ADDRESS, NAME, SIZE, COUNT, PASSWORD = 320, 100, 20, 6, 200
#: A hundred addresses, one on each line.
ADDRESSES = 33_000
#: The number of a row has no more digits.
ID_DIGITS = 10


class AtMost:
    """A limit of characters, which the browser is told too."""

    def __init__(self, most: int) -> None:
        self.most, self.field_flags = most, {"maxlength": most}

    def __call__(self, form: Form, field: Any) -> None:
        """Refuse what is longer; a password is not repeated."""
        if len(field.data or "") > self.most:
            shown = "" if isinstance(field, PasswordField) else field.data[:60]
            wrong, instead = "This is too long.", "Use at most {most} characters."
            raise ValidationError(Problem(field.name, shown, wrong, instead, {"most": str(self.most)}))


class YesField(BooleanField):
    """A box or a button that says yes, or nothing."""

    def process_formdata(self, values: Sequence[str]) -> None:
        """Anything else is no."""
        self.data = list(values) == ["yes"]


class NumbersField(Field):
    """Numbers of rows that are ticked, each once; what is no number is nobody's row."""

    def process_formdata(self, values: Sequence[str]) -> None:
        """Take the digits."""
        fit = [text for text in values if text.isascii() and text.isdigit() and len(text) < ID_DIGITS]
        self.data = list(dict.fromkeys(map(int, fit)))


def typed(most: int, name: str | None = None) -> Any:
    """A field of so many characters at most."""
    return StringField(default="", name=name, validators=[AtMost(most)])


def secret() -> Any:
    """A field that never shows what it holds."""
    return PasswordField(default="", validators=[AtMost(PASSWORD)])


def several() -> Any:
    """Some of what a page offers; the services know what there is."""
    return SelectMultipleField(choices=[], validate_choice=False, default=())


class Form(FlaskForm):
    """What all forms can do. In a request that sends a form, that is what it was filled in with."""

    class Meta:
        # CSRFProtect has looked at every request before.
        csrf = False

    status = 200

    @property
    def problems(self) -> list[Problem]:
        """All that is wrong, in the order of the fields."""
        found = [problem for field in self for problem in field.errors]
        return [*found, *self.form_errors]

    def check(self) -> None:
        """Refuse what is wrong with the form itself."""
        if not self.validate():
            raise Refused(self.problems)

    @contextmanager
    def change(self) -> Iterator[Session]:
        """A transaction for what the form asks for. What is refused changes nothing and is said at its field.

        Raises Missing.
        """
        try:
            with database().transaction() as session:
                yield session
                self.check()
        except Missing:
            raise
        except Refused as refusal:
            own = [] if self.validate() else self.problems
            more = [problem for problem in refusal.problems if problem not in own]
            self.refuse(type(refusal)([*own, *more]))

    def refuse(self, refusal: Refused) -> Self:
        """Say why nothing was changed: at the fields, the rest above them."""
        self.status = 409 if isinstance(refusal, Conflict) else 422
        names = {field.name for field in self}
        for field in self:
            field.errors = [problem for problem in refusal.problems if problem.field == field.name]
        self.form_errors = [problem for problem in refusal.problems if problem.field not in names]
        return self

    def entered(self) -> dict[str, str]:
        """What the fields hold, by their names, as a form sends it."""
        held = ((field.name, field.data) for field in self)
        return {name: ("yes" if data else "") if isinstance(data, bool) else data for name, data in held}

    @classmethod
    def over(cls, now: dict[str, Any], sent: Self | None) -> tuple[Self, Self | None]:
        """The form to show where `now` is stored: that one, or what was sent and refused.

        If somebody else changed it meanwhile, what is stored, and beside it what was sent.
        """
        outdated = sent is not None and sent.status == 409
        if sent is not None and not outdated:
            return sent, None
        shown = cls(formdata=None, data=now)
        if outdated and sent is not None:
            shown.status, shown.form_errors = sent.status, sent.problems
        return shown, sent


def form(about: str, *bases: type[Form], **fields: Any) -> type[Form]:
    """A kind of form with these fields beside those of `bases`; `about` is its docstring."""
    made: type[Form] = type("Form", bases or (Form,), {"__doc__": about, **fields})
    return made


class NewPassword(Form):
    """A password that is chosen, generated, or chosen by its owner through a link."""

    password_kind = typed(SIZE)
    password = secret()

    @property
    def by_link(self) -> bool:
        """Whether a link is asked for; a password that was typed is never ignored."""
        return self.password_kind.data == "link" and not self.password.data

    def choose(self) -> tuple[str, bool]:
        """The password, and whether it was generated here."""
        if self.password.data or self.password_kind.data == "chosen":
            return self.password.data, False
        return generate_password(), True


class Selection(Form):
    """Mailboxes that are ticked, or all that a filter finds: `count` of them, with these ids.

    `sure`: the question was answered.
    """

    selected = NumbersField(default=())
    if_version = several()
    all = YesField()
    sure = YesField()
    count = NumbersField(default=())
    after = NumbersField(default=())
    until = NumbersField(default=())

    def number(self, name: str) -> int:
        """The number in a field, 0 if there is none."""
        return next(iter(self[name].data), 0)


Empty = form("A form of which only the button matters.")
Switch = form("Enable or disable.", active=YesField())
NewDomain = form("A domain to add.", name=typed(253))
Limits = form(
    "What a domain may have.",
    default_quota=typed(SIZE),
    largest_quota=typed(SIZE),
    storage=typed(SIZE),
    most_mailboxes=typed(COUNT),
    most_aliases=typed(COUNT),
)
CatchAll = form(
    "Who gets what nothing else takes; `seen`: who did when the form was shown.",
    destinations=typed(ADDRESSES),
    seen=typed(ADDRESSES),
)
Details = form("What can be changed of a mailbox.", display_name=typed(NAME), quota=typed(SIZE))
NewMailbox = form("A mailbox to add.", Details, NewPassword, email=typed(ADDRESS))
NewAlias = form(
    "An alias to add, or more destinations of one.",
    source=typed(ADDRESS),
    destinations=typed(ADDRESSES),
    may_send=YesField(),
)
Role = form("What an admin may do.", role=typed(SIZE), domain=several())
NewAdmin = form("An admin to add.", Role, NewPassword, email=typed(ADDRESS))
NewToken = form("A token to make.", name=typed(60), scopes=several(), domain=typed(253), days=typed(COUNT))
Import = form("A table, and whether to add what is in it.", file=FileField(), apply=YesField())
Display = form(
    "Language and time zone, and the page to go on with.",
    language=typed(16),
    timezone=typed(64),
    next=typed(2000),
)
Reply = form(
    "An automatic reply.",
    on=YesField(),
    subject=typed(200),
    text=typed(5000),
    first_day=typed(SIZE, "from"),
    until=typed(SIZE),
    days=typed(COUNT),
)
Forwarding = form("Where mail is forwarded to.", forward_to=typed(2000), keep_copy=YesField())
ChosenPassword = form("A new password, typed twice.", password=secret(), again=secret())
Confirmed = form("What an open browser alone must not allow.", old_password=secret())
OwnPassword = form("One's own password, changed.", Confirmed, ChosenPassword)
AppPassword = form("A password of a mail program, to make.", Confirmed, name=typed(60))
Code = form("The first code of an authenticator app.", code=typed(SIZE))
NewPasskey = form("What the browser made, a document of its own.", name=typed(60), credential=typed(20_000))
