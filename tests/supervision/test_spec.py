"""What is said of a child; after OTP's cases on child specs, and named after them."""

import pykka
import pytest

from lightspeed.actors import Supervisable
from lightspeed.actors.errors import InvalidOption
from lightspeed.supervision import ChildSpec, Supervisor


class Plain(Supervisable, pykka.ThreadingActor):
    pass


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("id", []),
        ("id", None),
        ("start", "mfa"),
        ("start", (Plain, ())),
        ("kind", "prmanent"),
        ("shutdown_s", -10),
        ("shutdown_s", "soon"),
        ("shutdown_s", float("inf")),
        ("significant", "maybe"),
    ],
)
def test_child_specs(option, value):
    with pytest.raises(InvalidOption, match=option) as caught:
        ChildSpec(**{"id": "a", "start": Plain, option: value})
    assert caught.value.option == option


def test_sup_start_map():
    """What a child is like where nothing is said, and a supervisor."""
    spec = ChildSpec("a", Plain)
    assert (spec.kind, spec.stop_within_s, spec.significant, spec.is_supervisor) == ("permanent", 5.0, False, False)
    assert ChildSpec("a", Plain, shutdown_s="brutal_kill").stop_within_s == 0
    assert ChildSpec("a", Plain, shutdown_s=0.5).stop_within_s == 0.5
    assert ChildSpec("a", Plain, shutdown_s="infinity").stop_within_s is None
    sup = ChildSpec("a", Supervisor)
    assert (sup.stop_within_s, sup.is_supervisor) == (None, True)


def test_sup_start_map_faulty_specs():
    with pytest.raises(TypeError, match="id"):
        ChildSpec(start=Plain)
    with pytest.raises(TypeError, match="start"):
        ChildSpec("a")
    with pytest.raises(TypeError, match="silly_flag"):
        ChildSpec("a", Plain, silly_flag=True)
