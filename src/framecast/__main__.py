"""``python -m framecast`` is the command ``framecast``."""

import sys

from framecast.cli import main

if __name__ == "__main__":
    sys.exit(main())
