"""Passwords that are easy to guess, by zxcvbn, which knows 30,000 of the most used stolen ones."""

from __future__ import annotations

from usermgmt.problems import Problem, Refused

#: Of 4: more than a hundred million guesses.
ENOUGH = 3
WORDS = {
    "dictionary": "It consists of common words or names.",
    "spatial": "Keys next to each other are easy to guess.",
    "repeat": "Repeated characters add nothing.",
    "sequence": "Sequences such as abc or 6543 are easy to guess.",
    "date": "Dates are easy to guess.",
    "regex": "Years are easy to guess.",
}


def check_strength(password: str, address: str, field: str) -> None:
    """Refuse a password that is on lists of stolen ones or quickly guessed, and say why in words."""
    # Its lists take a tenth of a second to load, and few requests need them.
    from zxcvbn import zxcvbn
    from zxcvbn.matching import RANKED_DICTIONARIES

    if password.lower() in RANKED_DICTIONARIES["passwords"]:
        wrong = "This password is on lists of stolen passwords."
        raise Refused(Problem(field, "", wrong, "Use one that nobody used before."))
    found = zxcvbn(password, user_inputs=[address, *address.replace("@", ".").split(".")], max_length=72)
    if found["score"] >= ENOUGH:
        return
    weakest = max(found["sequence"], key=lambda match: len(match["token"]))
    own = weakest.get("dictionary_name") == "user_inputs"
    wrong = "It contains your address." if own else WORDS.get(weakest["pattern"], "It is quickly guessed.")
    raise Refused(Problem(field, "", wrong, "Use four or more words that do not belong together."))
