"""What a user installs."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    return built(copy_of_the_tree(folder), folder, "--wheel")


def built(tree, folder, *options):
    build = [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", str(folder), str(tree)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


def copy_of_the_tree(folder):
    """Built from a copy, so that a stale build/ adds nothing and nothing is left behind."""
    skip = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "venv*")
    return shutil.copytree(ROOT, folder / "tree", ignore=skip, symlinks=True)


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_every_package_and_nothing_else(wheel):
    held = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    packages = {path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name not in ("tests", "examples")}
    expected = {f"lightspeed/{path.relative_to(ROOT)}" for package in packages for path in package.glob("**/*.py")}
    expected |= {f"lightspeed/{package.name}/py.typed" for package in packages}
    assert sorted(held) == sorted(expected)  # none twice
    assert {"lightspeed/actors/topics/rules/topic.py", "lightspeed/supervision/topics/router.py"} <= set(held)


@pytest.mark.slow
def test_a_tree_without_the_links_for_tools_gives_the_same_wheel_by_way_of_an_sdist_too(wheel, tmp_path):
    tree = copy_of_the_tree(tmp_path)
    shutil.rmtree(tree / "src")
    without = built(tree, tmp_path / "dist")  # build's way without options: a wheel from the sdist
    assert sorted(zipfile.ZipFile(without).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


@pytest.mark.slow
def test_the_wheel_puts_only_lightspeed_at_the_top_and_brings_the_command(wheel):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" not in name}
        (entry_points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert b"lightspeed = lightspeed.cli.main:main" in archive.read(entry_points)
    assert tops == {"lightspeed"}


def test_the_command_is_installed_and_helps():
    command = Path(sys.executable).parent / "lightspeed"
    for arguments, words in ((["--help"], "play"), (["play", "--help"], "standard input"), (["--version"], "lightspeed 0")):
        done = subprocess.run([command, *arguments], capture_output=True, text=True, check=True)
        assert words in " ".join(done.stdout.split())
