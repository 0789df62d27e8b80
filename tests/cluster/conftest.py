import pytest
from redis_server import RedisServer, need_redis_server


@pytest.fixture
def server_of(tmp_path):
    """Makes servers, each with options of its own, which run until the test ends."""
    need_redis_server()
    servers = []

    def make(*options, keeps=False, starts=True):
        folder = tmp_path / f"redis{len(servers)}"
        folder.mkdir()
        server = RedisServer(folder, *options, keeps=keeps)
        servers.append(server)
        if starts:
            server.start()
        return server

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def server(server_of):
    return server_of()
