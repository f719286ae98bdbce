"""The forms of the pages: their fields, what was entered, and beside each field what is wrong with it.

What a field may hold is said here as far as it is about the form (length, yes or no). What it means is the
services' business: their refusals land at the same fields, so there is one way to show an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import BooleanField, Field, PasswordField, SelectMultipleField, StringField
from wtforms.validators import ValidationError

from usermgmt.passwords import generate_password
from usermgmt.problems import Conflict, Problem, Refused

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
        """Refuse what no service needs to see."""
        if not self.validate():
            raise Refused(self.problems)

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


class Empty(Form):
    """A form of which only the button matters."""


class Switch(Form):
    """Enable or disable."""

    active = YesField()


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


class NewDomain(Form):
    """A domain to add."""

    name = typed(253)


class Limits(Form):
    """What a domain may have."""

    default_quota = typed(SIZE)
    largest_quota = typed(SIZE)
    storage = typed(SIZE)
    most_mailboxes = typed(COUNT)
    most_aliases = typed(COUNT)


class CatchAll(Form):
    """Who gets what nothing else of a domain takes; `seen`: who did when the form was shown."""

    destinations = typed(ADDRESSES)
    seen = typed(ADDRESSES)


class NewMailbox(NewPassword):
    """A mailbox to add."""

    email = typed(ADDRESS)
    display_name = typed(NAME)
    quota = typed(SIZE)


class Details(Form):
    """What can be changed of a mailbox."""

    display_name = typed(NAME)
    quota = typed(SIZE)


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


class NewAlias(Form):
    """An alias to add, or more destinations of one."""

    source = typed(ADDRESS)
    destinations = typed(ADDRESSES)
    may_send = YesField()


class Role(Form):
    """What an admin may do."""

    role = typed(SIZE)
    domain = several()


class NewAdmin(Role, NewPassword):
    """An admin to add."""

    email = typed(ADDRESS)


class NewToken(Form):
    """A token to make."""

    name = typed(60)
    scopes = several()
    domain = typed(253)
    days = typed(COUNT)


class Import(Form):
    """A table, and whether to add what is in it."""

    file = FileField()
    apply = YesField()


class Display(Form):
    """Language and time zone, and the page to go on with."""

    language = typed(16)
    timezone = typed(64)
    next = typed(2000)


class Reply(Form):
    """An automatic reply."""

    on = YesField()
    subject = typed(200)
    text = typed(5000)
    first_day = typed(SIZE, "from")
    until = typed(SIZE)
    days = typed(COUNT)


class Forwarding(Form):
    """Where mail is forwarded to."""

    forward_to = typed(2000)
    keep_copy = YesField()


class ChosenPassword(Form):
    """A new password, typed twice."""

    password = secret()
    again = secret()


class Confirmed(Form):
    """What an open browser alone must not allow: the password goes with it."""

    old_password = secret()


class OwnPassword(Confirmed, ChosenPassword):
    """One's own password, changed."""


class AppPassword(Confirmed):
    """A password of a mail program, to make."""

    name = typed(60)


class Code(Form):
    """The first code of an authenticator app."""

    code = typed(SIZE)


class NewPasskey(Form):
    """What the browser made; `credential` is a document of its own."""

    name = typed(60)
    credential = typed(20_000)
