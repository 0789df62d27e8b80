"""A TCP proxy between a node and its Redis, whose connections can go dead without a word."""

import socket
import threading


class StallingProxy:
    def __init__(self, port):
        """`port`: where the Redis is."""
        self._to = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._door.getsockname()[1]}"
        self._wires = []
        self._threads = []
        self._begin(self._accept)

    def stall(self, *, to_client, to_server, subscribers=True, others=True):
        """From here on nothing more goes that way on the connections that there are; new ones work."""
        for wire in list(self._wires):
            if subscribers if wire.subscribes else others:
                wire.is_deaf, wire.is_mute = wire.is_deaf or to_client, wire.is_mute or to_server

    def close(self):
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for wire in self._wires:
            wire.cut()
        for thread in self._threads:
            thread.join(5)

    def _begin(self, run, *args):
        thread = threading.Thread(target=run, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _address = self._door.accept()
            except OSError:
                return
            wire = _Wire(client, socket.create_connection(("127.0.0.1", self._to)))
            self._wires.append(wire)
            self._begin(wire.carry_to_server)
            self._begin(wire.carry_to_client)


class _Wire:
    def __init__(self, client, server):
        self._client, self._server = client, server
        self.subscribes = self.is_deaf = self.is_mute = False

    def carry_to_server(self):
        while data := _received(self._client):
            self.subscribes |= b"SUBSCRIBE" in data
            if not self.is_mute:
                self._server.sendall(data)
        if not self.is_mute:
            self.cut()

    def carry_to_client(self):
        while data := _received(self._server):
            if not self.is_deaf:
                try:
                    self._client.sendall(data)
                except OSError:
                    break
        self.cut()

    def cut(self):
        for side in (self._client, self._server):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            side.close()


def _received(side):
    try:
        return side.recv(65536)
    except OSError:
        return b""
