"""The documents of the generated repository: every link leads somewhere, for all answers that matter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter
from markdown_it import MarkdownIt

from tests.stack.documents import BY_THEMSELVES, COMPUTER, HOST, HOW, START, steps, tasks

TEMPLATE = Path(__file__).resolve().parents[2]
DOCUMENTS = TEMPLATE / "{{cookiecutter.project_slug}}" / "_docs"
ENGLISH = sorted(path.relative_to(DOCUMENTS / "en") for path in DOCUMENTS.glob("en/**/*.md"))
BLOCK = re.compile(r"^```sh\n.*?^```", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(?:^|\s+)# .*$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")


@pytest.mark.parametrize("antivirus", [True, False], ids=["antivirus", "no antivirus"])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_link_of_the_documents_leads_somewhere_and_no_mark_is_shown(tmp_path, language, antivirus):
    answers = {"language": language, "antivirus": antivirus}
    root = Path(cookiecutter(str(TEMPLATE), no_input=True, extra_context=answers, output_dir=str(tmp_path)))
    documents = [root / "README.md", *root.glob("docs/**/*.md")]
    assert len(documents) > 5
    broken = [
        f"{document.relative_to(root)}: {target}#{section}"
        for document in documents
        for target, section in LINK.findall(document.read_text())
        if not leads_somewhere(document.parent / target if target else document, section)
    ]
    assert not broken
    shown = [f"{each.relative_to(root)}: {mark}" for each in documents for mark in stray_marks(each)]
    assert not shown, "`**` between punctuation and a letter closes nothing: move the punctuation"


def leads_somewhere(target: Path, section: str) -> bool:
    """Whether a link's file is there, and has the heading that the link names, as GitHub would call it."""
    if not target.exists() or not section:
        return target.exists()
    headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    return section in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def stray_marks(document: Path) -> list[str]:
    """Return the texts of a document in which a reader would see the marks of bold print."""
    tokens = MarkdownIt("commonmark").enable("table").parse(document.read_text(encoding="utf-8"))
    texts = [part for token in tokens for part in token.children or [] if part.type == "text"]
    return [part.content for part in texts if "**" in part.content]


@pytest.mark.parametrize("document", ENGLISH, ids=str)
def test_both_languages_name_the_same_commands(document):
    """The tests execute those of the English documents. Comments are translated."""
    english, japanese = (
        [COMMENT.sub("", block) for block in BLOCK.findall((DOCUMENTS / language / document).read_text())]
        for language in ("en", "ja")
    )
    assert english == japanese


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_task_of_how_do_i_takes_at_most_ten_lines(language):
    page = tasks((DOCUMENTS / language / HOW).read_text())
    lines = {task: [line for line in text.splitlines() if is_read(line)] for task, text in page.items()}
    assert len(page) > 20
    assert {task: len(each) for task, each in lines.items() if not 0 < len(each) <= 10} == {}


def is_read(line: str) -> bool:
    """Whether a reader sees a line: it is neither empty nor markup."""
    return bool(line) and not line.startswith(("```", "{%"))


def test_what_tests_do_by_themselves_is_on_the_page():
    assert {*tasks((DOCUMENTS / "en" / HOW).read_text())} >= BY_THEMSELVES


def test_the_first_day_makes_a_mailbox_before_cloudflare_hands_mail_over():
    """Mail for an address that the server does not know is a bounce: the Worker is told 404."""
    commands = "".join(step.text for step in steps((DOCUMENTS / "en" / START).read_text()))
    assert commands.index("make deploy") < commands.index("user add") < commands.index("make edge-apply")


def test_every_block_of_the_first_day_says_where_it_runs():
    places = {step.place for step in steps((DOCUMENTS / "en" / START).read_text())}
    assert places == {COMPUTER, HOST, "ini", "yaml"}


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_variable_of_the_workflows_is_explained(language):
    """GitHub's variables are in no file: who needs one finds it in the documents only."""
    generated = TEMPLATE / "{{cookiecutter.project_slug}}"
    workflows = "".join(path.read_text() for path in (generated / ".github/workflows").glob("*.yml"))
    documents = "".join(path.read_text() for path in (generated / "_docs" / language).rglob("*.md"))
    names = set(re.findall(r"\bvars\.(\w+)", workflows))
    assert names and {name for name in names if f"`{name}`" not in documents} == set()
