"""``python -m mdkern``."""

import sys

from mdkern.cli import main

if __name__ == "__main__":
    sys.exit(main())
