import pytest
from stage import KINDS, Stage, ToldTask

from lightspeed.supervision import steps


@pytest.fixture(params=KINDS)
def stage(request, monkeypatch):
    """A stage on which children are of each kind in turn."""
    monkeypatch.setattr(steps, "TaskActor", ToldTask)
    stage = KINDS[request.param]()
    yield stage
    stage.close()


@pytest.fixture
def pooled_stage():
    """For what has nothing to do with the kind of the children."""
    stage = Stage()
    yield stage
    stage.close()
