import pytest
from stage import Pooled, Stage, Threaded


@pytest.fixture(params=[Pooled, Threaded], ids=["pooled", "threaded"])
def stage(request):
    """A stage on which children are of each kind in turn."""
    stage = Stage(request.param)
    yield stage
    stage.close()


@pytest.fixture
def pooled_stage():
    """For what has nothing to do with the kind of the children."""
    stage = Stage()
    yield stage
    stage.close()
