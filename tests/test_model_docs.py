"""docs/model.md says what is so: every option, phase and kind of dead letter stands in a table, every phase in the picture."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

from lightspeed.channel import Channel, DeadLetter, Restarts, Tree
from lightspeed.supervision.tree import ChildPhase, NodePhase

PAGE = (Path(__file__).parent.parent / "docs" / "model.md").read_text(encoding="utf-8")
PHASES = {phase for phases in get_args(get_type_hints(Tree)["phase"]) for phase in get_args(phases)}
OF_A_TOPIC = (PHASES - {*get_args(ChildPhase), *get_args(NodePhase), "silent"}) | {
    "running",
    "starting",
    "restarting",
    "stopping",
}


def section(title):
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_option_stands_in_a_table():
    options = {*Channel.__init__.__kwdefaults__, *Restarts.__struct_fields__}
    assert [option for option in sorted(options) if f"\n| `{option}` |" not in PAGE] == []


def test_the_picture_of_a_topics_life_shows_its_phases_and_no_other():
    arrows = re.findall(r"^    (\S+) --> ([^\s:]+)", section("What is down"), flags=re.MULTILINE)
    assert {phase for arrow in arrows for phase in arrow} - {"[*]"} == OF_A_TOPIC


def test_every_phase_of_a_topic_stands_in_the_table():
    table = section("Seeing the tree").partition("| phase | means |")[2].partition("\n\n")[0]
    assert {word for word in re.findall(r"`(\w+)`", table) if word in PHASES} == OF_A_TOPIC


def test_every_kind_of_dead_letter_stands_in_the_table():
    kinds = get_args(get_type_hints(DeadLetter)["why"])
    assert [why for why in kinds if f"\n| `{why}` |" not in section("Dead letters")] == []


def test_every_call_that_waits_or_does_not_stands_in_the_table():
    calls = {name for name in vars(Channel) if not name.startswith("_")}
    table = section("Calls").partition("| call | waits |")[2].partition("\n\n")[0]
    assert calls - set(re.findall(r"`(\w+)(?:\(\))?`", table)) == set()
