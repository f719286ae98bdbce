"""The health of the container: exit status 0 if the application can work; with "health", if it is alive."""

import sys
import urllib.error
import urllib.request

try:
    page = "health" if sys.argv[1:] == ["health"] else "ready"
    with urllib.request.urlopen(f"http://127.0.0.1:8080/{page}", timeout=8) as answer:
        print(answer.read().decode())
except OSError as error:
    print(error.read().decode() if isinstance(error, urllib.error.HTTPError) else error)
    sys.exit(1)
