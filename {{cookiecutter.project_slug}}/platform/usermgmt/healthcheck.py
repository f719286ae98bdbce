"""The container's health: exit status 0 if the application can do its work now."""

import sys
import urllib.error
import urllib.request

try:
    with urllib.request.urlopen("http://127.0.0.1:8080/ready", timeout=8) as answer:
        print(answer.read().decode())
except OSError as error:
    print(error.read().decode() if isinstance(error, urllib.error.HTTPError) else error)
    sys.exit(1)
