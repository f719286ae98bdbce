"""The HTTP side: Mailpit's API as far as it is used here, and a page for people."""

from __future__ import annotations

import html
import json
import re
import socket
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sink.store import Store, Stored

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_MESSAGE = re.compile(r"/api/v1/message/(?P<id>\w+)(?P<rest>/raw|/headers)?")
_VIEW = re.compile(r"/view/(?P<id>\w+)")


class Server(ThreadingHTTPServer):
    """The web server, with the messages that it shows."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, store: Store) -> None:
        """Serve on a socket that already listens."""
        super().__init__(listening.getsockname()[:2], Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.store = store


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Health, listing, one message, or a page."""
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        fixed: dict[str, Callable[[], None]] = {
            "/livez": lambda: self._send("", _TEXT),
            "/readyz": lambda: self._send("", _TEXT),
            "/": lambda: self._send(
                _inbox_page(self.server.store.newest_first()), "text/html; charset=utf-8"
            ),
            "/api/v1/messages": lambda: self._list(query),
            "/api/v1/search": lambda: self._list(query),
            "/api/v1/info": lambda: self._json({"Version": "stand-in", "Messages": len(self._all())}),
        }
        if url.path in fixed:
            fixed[url.path]()
        elif match := _MESSAGE.fullmatch(url.path):
            self._message(match["id"], match["rest"])
        elif match := _VIEW.fullmatch(url.path):
            self._view(match["id"])
        else:
            self._not_found()

    def do_DELETE(self) -> None:
        """Delete the messages named in the body, or all."""
        if urlsplit(self.path).path != "/api/v1/messages":
            self._not_found()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self.server.store.delete(list(json.loads(body or b"{}").get("IDs") or []))
        except (ValueError, AttributeError, TypeError):
            self._send("the body must be a JSON object with IDs\n", _TEXT, HTTPStatus.BAD_REQUEST)
            return
        self._send("ok", _TEXT)

    def _all(self) -> list[Stored]:
        return self.server.store.newest_first()

    def _list(self, query: dict[str, str]) -> None:
        everything = self._all()
        found = [message for message in everything if _matches(message, query.get("query", ""))]
        start, limit = int(query.get("start") or 0), int(query.get("limit") or 50)
        page = [message.summary() for message in found[start : start + limit]]
        self._json(
            {
                "total": len(everything),
                "unread": sum(not message.read for message in everything),
                "count": len(page),
                "messages_count": len(found),
                "messages_unread": sum(not message.read for message in found),
                "start": start,
                "tags": [],
                "messages": page,
            }
        )

    def _message(self, identifier: str, rest: str | None) -> None:
        message = self.server.store.get(identifier)
        if not message:
            self._not_found()
        elif rest == "/raw":
            self._send(message.raw, _TEXT)
        elif rest == "/headers":
            names = dict.fromkeys(str(name).title() for name in message.parsed)
            self._json({name: [str(value) for value in message.parsed.get_all(name, [])] for name in names})
        else:
            message.read = True
            self._json(message.detail())

    def _view(self, identifier: str) -> None:
        message = self.server.store.get(identifier)
        if message:
            message.read = True
            self._send(_message_page(message), "text/html; charset=utf-8")
        else:
            self._not_found()

    def _not_found(self) -> None:
        self._send("404 page not found\n", _TEXT, HTTPStatus.NOT_FOUND)

    def _json(self, value: Any) -> None:
        self._send(json.dumps(value), _JSON)

    def _send(self, body: str | bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the log to the mail: health checks would drown it."""


def _matches(message: Stored, query: str) -> bool:
    """Whether every word fits: from:, to:, subject: and message-id: look there, others anywhere."""
    summary = message.summary()
    places = {
        "from": [str((summary["From"] or {}).get("Address"))],
        "to": [entry["Address"] for name in ("To", "Cc", "Bcc") for entry in summary[name]],
        "subject": [summary["Subject"]],
        "message-id": [summary["MessageID"]],
    }
    for word in re.findall(r'(?:[\w-]+:)?"[^"]*"|\S+', query.lower()):
        place, _, wanted = word.partition(":")
        if place not in places:
            place, wanted = "", word
        texts = places.get(place) or [value for values in places.values() for value in values] + [
            summary["Snippet"]
        ]
        if not any(wanted.strip('"') in text.lower() for text in texts):
            return False
    return True


def _page(title: str, content: str) -> str:
    return (
        f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        "<style>body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;"
        "border-bottom:1px solid #ccc}pre{white-space:pre-wrap;background:#f4f4f4;padding:1rem}</style>"
        f"<h1>{html.escape(title)}</h1>{content}"
    )


def _names(entries: list[dict[str, str]]) -> str:
    return html.escape(", ".join(entry["Address"] for entry in entries))


def _subject(message: Stored) -> str:
    return html.escape(str(message.parsed.get("Subject", ""))) or "(none)"


def _inbox_page(messages: list[Stored]) -> str:
    rows = "".join(
        f"<tr><td>{message.received:%H:%M:%S}"
        f"<td>{_names(message.addresses('From'))}<td>{_names(message.addresses('To'))}"
        f"<td><a href='/view/{message.identifier}'>{_subject(message)}</a>"
        for message in messages
    )
    note = "<p>Mail that would have left for the world ends here. This is a stand-in for Mailpit.</p>"
    return _page(
        f"Mail sink: {len(messages)} messages",
        f"{note}<table><tr><th>Time<th>From<th>To<th>Subject{rows}</table>",
    )


def _message_page(message: Stored) -> str:
    text = message.body("plain") or message.body("html")
    return _page(
        str(message.parsed.get("Subject", "")),
        f"<p>From {_names(message.addresses('From'))} to {_names(message.addresses('To'))}</p>"
        f"<pre>{html.escape(text)}</pre><p><a href='/api/v1/message/{message.identifier}/raw'>source</a> · "
        "<a href='/'>all messages</a></p>",
    )
