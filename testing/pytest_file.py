"""A failing case as a test file, which fails as long as the bug is there."""

from pprint import pformat

import msgspec

from lightspeed.actors.errors import InvalidOption
from lightspeed.testing.case import Case, Outcome
from lightspeed.testing.scenario import Scenario, name_of

_FILE = '''\
"""Found by simulation."""

from lightspeed.testing import {imports}
{more_imports}

def test_{name}():
    # {error}
    outcome = play(
        Case(
            {scenario},
            seed={seed},
            choices={choices},{more}
        ){asks}
    )
    if outcome.error is not None:
        raise outcome.error
'''
_LONGEST = 80  # of a test's name, in letters
_LONGEST_ERROR = 300


def pytest_file(outcome: Outcome, play_name: str | None = None) -> str:
    """The text of a file with one test, which plays the case again.

    Args:
        play_name: of a play that is to be found otherwise than as `module:name`: `file.py:name`, from where pytest is run.

    Raises:
        InvalidOption: the case hangs on a function, or a plan on a callable, that can't be found by a name.
    """
    case = outcome.exact if outcome.case.choices is None else outcome.case
    imports, more_imports, more = ["Case", "play"], "", ""
    if isinstance(case.scenario, Scenario):
        imports.append("Scenario")
        scenario = _scenario(case.scenario)
    else:
        more_imports = "from lightspeed.testing.scenario import find\n"
        scenario = f"find({_name(case, play_name)!r})"
    if case.skip:
        more += f"\nskip=frozenset({sorted(case.skip)}),"
    if case.plan.faults:
        more_imports = f"from lightspeed.channel import FaultPlan\n{more_imports}"
        more += f"\nplan=FaultPlan.from_json({case.plan.to_json()!r}),"
    has_never_held = outcome.seen.get(outcome.failure) is False
    return _FILE.format(
        error=outcome.text[:_LONGEST_ERROR],
        imports=", ".join(sorted(imports)),
        more_imports=more_imports,
        name=_identifier(outcome.failure),
        scenario=_indented(scenario),
        seed=case.seed,
        choices=_indented(pformat(case.choices, width=100, compact=True)),
        more=_indented(more),
        # What the whole run was for need not happen in what is left of it.
        asks=",\n        asks_for_sometimes=False," if outcome.seen and not has_never_held else "",
    )


def _scenario(scenario: Scenario) -> str:
    """As JSON over several lines: an event a line, to be read and changed by hand."""
    fields = msgspec.json.decode(scenario.to_json())
    lines = [msgspec.json.encode(sending).decode() for sending in fields.pop("sendings")]
    rest = "".join(f',\n"{name}": {msgspec.json.encode(value).decode()}' for name, value in fields.items())
    text = '{"sendings": [\n' + ",\n".join(lines) + f"\n]{rest}}}"
    return f"Scenario.from_json(\n    r'''\n{text}\n'''\n)" if "'''" not in text else f"Scenario.from_json({text!r})"


def _name(case: Case, play_name: str | None) -> str:
    name = name_of(case.scenario) if play_name is None else play_name
    if name is None or name.startswith("__main__:"):  # which is another module when pytest runs
        raise InvalidOption("scenario", case.scenario, "must be a function of a module, or play_name must say where it is")
    if ":" not in name:
        raise InvalidOption("play_name", name, "must be module:name or file.py:name")
    return name


def _indented(text: str) -> str:
    return text.replace("\n", "\n" + " " * 12)  # and no other end of a line: a payload may hold one


def _identifier(text: str) -> str:
    return "".join(letter if f"_{letter}".isidentifier() else "_" for letter in text.lower())[:_LONGEST]
