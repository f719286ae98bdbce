#!/bin/sh
# mailctl of one commit. Whatever ends it otherwise than it wants to is a crash, with an exit code of its own: EX_SOFTWARE.
here=$(dirname "$(dirname "$(readlink -f "$0")")")
PYTHONPATH=$here/src PYTHONSAFEPATH=1
export PYTHONPATH PYTHONSAFEPATH
exec "$here/env/bin/python" -c '
import sys, traceback
try:
    from mailctl.cli import main
    main()
except Exception:
    traceback.print_exc()
    sys.exit(70)
' "$@"
