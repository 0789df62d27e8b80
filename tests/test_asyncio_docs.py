"""docs/asyncio.md and docs/coming_from.md say what is so: each block runs, and prints what stands below it."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "asyncio.md").read_text(encoding="utf-8")
COMING = (ROOT / "docs" / "coming_from.md").read_text(encoding="utf-8")
CHAT = (ROOT / "examples" / "fastapi_chat.py").read_text(encoding="utf-8")

STEPS = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```\n", GUIDE, flags=re.MULTILINE | re.DOTALL)
FASTAPI = [code for code in re.findall(r"^```python\n(.*?)^```\n", GUIDE, flags=re.MULTILINE | re.DOTALL) if "fastapi" in code]
CHATTED = re.findall(r"^```text\n(.*?)^```\n", GUIDE, flags=re.MULTILINE | re.DOTALL)[-1]
PAIRS = re.findall(r"Before:\n\n```python\n(.*?)^```\n\nAfter:\n\n```python\n(.*?)^```\n", COMING, flags=re.MULTILINE | re.DOTALL)


def run(code, *arguments):
    command = [sys.executable, "-X", "utf8", "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=False)


@pytest.mark.slow
def test_each_step_prints_what_stands_below_it():
    done = run("\nprint(end='\\f', flush=True)\n".join(code for code, _printed in STEPS))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\f") == [printed for _code, printed in STEPS]


def test_the_steps_are_nine_and_in_order():
    assert re.findall(r"^## (\d+)\. ", GUIDE, flags=re.MULTILINE) == [str(number) for number in range(1, 10)]


def test_every_program_but_those_of_fastapi_says_what_it_prints():
    assert len(STEPS) + len(FASTAPI) == GUIDE.count("```python\n") == 10


def test_the_chat_is_the_examples_and_short():
    chat = FASTAPI[0][FASTAPI[0].index("class Chat") :]
    assert chat in CHAT
    assert len(chat.splitlines()) <= 40


@pytest.mark.slow
def test_the_chat_prints_what_stands_below_it_and_has_a_page():
    """As of the text: the chat, the page below it; and the browsers of the example."""
    browsers = CHAT[CHAT.index("if __name__") :]
    page = "print('new WebSocket' in TestClient(app).get('/tea/ann').text)"
    done = run("\n".join([FASTAPI[0], FASTAPI[1], "from fastapi.testclient import TestClient", browsers, page]))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{CHATTED}True\n", "")


def test_the_before_and_after_are_three_and_name_what_exists():
    assert len(PAIRS) == 3 == COMING.count("Before:")
    for before, after in PAIRS:
        assert "lightspeed" not in before
        for node in ast.walk(ast.parse(after)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("lightspeed"):
                assert [name.name for name in node.names if not hasattr(importlib.import_module(node.module), name.name)] == []
        compile(before, "before", "exec")


@pytest.mark.slow
def test_after_broadcaster_the_same_is_printed():
    before, after = PAIRS[0]
    done = run(after)
    assert (done.returncode, done.stdout, done.stderr) == (0, "room:1 hello\n", "")
    pytest.importorskip("broadcaster")
    assert run(before).stdout == done.stdout
