"""The executable that Terraform starts as its AWS provider."""

import sys
from pathlib import Path

import tf.provider
from tf.runner import run_provider

from equipment.schema import PROVIDER
from equipment.servicer import Provider, Servicer


def main() -> None:
    """Serves until Terraform ends it. Argument: the schema file."""
    # The package's own servicer knows no list blocks and no nested unknowns; its handshake is what we need.
    tf.provider.ProviderServicer = Servicer
    run_provider(Provider(PROVIDER, Path(sys.argv[1])), [sys.argv[0]])


if __name__ == "__main__":
    main()
