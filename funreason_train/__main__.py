"""`python -m funreason_train` is the same as `funreason-train`."""

import sys

from .commands.cli import main

sys.exit(main())
