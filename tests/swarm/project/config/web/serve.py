"""Says which host answers, and what its environment and secret hold."""

import http.server
import os
from pathlib import Path


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        word = Path(os.environ["SECRET_FILE"]).read_text().strip()
        body = f"{os.environ['HOST']} {os.environ['PRICE']} {word}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


http.server.ThreadingHTTPServer(("", 8000), Answer).serve_forever()
