"""How much of what could be wrong the model finds: small mutations of the product, drawn by a seed, each played until one fails.

`python tests/model/mutants.py channel -n 60`, or `supervisor`. Behind `--` may stand another command to play the model. It is run
in a copy of the tree, in which `lightspeed` is that copy; a mutation is found if the command does not end with status 0 in time.
The same seed draws the same mutations where the code is the same: what was changed elsewhere moves none of them.
"""

import argparse
import ast
import copy
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent.parent
FLOORS = ("actors", "supervision", "faults", "capsules", "channel", "testing", "cli")
MUTATED = {
    "channel": ("actors/topics/**/*.py", "supervision/topics/*.py", "channel/*.py"),
    "supervisor": ("supervision/*.py",),
}
COMMAND = [sys.executable, "tests/model/fuzz.py", "--seeds", "300", "--no-shrink"]

_OPPOSITES = {ast.Eq: ast.NotEq, ast.Is: ast.IsNot, ast.In: ast.NotIn}
_PAIRS = {**_OPPOSITES, ast.Lt: ast.LtE, ast.Gt: ast.GtE, ast.Add: ast.Sub, ast.Mult: ast.FloorDiv, ast.And: ast.Or}
_SWAPS = _PAIRS | {second: first for first, second in _PAIRS.items()}
_TYPES = {"annotation", "returns", "bases", "keywords", "decorator_list"}  # the fields that hold them; keywords: of a class
_MEMORY = 4 << 30  # a mutation may well collect things for ever


class Mutation(NamedTuple):
    """One of a tree that was parsed for it, which `apply` changes in place."""

    where: str
    """Of which function or class."""
    line: int
    change: str
    body: list[ast.stmt]
    place: int
    """Where its statement stands in that."""
    apply: Callable[[], object]


def mutations(tree: ast.Module) -> Iterator[Mutation]:
    """All that there are, in the order of the text."""
    for place, statement in enumerate(tree.body):
        yield from _of(statement, partial(tree.body.__setitem__, place), "", tree.body, place)


def _of(node: ast.AST, put: Callable[[Any], object], where: str, body: list[ast.stmt], place: int) -> Iterator[Mutation]:
    if _is_text(node):
        return
    for new in _changed(node):
        yield Mutation(where, body[place].lineno, f"{_line(node)} -> {_line(new)}", body, place, partial(put, new))
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        where = f"{where}.{node.name}".removeprefix(".")
    for field, value in ast.iter_fields(node):
        if field in _TYPES and not isinstance(node, ast.Call):
            continue
        if isinstance(value, ast.AST):
            yield from _of(value, partial(setattr, node, field), where, body, place)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, ast.stmt):
                    yield from _of(item, partial(value.__setitem__, number), where, value, number)
                elif isinstance(item, ast.AST):
                    yield from _of(item, partial(value.__setitem__, number), where, body, place)


def _is_text(node: ast.AST) -> bool:
    """Whether it is for readers or for type checkers: names, texts, the log, what only shows or asserts."""
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Assert() | ast.JoinedStr() | ast.Expr(ast.Constant()):
            return True
        case ast.FunctionDef(name="__repr__" | "__str__") | ast.Expr(ast.Call(ast.Name("log"))):
            return True
        case ast.If(ast.Name("TYPE_CHECKING")):
            return True
    return False


def _changed(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand there instead."""
    match node:
        case ast.Compare(ops=ops):
            for number, op in enumerate(ops):
                if type(op) in _SWAPS:
                    new = copy.deepcopy(node)
                    new.ops[number] = _SWAPS[type(op)]()
                    yield new
        case ast.BinOp(op=op) | ast.BoolOp(op=op) | ast.AugAssign(op=op) if type(op) in _SWAPS:
            new = copy.copy(node)
            new.op = _SWAPS[type(op)]()
            yield new
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if not _has_opposite(test):
            new = copy.copy(node)
            new.test = ast.UnaryOp(ast.Not(), test)
            yield new
        case ast.match_case(guard=ast.expr() as guard) if not _has_opposite(guard):
            new = copy.copy(node)
            new.guard = ast.UnaryOp(ast.Not(), guard)
            yield new
        case ast.comprehension(ifs=[test, *others]) if not _has_opposite(test):
            new = copy.copy(node)
            new.ifs = [ast.UnaryOp(ast.Not(), test), *others]
            yield new
    if _can_go(node):
        yield ast.Pass()


def _has_opposite(test: ast.expr) -> bool:
    """Whether a swap or a `not` that goes says the same as its negation."""
    match test:
        case ast.UnaryOp(ast.Not()) | ast.Constant():
            return True
        case ast.Compare(ops=[op]):
            return type(op) in _OPPOSITES or type(op) in _OPPOSITES.values()
    return False


def _can_go(node: ast.AST) -> bool:
    """Whether it is a statement without which the names are still there: else any run at all would find it."""
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
    return isinstance(node, ast.Expr | ast.AugAssign | ast.Delete | ast.Raise | ast.Return | ast.Continue | ast.Break)


def _line(node: ast.AST) -> str:
    """Its first line; of what has a body, its condition."""
    if isinstance(node, ast.If | ast.While):
        node = node.test
    elif isinstance(node, ast.match_case):
        assert node.guard is not None
        node = node.guard
    return ast.unparse(node).partition("\n")[0].strip()


class Drawn(NamedTuple):
    """A mutation, by its place among all those of its file."""

    path: str
    number: int
    text: str


def draw(root: Path, room: str, count: int, seed: int) -> list[Drawn]:
    """The first in an order that hangs on the seed and on each mutation's own text."""
    found: list[tuple[str, Drawn]] = []
    for path in sorted({path for pattern in MUTATED[room] for path in root.glob(pattern)}):
        seen, name = Counter[str](), str(path.relative_to(root))
        for number, mutation in enumerate(mutations(ast.parse(path.read_text("utf-8")))):
            key = f"{seed} {name} {mutation.where} {mutation.change}"
            seen[key] += 1
            order = hashlib.sha256(f"{key} {seen[key]}".encode()).hexdigest()
            found.append((order, Drawn(name, number, f"{name}:{mutation.line} {mutation.where}: {mutation.change}")))
    return [drawn for _, drawn in sorted(found)[:count]]


def mutated(source: str, number: int, mark: Path) -> str:
    """The text with this mutation; where it stands, the file `mark` is made once it is run."""
    tree = ast.parse(source)
    mutation = list(mutations(tree))[number]
    mutation.apply()
    once = "hasattr(__import__('sys'), '_mutant') or (setattr(__import__('sys'), '_mutant', 1), open({!r}, 'w').close())"
    mutation.body.insert(mutation.place, ast.parse(once.format(str(mark))).body[0])
    return ast.unparse(ast.fix_missing_locations(tree))


class Copy:
    """A copy of the tree, in which a command is run.

    Raises:
        SystemExit: the command fails where nothing is mutated.
    """

    def __init__(self, root: Path, folder: Path, command: list[str], timeout_s: float) -> None:
        program = os.path.abspath(shutil.which(command[0]) or command[0])  # a name as of here, and it is run in the copy
        self._command, self._timeout_s = [program, *command[1:]], timeout_s
        self._tree, self._mark = folder / "tree", folder / "mark"
        for name in (*FLOORS, "tests"):
            shutil.copytree(root / name, self._tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        package = folder / "path" / "lightspeed"  # before an editable install
        package.mkdir(parents=True)
        for name in FLOORS:
            (package / name).symlink_to(self._tree / name)
        # No bytecode: it is taken for that of a source of the same size and second.
        self._environment = os.environ | {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        started_s = time.monotonic()
        outcome, said = self._run()
        if outcome != "missed":
            sys.exit(f"{' '.join(command)} must end with status 0 without a mutation: {said}")
        print(f"without a mutation, in {time.monotonic() - started_s:.1f} s: {said}", flush=True)

    def play(self, drawn: Drawn) -> tuple[str, str]:
        """What came of it: found, hung, missed or not run; and what the command said last."""
        path = self._tree / drawn.path
        source = path.read_text("utf-8")
        self._mark.unlink(missing_ok=True)
        path.write_text(mutated(source, drawn.number, self._mark), "utf-8")
        try:
            outcome, said = self._run()
        finally:
            path.write_text(source, "utf-8")
        return ("not run" if outcome == "missed" and not self._mark.exists() else outcome), said

    def _run(self) -> tuple[str, str]:
        process = subprocess.Popen(
            self._command,
            cwd=self._tree,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that what it starts ends with it
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY)),
        )
        try:
            said, _ = process.communicate(timeout=self._timeout_s)
        except subprocess.TimeoutExpired:
            return "hung", f"not over after {self._timeout_s:g} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        return "found" if process.returncode else "missed", said.strip().rpartition("\n")[2]


def main() -> None:
    """Draw, play and count."""
    epilog = f"Behind -- stands the command to play it; left out: python {' '.join(COMMAND[1:])}"
    parser = argparse.ArgumentParser(description="How many small mutations of the product the model finds.", epilog=epilog)
    parser.add_argument("room", choices=MUTATED)
    parser.add_argument("-n", type=int, default=60, dest="count", help="how many mutations; default 60")
    parser.add_argument("--seed", type=int, default=0, help="which; default 0")
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS", help="for one; default 120")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="FOLDER", help="another tree than this one")
    arguments = [*sys.argv[1:], "--"]
    end = arguments.index("--")  # by hand: argparse lets nothing follow an option there
    options, command = parser.parse_args(arguments[:end]), arguments[end + 1 : -1] or COMMAND
    drawn, outcomes = draw(options.root, options.room, options.count, options.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        tree = Copy(options.root, Path(folder), command, options.timeout)
        for mutation in drawn:
            outcome, said = tree.play(mutation)
            outcomes[outcome] += 1
            print(f"{outcome:8}{mutation.text}{f' [{said[:100]}]' if outcome in ('found', 'hung') else ''}", flush=True)
    found = outcomes["found"] + outcomes["hung"]
    print(f"{options.room}: {found} of {len(drawn)} found, {outcomes['hung']} of them by the timeout; ", end="")
    print(f"{outcomes['missed']} missed, {outcomes['not run']} in code that was not run")


if __name__ == "__main__":
    main()
