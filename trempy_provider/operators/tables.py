"""Name the tables of a task, to map a full load over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trempy_provider.errors import ConfigurationError
from trempy_provider.operators.base import JobRun, TrempyOperator
from trempy_provider.postgres.catalog import find_tables
from trempy_provider.postgres.tables import QualifiedName


class TrempyTablesOperator(TrempyOperator):
    """List the task's tables on the source in the order of loading.

    :param choice_param: the DAG param that may choose among them
    :param one_by_one: each in a list of its own, to map a full load over
    """

    job = "tables"

    def __init__(self, *, choice_param: str | None = None, one_by_one: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choice_param = choice_param
        self.one_by_one = one_by_one

    def run_job(self, run: JobRun) -> list[list[str]] | list[str]:
        """Look them up, patterns expanded."""
        with run.endpoints.source.connect(self.job) as session:
            names = [str(table.name) for table in find_tables(session, run.task)]
        params = run.context["params"]
        chosen: Sequence[str] = params.get(self.choice_param, ()) if self.choice_param else ()
        wanted = choose(names, chosen)
        return [[name] for name in wanted] if self.one_by_one else wanted


def choose(names: Sequence[str], chosen: Sequence[str]) -> list[str]:
    """Return the names chosen, all without a choice; raise ConfigurationError for one that is not there."""
    wanted = {str(QualifiedName.parse(name)) for name in chosen}
    unknown = sorted(wanted - set(names))
    if unknown:
        raise ConfigurationError(
            f"table {unknown[0]} is not one of the task's tables: {', '.join(names)}",
            hint="Correct the DAG run's param `tables`.",
        )
    return [name for name in names if not wanted or name in wanted]
