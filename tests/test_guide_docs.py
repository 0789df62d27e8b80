"""docs/guide.md says what is so: each of its steps prints what stands below it. And every link of the docs leads somewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CHAT = ROOT / "examples" / "chat.py"

BLOCKS = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", GUIDE, flags=re.MULTILINE | re.DOTALL)
TESTS = [code for code, _printed in BLOCKS if "def test_" in code]
STEPS = [(code, printed) for code, printed in BLOCKS if code not in TESTS]

CHATTED = """\
joined
joined
full
ann is typing
1. ann: hello
topic_crashed
error
error
left
new price list
2. bob: good to be back
"""


def run(*arguments, cwd=ROOT):
    command = [sys.executable, "-X", "utf8", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8", timeout=60, check=False)


@pytest.mark.slow
def test_each_step_prints_what_stands_below_it():
    program = "\nprint(end='\\f', flush=True)\n".join(code for code, _printed in STEPS)
    done = run("-W", "error", "-c", program)
    assert done.stderr == ""
    assert done.stdout.split("\f") == [printed for _code, printed in STEPS]


def test_the_steps_are_ten_and_in_order():
    assert re.findall(r"^## (\d+)\. ", GUIDE, flags=re.MULTILINE) == [str(number) for number in range(1, 11)]
    assert len(re.findall(r"^```text$", GUIDE, flags=re.MULTILINE)) == len(STEPS)
    assert len(TESTS) == 1


@pytest.mark.slow
def test_the_guides_test_passes_beside_a_copy_of_the_example(tmp_path):
    shutil.copy(CHAT, tmp_path)
    (tmp_path / "test_chat.py").write_text(TESTS[0], encoding="utf-8")
    (command, said) = re.search(r"^`pytest (.*)` says `(.*)`", GUIDE, flags=re.MULTILINE).groups()
    done = run("-m", "pytest", "-c", os.devnull, "--rootdir", str(tmp_path), *command.split(), cwd=tmp_path)
    assert said in done.stdout


@pytest.mark.slow
def test_the_example_ends_by_itself_and_prints_what_was_sent():
    done = run("-W", "error", str(CHAT))
    assert (done.returncode, done.stderr) == (0, "")
    assert "`- room:1 [running] topic, incarnation 3, 1 member, 1 restart\n" in done.stdout
    payloads = re.findall(r'"payload":"([^"]*)"', done.stdout)
    assert payloads == CHATTED.splitlines()


def headings_of(page):
    """What a link to a heading of the page may say behind its `#`."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\]\(.*?\)", "", title)).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page):
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (heading and heading not in headings_of(target)):
            lost.append(link)
    assert lost == []


def test_every_page_is_linked_from_the_readme():
    readme = PAGES[0].read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in readme] == []
