"""How loaded rows join the history that a target table holds already.

The load table has the rows of the snapshot as versions that start when it was taken, and the versions that
the changes held back meanwhile have made of them.
Only rows that differ from the target's current versions make new ones there; current versions of rows that
the load does not have end.

While a table that was loaded before is loaded again, apply goes on writing to the target: it has the versions
of those changes already, and only the last state of each row is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg2 import sql

from trempy_provider.apply_modes.version_tables import VersionTables
from trempy_provider.apply_modes.versioned_table import VersionedTable
from trempy_provider.apply_modes.versions import write_versions
from trempy_provider.postgres.session import Session


def join_history(
    session: Session,
    table: VersionedTable,
    *,
    load_table: sql.Identifier,
    loaded_at: datetime,
    is_kept_up: bool,
) -> None:
    """Bring the target's history up to the load table's; call it in the final transaction."""
    tables = VersionTables(session)
    states, versions = tables.pair_of(table)
    joining = LoadedStates(table, load_table=load_table, states=states, loaded_at=loaded_at)
    session.execute("set local enable_hashjoin = on; set local enable_mergejoin = on")
    for statement in joining.last_sql() if is_kept_up else joining.all_sql():
        session.execute(statement)
    write_versions(session.execute, table, states=states, versions=versions)
    tables.forget()


@dataclass(frozen=True, slots=True)
class LoadedStates:
    """Statements that fill the table of states from the rows l of a load table and h of the target."""

    table: VersionedTable
    load_table: sql.Identifier
    states: sql.Identifier
    loaded_at: datetime

    def all_sql(self) -> tuple[sql.Composed, ...]:
        """Compose all states the load table tells of, but for rows that are as the target has them.

        These are: each version's start, its end where no other follows at once, and at the time of the load
        the absence of the target's rows that were not in the snapshot.
        """
        return (
            self._present_sql(
                "not (l.{end} is null and l.{start} = {loaded_at} and exists ("
                "select from {rows} h where {match} and h.{end} is null and {h_image} *= {l_image}))"
            ),
            self._absent_sql(
                "select {l_key}, {end_number}, l.{end}, false from {load_table} l "
                "where l.{end} is not null and not exists ("
                "select from {load_table} h where {match} and h.{start} = l.{end})"
            ),
            self._absent_sql(
                "select {h_key}, {load_number}, {loaded_at}, false from {rows} h "
                "where h.{end} is null and not exists ("
                "select from {load_table} l where {match} and l.{start} = {loaded_at})"
            ),
        )

    def last_sql(self) -> tuple[sql.Composed, ...]:
        """Compose the last state of each row, unless the target has it so."""
        return (
            self._present_sql(
                "l.{end} is null and not exists ("
                "select from {rows} h where {match} and h.{end} is null and {h_image} *= {l_image})"
            ),
            self._absent_sql(
                "select {h_key}, {load_number}, "
                "coalesce((select max(l.{end}) from {load_table} l where {match}), {loaded_at}), false "
                "from {rows} h where h.{end} is null and not exists ("
                "select from {load_table} l where {match} and l.{end} is null)"
            ),
        )

    def _present_sql(self, condition: str) -> sql.Composed:
        return self._fill(
            "insert into {states} ({columns}, {number}, {moment}, {present}) "
            "select {values}, {start_number}, l.{start}, true from {load_table} l where {condition}",
            condition=self._fill(condition),
        )

    def _absent_sql(self, query: str) -> sql.Composed:
        return self._fill(
            "insert into {states} ({key}, {number}, {moment}, {present}) {query}", query=self._fill(query)
        )

    def _fill(self, template: str, **holes: sql.Composed) -> sql.Composed:
        loaded_at = sql.Literal(self.loaded_at.isoformat())
        return self.table.fill(
            template,
            **holes,
            load_table=self.load_table,
            states=self.states,
            loaded_at=loaded_at,
            values=self.table.values_sql("l"),
            match=self.table.match_sql("h", "l"),
            h_key=self.table.key_values_sql("h"),
            l_key=self.table.key_values_sql("l"),
            h_image=self.table.target_image_sql("h"),
            l_image=self.table.target_image_sql("l"),
            start_number=_number_sql(self.table.fill("l.{start}")),
            end_number=_number_sql(self.table.fill("l.{end}")),
            load_number=_number_sql(loaded_at + sql.SQL("::timestamptz")),
        )


def _number_sql(moment: sql.Composable) -> sql.Composed:
    """Compose a number in the order of time."""
    return sql.SQL("(extract(epoch from {}) * 1000000)::bigint").format(moment)
