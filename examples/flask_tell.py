"""A Flask program whose request threads tell a channel, and ask it who is there. It needs Flask: pip install '.[demo]'"""

import json
import logging
import sys
from threading import Thread
from urllib.request import Request, urlopen

from lightspeed.channel import BroadcastMessage, Channel, Client, Publish

try:
    from flask import Flask, request
    from werkzeug.serving import make_server
except ImportError as missing:
    sys.exit(f"no Flask: {missing}; it comes with the extra: pip install '.[demo]'")
logging.getLogger("werkzeug").setLevel("ERROR")  # no line for each request


def make_app(channel: Channel) -> Flask:
    app = Flask(__name__)

    @app.post("/<topic>")
    def publish(topic: str) -> tuple[str, int]:
        channel.tell(Publish(topic, request.get_data(as_text=True), "news"))  # the request waits for no topic
        return "", 202

    @app.get("/<topic>")
    def who(topic: str) -> list[str]:
        return [entry.key for entry in channel.presences(topic)]  # this waits, at most the channel's timeout_s

    return app


def read(screen: Client, heard: list[str]) -> None:
    heard.extend(message.payload for message in screen if isinstance(message, BroadcastMessage))


with Channel() as channel:
    server = make_server("127.0.0.1", 0, make_app(channel), threaded=True)
    url, heard = f"http://127.0.0.1:{server.server_port}/room:1", list[str]()
    screen = channel.client("screen", "ann")
    threads = [Thread(target=server.serve_forever), Thread(target=read, args=(screen, heard))]
    screen.join("room:1")
    for thread in threads:
        thread.start()
    try:
        for number in range(1, 4):
            with urlopen(Request(url, data=f"tea number {number}".encode()), timeout=10) as answer:
                print("POST", answer.status)
        with urlopen(url, timeout=10) as answer:
            print("GET", answer.status, json.load(answer))
    finally:
        server.shutdown()
        server.server_close()  # it waits for requests under way
        screen.close()  # its reader ends when everything was read
    for thread in threads:
        thread.join()
    print(heard)
