"""`python -m prompt_objects` is `prompt-objects`."""

import sys

from prompt_objects.cli import main

sys.exit(main())
