"""`trempy`: the jobs of a replication task from the command line, without Airflow.

Little is imported before the arguments are known to be right.
"""

from __future__ import annotations

from collections.abc import Sequence

from trempy_provider.cli.arguments import parse_arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 settings or usage, 1 anything else."""
    arguments = parse_arguments(argv)
    from trempy_provider.cli.stopping import stopping  # noqa: PLC0415  # --help needs none of it

    with stopping(arguments) as stop:
        # What runs a command takes half a second to import; a signal may arrive meanwhile.
        from trempy_provider.cli.execution import execute  # noqa: PLC0415

        return execute(arguments, stop)
