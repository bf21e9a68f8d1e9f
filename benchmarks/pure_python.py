"""The command `trempy` without its array path: `python -m benchmarks.pure_python apply …`.

No setting switches the arrays off, since nobody needs that; here each change is an object of its own.
"""

from __future__ import annotations

import sys

from trempy_provider.apply_modes.applier import Applier
from trempy_provider.cli import main
from trempy_provider.replication.batches import Batch
from trempy_provider.replication.columnar_batch import ColumnarBatch


def _no_arrays(_applier: Applier, _batch: Batch) -> ColumnarBatch | None:
    return None


if __name__ == "__main__":
    Applier.read_columnar = _no_arrays  # type: ignore[method-assign,assignment]
    sys.exit(main())
