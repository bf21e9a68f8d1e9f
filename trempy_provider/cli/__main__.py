"""`python -m trempy_provider.cli`."""

from __future__ import annotations

import sys

from trempy_provider.cli import main

if __name__ == "__main__":
    sys.exit(main())
