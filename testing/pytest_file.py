"""A failing case as a test file, which fails as long as the bug is there."""

from pprint import pformat
from textwrap import indent

import msgspec

from lightspeed.actors.errors import InvalidOption
from lightspeed.testing.case import Case, Outcome
from lightspeed.testing.scenario import Scenario, name_of

_FILE = '''\
"""Found by simulation: {error}"""

from lightspeed.testing import {imports}
{more_imports}

def test_{name}():
    outcome = play(
        Case(
{scenario},
            seed={seed},
            choices={choices},{more}
        )
    )
    if outcome.error is not None:
        raise outcome.error
'''


def pytest_file(outcome: Outcome, play_name: str | None = None) -> str:
    """The text of a file with one test, which plays the case again.

    Args:
        play_name: of a play that is to be found otherwise than as `module:name`: `file.py:name`, from where pytest is run.

    Raises:
        InvalidOption: the case hangs on a function, or a plan on a callable, that can't be found by a name.
    """
    case = outcome.exact if outcome.case.choices is None else outcome.case
    imports, more = ["Case", "play"], ""
    if isinstance(case.scenario, Scenario):
        imports.append("Scenario")
        more_imports, scenario = "", _scenario(case.scenario)
    else:
        more_imports, scenario = _play(case, play_name)
    if case.skip:
        more += f"\n            skip=frozenset({sorted(case.skip)}),"
    if case.plan.faults:
        more_imports = f"from lightspeed.channel import FaultPlan\n{more_imports}"
        more += f"\n            plan=FaultPlan.from_json({case.plan.to_json()!r}),"
    return _FILE.format(
        error=" ".join(str(outcome.error).split()).replace('"""', "'''").replace("\\", "/")[:300],
        imports=", ".join(sorted(imports)),
        more_imports=more_imports,
        name=_identifier(outcome.failure),
        scenario=indent(scenario, " " * 12),
        seed=case.seed,
        choices=pformat(case.choices, width=100, compact=True).replace("\n", "\n            "),
        more=more,
    )


def _scenario(scenario: Scenario) -> str:
    """As JSON over several lines: an event a line, to be read and changed by hand."""
    fields = msgspec.json.decode(scenario.to_json())
    lines = [msgspec.json.encode(sending).decode() for sending in fields.pop("sendings")]
    rest = "".join(f',\n"{name}": {msgspec.json.encode(value).decode()}' for name, value in fields.items())
    text = '{"sendings": [\n' + ",\n".join(lines) + f"\n]{rest}}}"
    return f"Scenario.from_json(\n    r'''\n{text}\n'''\n)" if "'''" not in text else f"Scenario.from_json({text!r})"


def _play(case: Case, play_name: str | None) -> tuple[str, str]:
    if play_name is not None and play_name.rpartition(":")[0].endswith(".py"):
        return "from lightspeed.testing.scenario import find\n", f"find({play_name!r})"
    path = name_of(case.scenario) if play_name is None else play_name
    if path is None:
        raise InvalidOption("scenario", case.scenario, "must be a function of a module, to be called from a file")
    module, _, name = path.partition(":")
    return f"from {module} import {name.partition('.')[0]}\n", name


def _identifier(text: str) -> str:
    return "".join(letter.lower() if letter.isalnum() else "_" for letter in text)
