"""The README says what is so: its program is the example, its output is what the example prints, its files exist."""

import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICKSTART = ROOT / "examples" / "quickstart.py"

INSTALL = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/lightspeed play examples/netsplit.jsonl --summary\n"
TEST = 'python3 -m venv .venv && .venv/bin/pip install ".[test]" && .venv/bin/pytest\n'


def blocks(language: str) -> list[str]:
    """What stands between fences of the language, with the last line's end."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "utf8", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=30, check=False)


def test_the_first_program_in_the_readme_is_the_quickstart() -> None:
    assert blocks("python")[0] == QUICKSTART.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_programs_print_what_the_readme_shows() -> None:
    assert len(blocks("python")) == len(blocks("text")) == 2
    for program, shown in zip(blocks("python"), blocks("text"), strict=True):
        done = run("-c", program)
        assert (done.returncode, done.stdout, done.stderr) == (0, shown, "")


def test_the_commands_are_one_to_install_and_play_and_one_to_test() -> None:
    assert blocks("sh") == [INSTALL, TEST]


def test_the_commands_name_files_and_extras_that_exist() -> None:
    words = [word for block in blocks("sh") for word in shlex.split(block)]
    paths = [word for word in words if "/" in word and not word.startswith(".venv/")]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert "test" in (metadata("lightspeed-channels").get_all("Provides-Extra") or [])


@pytest.mark.slow
def test_the_command_that_plays_the_trace_ends_well() -> None:
    command = shlex.split(INSTALL.split("&&")[-1])
    assert [script.name for script in entry_points(group="console_scripts", name="lightspeed")] == ["lightspeed"]
    done = run("-c", "import sys; from lightspeed.cli.main import main; sys.exit(main())", *command[1:])
    assert done.returncode == 0
    assert '{"type":"system","label":"restarted"}\n' in done.stdout
    assert re.search(r"^crashes survived +1$", done.stderr, flags=re.MULTILINE)


def test_the_files_and_rooms_that_it_names_exist() -> None:
    named = re.findall(r"`((?:\w+/)+[\w.]*)`", README)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_room_stands_in_a_table() -> None:
    rooms = {
        path.parent.relative_to(ROOT) for pattern in ("*/__init__.py", "*/topics/__init__.py") for path in ROOT.glob(pattern)
    }
    assert len(rooms) > 5
    assert [str(room) for room in rooms if f"\n| `{room}/` |" not in README] == []
