"""Which columns capture masks, and how: the settings' masks for the relations of the stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

from trempy_provider.config.chaining import masks_of
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError
from trempy_provider.postgres.salts import read_salts
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.table_states import read_table_states
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.replication.masking import Mask, MasksOf
from trempy_provider.replication.messages import Relation


def names_by_oid(task: ReplicationTask, target: Session) -> dict[int, QualifiedName]:
    """Return the names that the settings know tables by.

    A table is known by its OID, under the name it had when the settings were last brought up to date: the
    stream may call it otherwise after a rename, and then no setting would be found for it.
    """
    return {oid: state.source for oid, state in read_table_states(target, task.task_name).items()}


def relation_masks(task: ReplicationTask, *, source: Endpoint, names: Mapping[int, QualifiedName]) -> MasksOf:
    """Return what gives the masks of a relation, by column; `names` are as of `names_by_oid`.

    Raise ConfigurationError, from here or from what is returned, when there is no salt, or when a masked
    column is not there any more: under another name its values would pass unmasked.
    """
    salts = read_salts(task, source)
    known: dict[int, frozenset[str]] = {}

    def masks(relation: Relation) -> Mapping[str, Mask]:
        name = names.get(relation.oid) or QualifiedName(relation.schema_name, relation.table_name)
        found = masks_of(task, (name.schema_name, name.table_name), relation.column_names)
        before = known.get(relation.oid, frozenset())
        gone = [*found.missing, *sorted(before - found.masks.keys())]
        if gone:
            raise ConfigurationError(
                f"source table {name}: its column {gone[0]!r}, which is masked, is not there any more",
                hint="Was it renamed, name it so in the settings; was it dropped, remove the mask. "
                "Then run `trempy reload`, since older changes still have the column.",
            )
        known[relation.oid] = frozenset(found.masks)
        return {
            column: _together([operation.mask(salts) for operation in operations])
            for column, operations in found.masks.items()
        }

    return masks


def _together(masks: list[Callable[[bytes], bytes]]) -> Mask:
    return lambda value: reduce(lambda masked, mask: mask(masked), masks, value)
