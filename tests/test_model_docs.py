"""docs/model.md says what is so: every option stands in a table."""

from pathlib import Path

from lightspeed.channel import Backoff, Channel, Restarts

PAGE = (Path(__file__).parent.parent / "docs" / "model.md").read_text(encoding="utf-8")


def test_every_option_stands_in_a_table():
    options = {*Channel.__init__.__kwdefaults__, *Restarts.__struct_fields__, *Backoff.__struct_fields__}
    assert [option for option in sorted(options) if f"\n| `{option}` |" not in PAGE] == []
