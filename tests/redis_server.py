"""A redis-server of a test's own, on a port that is free, in a folder of its own; killed by its process id."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import redis


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


class RedisServer:
    def __init__(self, folder: Path, *options: str, keeps: bool = False) -> None:
        """`keeps`: it has its data again after a kill."""
        self.port, self.folder = free_port(), folder
        kept = ("--appendonly", "yes", "--appendfsync", "always") if keeps else ("--appendonly", "no")
        self._command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *kept, *options]
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=self.folder, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "Ready to accept connections" in line:
                return
        self.kill()
        raise AssertionError("redis-server did not start")

    def kill(self) -> None:
        if self._process is not None:
            assert self._process.stdout is not None
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def ask(self, *command: str) -> object:
        with redis.Redis(port=self.port, protocol=2) as client:
            return client.execute_command(*command)


def need_redis_server() -> None:
    """A laptop may have none; where changes are judged there must be one."""
    if shutil.which("redis-server") is None:
        if "CI" in os.environ:
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed")


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
