"""Runs the command line: `python -m prompt_objects`."""

import sys

from prompt_objects.cli import main

sys.exit(main())
