"""Serve a fake Cloudflare, and DNS with its records, until Ctrl-C; a shell evaluates the line printed."""

import argparse
import threading

from fake_dns import FakeDns

from fake_cloudflare.server import FakeCloudflare


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fake_cloudflare", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--zone", default="example.com")
    options = parser.parse_args()
    with FakeCloudflare(options.zone, options.port) as fake, FakeDns(fake.state) as dns:
        account = f"CLOUDFLARE_BASE_URL={fake.url} CLOUDFLARE_API_TOKEN={fake.token}"
        print(f"export {account} FAKE_DNS={dns.address}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
