"""`python -m lightspeed.cli` is `lightspeed`."""

import sys

from lightspeed.cli.main import main

if __name__ == "__main__":  # a process of `simulate --jobs` imports this again, under another name
    sys.exit(main())
