"""The page of what went wrong quotes sentences that the code says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/troubleshooting.md"
PLACE = re.compile(r"<[^<>]*>|\.\.\.|[;:,] ")
"""Stands on the page for what differs from case to case, or where a sentence may be put together."""


def quoted() -> list[str]:
    """Sentences in the first column of the page's tables."""
    rows = [re.split(r"(?<!\\)\|", line)[1].strip() for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [row.strip("`") for row in rows if row.startswith("`")]


def said() -> str:
    """Every text in the code, with a line end where a value is put in."""
    texts = []
    for path in [*ROOT.glob("rlmpc/**/*.py"), *ROOT.glob("callbacks/*.py"), ROOT / "train.py", ROOT / "play.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "\n" for part in node.values)
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


@pytest.fixture(scope="module")
def texts() -> str:
    return said()


def test_the_page_quotes_many_sentences():
    assert len(quoted()) > 25


@pytest.mark.parametrize("sentence", quoted())
def test_a_quoted_sentence_is_one_that_the_code_says(texts: str, sentence: str):
    parts = [part.strip(" '\"()") for part in PLACE.split(sentence)]
    assert max(map(len, parts)) >= 8
    assert [part for part in parts if part not in texts] == []
