"""Makes our rules known to plain checkov: checkov -d . --external-checks-dir policies/plain_checkov."""

from policies.gate.loading import load

# Each rule puts itself into the register of checkov's runner when it is made.
LOADED = load()
