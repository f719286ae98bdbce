"""A relay that refuses, as a program for a container: a log-in with 535, or each recipient with 550."""

import socketserver
import ssl
import sys

PORT, CERTIFICATE, KEY, REFUSES = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
TLS = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
TLS.load_cert_chain(CERTIFICATE, KEY)
ANSWERS = {
    "AUTH": "535 5.7.8 Authentication failed: the key was withdrawn" if REFUSES == "login" else "235 ok",
    "RCPT": "550 5.1.1 no such person",
    "DATA": "503 no recipient",
    "QUIT": "221 bye",
}


class Session(socketserver.BaseRequestHandler):
    """One conversation, over TLS after STARTTLS."""

    def handle(self) -> None:
        self.say("220 relay.example ESMTP")
        while word := self.word():
            if word == "EHLO":
                extra = "AUTH PLAIN LOGIN" if isinstance(self.request, ssl.SSLSocket) else "STARTTLS"
                self.say(f"250-relay.example\r\n250 {extra}")
            elif word == "STARTTLS":
                self.say("220 go ahead")
                self.request = TLS.wrap_socket(self.request, server_side=True)
            else:
                self.say(ANSWERS.get(word, "250 ok"))
            if word == "QUIT":
                return

    def say(self, text: str) -> None:
        self.request.sendall(f"{text}\r\n".encode())

    def word(self) -> str:
        """The command of the next line; "" at the end."""
        line = b""
        while not line.endswith(b"\n"):
            if not (got := self.request.recv(1)):
                return ""
            line += got
        return line.split()[0].decode().upper() if line.split() else "NOOP"


class Relay(socketserver.ThreadingTCPServer):
    """Lets many in at once."""

    allow_reuse_address = daemon_threads = True


if REFUSES == "connection":
    Relay(("127.0.0.1", PORT), Session).serve_forever()
Relay(("0.0.0.0", PORT), Session).serve_forever()  # noqa: S104 (in a container)
