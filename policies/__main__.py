"""Entry point of `python -m policies`, and of `python -P policies/__main__.py`, which is the same."""

import os
import sys

# Nothing of the repository but this package may be imported: a yaml.py or a folder checkov/ at its root would
# take the place of what the gate is made of. Only modules that are part of the interpreter stand above this.
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
OURS = {os.path.realpath(each) for each in (HERE, ROOT, os.getcwd())}
sys.path[:] = [*(each for each in sys.path if os.path.realpath(each) not in OURS), ROOT]

from policies.gate.cli import main  # noqa: E402

sys.exit(main())
