"""Runs on every host at once (`mailctl swarm preflight`): what does a task see of the others?

A program of its own that needs Python alone. It answers its peers with what it knows of itself, asks each of
them, and prints one line of JSON when it has heard of all or its time is over. The answer is larger than any
packet, so that an overlay which loses large ones is found.
"""

import http.server
import json
import os
import socket
import threading
import time
import urllib.request

PORT, SECONDS, PADDING = 8900, 45.0, 64 * 1024
NODE, NAME, PEERS = os.environ["NODE"], os.environ["NAME"], int(os.environ["PEERS"])


def myself() -> dict[str, object]:
    with open("/proc/self/status") as status:
        facts = dict(line.split(":", 1) for line in status)
    return {"node": NODE, "time": time.time(), "no_new_privileges": facts["NoNewPrivs"].strip() == "1"}


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({**myself(), "padding": "x" * PADDING}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def ask(address: str) -> tuple[str, float]:
    began = time.time()
    with urllib.request.urlopen(f"http://{address}:{PORT}/", timeout=5) as answer:
        found = json.load(answer)
    ended = time.time()
    if len(found.pop("padding")) != PADDING:
        raise ValueError("cut short")
    return found["node"], found["time"] - (began + ended) / 2


def look() -> dict[str, object]:
    peers: dict[str, float] = {}
    failed: dict[str, str] = {}
    end = time.monotonic() + SECONDS
    while len(peers) < PEERS and time.monotonic() < end:
        failed = {}
        try:
            found = socket.getaddrinfo(NAME, PORT, socket.AF_INET, socket.SOCK_STREAM)
        except OSError as error:
            found, failed = [], {NAME: str(error)}
        for address in sorted({str(each[4][0]) for each in found}):
            try:
                node, offset = ask(address)
                peers[node] = round(offset, 3)
            except (OSError, ValueError) as error:
                failed[address] = str(error)
        time.sleep(0.5)
    return {**myself(), "peers": peers, "failed": failed}


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("", PORT), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps(look()), flush=True)
    # Others may still be asking; preflight ends all of them.
    time.sleep(SECONDS * 2)
