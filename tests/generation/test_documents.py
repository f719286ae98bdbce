"""The documents of the generated repository: every link leads somewhere, for all answers that matter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")


@pytest.mark.parametrize("antivirus", [True, False], ids=["antivirus", "no antivirus"])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_link_of_the_documents_leads_somewhere(tmp_path, language, antivirus):
    answers = {"language": language, "antivirus": antivirus}
    root = Path(cookiecutter(str(TEMPLATE), no_input=True, extra_context=answers, output_dir=str(tmp_path)))
    documents = [root / "README.md", *root.glob("docs/**/*.md")]
    assert len(documents) > 5
    broken = [
        f"{document.relative_to(root)}: {target}"
        for document in documents
        for target, _ in LINK.findall(document.read_text())
        if target and not (document.parent / target).exists()
    ]
    assert not broken


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_variable_of_the_workflows_is_explained(language):
    """GitHub's variables stand in no file: who needs one finds it in the documents only."""
    generated = TEMPLATE / "{{cookiecutter.project_slug}}"
    workflows = "".join(path.read_text() for path in (generated / ".github/workflows").glob("*.yml"))
    documents = "".join(path.read_text() for path in (generated / "_docs" / language).rglob("*.md"))
    names = set(re.findall(r"\bvars\.(\w+)", workflows))
    assert names and {name for name in names if f"`{name}`" not in documents} == set()
