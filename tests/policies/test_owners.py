"""Who approves: every file that decides what runs has an owner, whoever brings it."""

from fnmatch import fnmatch

from policies.readers import Repository

#: Text for people, which anybody may correct.
FREE = ("docs/*", "README.md")


def owned(lines: list[str], file: str) -> bool:
    """Tell whether the last line that fits a file names somebody, as GitHub reads them."""
    for line in reversed(lines):
        pattern, *owners = line.split()
        whole = pattern.lstrip("/")
        if fnmatch(file, f"{whole}*" if whole.endswith("/") else whole):
            return bool(owners)
    return False


def test_everything_but_documents_has_an_owner(generate):
    repository = Repository(generate())
    lines = [line for line in repository.text(".github/CODEOWNERS").splitlines() if line and line[0] != "#"]
    files = [file for file in repository.files if not any(fnmatch(file, each) for each in FREE)]
    assert {"policy.yml", ".github/CODEOWNERS", "config/postfix/main.cf"} <= set(files)
    assert [file for file in files if not owned(lines, file)] == []
