"""Runs the command line: `python -m prompt_objects`."""

import os
import sys
from contextlib import suppress

with suppress(OSError):  # Python looks for modules in the current folder first, which may be that of a stranger
    if not sys.flags.safe_path and os.path.realpath(sys.path[0]) == os.path.realpath(os.curdir):
        del sys.path[0]

from prompt_objects.cli import main

sys.exit(main())
