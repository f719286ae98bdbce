"""Entry point of `python -m policies`, and of `python -P policies/__main__.py`, which is the same."""

import sys
from pathlib import Path

# Behind everything else: no file at the repository's root takes the place of a package.
sys.path.append(str(Path(__file__).parent.parent))

from policies.gate.cli import main

if __name__ == "__main__":
    sys.exit(main())
