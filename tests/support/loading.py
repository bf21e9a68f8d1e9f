"""What tests of full loads have in common: a task over a pair of databases, and its jobs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.databases import DatabasePair
from trempy_provider.config.task import ReplicationTask
from trempy_provider.jobs.full_load import FullLoadReport, full_load
from trempy_provider.jobs.setup import setup
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint
from trempy_provider.postgres.table_states import TableState, read_table_states
from trempy_provider.postgres.tables import QualifiedName

CHECKSUM = "select count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text from {table} t"


@dataclass
class LoadingTask:
    """A task whose source and target are fresh databases."""

    databases: DatabasePair
    name: str
    tables: Sequence[str] = ("public.*",)
    options: dict[str, Any] = field(default_factory=dict)
    full_load_settings: dict[str, Any] = field(default_factory=dict)
    table_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    error_handling: dict[str, Any] = field(default_factory=dict)

    @property
    def task(self) -> ReplicationTask:
        """The task as settings make it."""
        entries = []
        for table in self.tables:
            name = QualifiedName.parse(table)
            entry = {"schema_name": name.schema_name, "table_name": name.table_name}
            entries.append(entry | self.table_settings.get(table, {}))
        options = {"task_name": self.name, "create_table_if_not_exists": True, **self.options}
        options["full_load_settings"] = self.full_load_settings
        return ReplicationTask.model_validate(
            {"task": options, "tables": entries, "error_handling": self.error_handling}
        )

    @property
    def source(self) -> Endpoint:
        """The source as the task's role sees it."""
        return endpoint(self.databases.source_uri, self.name, "source")

    @property
    def target(self) -> Endpoint:
        """The target as the task's role sees it."""
        return endpoint(self.databases.target_uri, self.name, "target")

    def setup(self, **arguments: Any) -> None:
        """Set the task up."""
        setup(self.task, source=self.source, target=self.target, **arguments)

    def full_load(self, **arguments: Any) -> FullLoadReport:
        """Load its tables."""
        return full_load(self.task, source=self.source, target=self.target, **arguments)

    def states(self) -> dict[str, TableState]:
        """Read the states of its tables by the tables' names."""
        with self.target.connect("test") as session:
            return {str(state.source): state for state in read_table_states(session, self.name).values()}

    def checksums(self, table: str) -> tuple[Any, Any]:
        """Return count and checksum of a table on both sides."""
        query = CHECKSUM.format(table=table)
        return (
            self.databases.source_admin.fetch_all(query)[0],
            self.databases.target_superuser.fetch_all(query)[0],
        )

    def leftovers(self) -> list[str]:
        """Name the load tables that are still there."""
        rows = self.databases.target_superuser.fetch_all(
            "select relname from pg_class"
            " where relnamespace = 'trempy'::regnamespace and relname like 'load\\_%'"
        )
        return [name for (name,) in rows]


def endpoint(uri: str, task_name: str, role: str) -> Endpoint:
    """Make the endpoint of a URI."""
    return Endpoint(lambda: ConnectionParameters.from_uri(uri), task_name=task_name, role=role)
