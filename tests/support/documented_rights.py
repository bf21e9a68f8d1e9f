"""The grants of README and documentation, taken from their text word for word."""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg2 import sql

from tests.support.databases import Database, DatabasePair

PASSWORD = secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Roles:
    """The documented roles under names of their own, in the databases of a test."""

    pair: DatabasePair
    source: str
    target: str
    metadata: str

    def grant_source(self, statements: str) -> Database:
        """Run the statements for the source; return it as the role that they make."""
        names = {"trempy_source": self.source, "shop_owner": self.pair.source_admin.role}
        words = {**names, "database shop": f"database {self.pair.source.name}"}
        return self._grant(self.pair.source_superuser, statements, words, role=self.source)

    def grant_target(self, statements: str) -> Database:
        """Run the statements for the target; return it as the role that they make."""
        words = {"trempy_target": self.target, "database warehouse": f"database {self.pair.target.name}"}
        return self._grant(self.pair.target_superuser, statements, words, role=self.target)

    def grant_metadata(self, statements: str, *, database: Database) -> Database:
        """Run the statements for a metadata database; return it as the role that they make."""
        words = {"trempy_metadata": self.metadata, "database operations": f"database {database.name}"}
        address = self.pair.source_superuser.uri.rpartition("/")[0]
        return self._grant(Database(f"{address}/{database.name}"), statements, words, role=self.metadata)

    def _grant(
        self, superuser: Database, statements: str, words: Mapping[str, str], *, role: str
    ) -> Database:
        statements = re.sub(r"password '[^']*'", f"password '{PASSWORD}'", statements)
        for word, replacement in words.items():
            statements = statements.replace(word, replacement)
        superuser.execute(statements)
        address = superuser.uri.rpartition("@")[2]
        return Database(f"postgresql://{role}:{PASSWORD}@{address}")


@contextmanager
def documented_roles(databases: DatabasePair) -> Iterator[Roles]:
    """Name the roles that the block may make, and drop them after it."""
    suffix = secrets.token_hex(4)
    roles = Roles(databases, *(f"documented_{side}_{suffix}" for side in ("source", "target", "metadata")))
    yield roles
    drop = "drop owned by {0} cascade; drop role {0}"
    databases.source_superuser.execute(sql.SQL(drop).format(sql.Identifier(roles.source)))
    databases.target_superuser.execute(sql.SQL(drop).format(sql.Identifier(roles.target)))
    drop = "drop role if exists {}"  # what it had is gone with its database
    databases.source_superuser.execute(sql.SQL(drop).format(sql.Identifier(roles.metadata)))


def section(text: str, title: str) -> str:
    """Return what stands under a heading of the second level."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def code(text: str, language: str) -> list[str]:
    """Return the blocks of code in that language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)


def read(path: str) -> str:
    """Return a text of the repository."""
    return (Path(__file__).parents[2] / path).read_text(encoding="utf-8")
