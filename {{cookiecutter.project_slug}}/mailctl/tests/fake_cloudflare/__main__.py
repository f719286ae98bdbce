"""Serve a fake Cloudflare until Ctrl-C; the first line printed is what a shell evaluates to use it."""

import argparse
import threading

from fake_cloudflare.server import FakeCloudflare


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fake_cloudflare", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--zone", default="example.com")
    options = parser.parse_args()
    with FakeCloudflare(options.zone, options.port) as fake:
        print(f"export CLOUDFLARE_BASE_URL={fake.url} CLOUDFLARE_API_TOKEN={fake.token}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
