"""Entry point of `python -m policies`."""

import sys

from policies.gate.cli import main

sys.exit(main())
