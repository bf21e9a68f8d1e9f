"""The deterministic advisor: a draft from the catalogue, the history and what was measured, without a model.

It is what `suggest` gives where no model is configured, and the tool that a model calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trempy_provider.assistant.catalogue import Catalogue
from trempy_provider.assistant.column_choice import choose_columns, is_copied
from trempy_provider.assistant.draft import Draft, Frame, Reason, valid_draft
from trempy_provider.assistant.history import History
from trempy_provider.assistant.keeping import drop_faulty, keep_present, options_at_present
from trempy_provider.assistant.ordering import listed_names, order_by_references
from trempy_provider.assistant.periods import preset_of
from trempy_provider.assistant.precedents import excluded_before, masked_before
from trempy_provider.assistant.sizing import choose_batch_rows, choose_streams, load_seconds
from trempy_provider.assistant.warnings import warnings_of
from trempy_provider.assistant.wishes import Wishes, read_wishes
from trempy_provider.config.options import TASK_NAME_MAX_LENGTH, CdcOptions, FullLoadOptions
from trempy_provider.config.tables import TableSelection
from trempy_provider.errors import SettingsError
from trempy_provider.jobs.progress import duration_text
from trempy_provider.postgres.tables import QualifiedName

AUTHOR = "advisor"
_COLUMN_OPTIONS = ("columns", "exclude_columns")
_PRIORITY = TableSelection.model_fields["priority"].default


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a draft is grounded in."""

    catalogue: Catalogue
    history: History = field(default_factory=History)
    frame: Frame = field(default_factory=Frame)


def advise(description: str, grounds: Grounds) -> Draft:
    """Return a draft for a description; raise ConfigurationError when it names no table of the source."""
    return _Advice(read_wishes(description, grounds.catalogue), grounds).draft()


class _Advice:
    """One draft in the making."""

    def __init__(self, wishes: Wishes, grounds: Grounds) -> None:
        self._wishes = wishes
        self._grounds = grounds
        found = [grounds.catalogue.find(name) for name in wishes.tables]
        self._tables = tuple(table for table in found if table is not None)
        self._similar = grounds.history.similar_to(wishes.tables)
        self._order = order_by_references(self._tables)
        self._reasons: list[Reason] = []
        self._warnings: list[str] = []
        self._captures = self._chooses_capture()
        self._loads = wishes.changes_only is None and self._kept_type != "cdc"

    def draft(self) -> Draft:
        task, entries = self._task(), self._table_entries()
        settings = {"task": task, **self._error_handling(), "tables": entries, **self._masks(entries)}
        settings = self._beside_the_present(settings)
        if self._wishes.has_more:
            self._warnings.append(
                "The description seems to ask for filters, transformations or a choice of columns that the "
                "advisor does not read: add them by hand, or configure a model."
            )
        draft = valid_draft(settings, author=AUTHOR, reasons=tuple(self._reasons), warnings=())
        assert draft.task is not None
        known = warnings_of(draft.task, self._grounds.catalogue, self._grounds.history)
        return replace(draft, warnings=(*known, *self._warnings))

    def _beside_the_present(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Keep what the task has at present where the description says nothing else."""
        present = self._grounds.frame.present
        if present is None:
            return settings
        kept_too, kept = keep_present(settings, present, drops=self._wishes.columns.said and _COLUMN_OPTIONS)
        try:
            kept_too, left_out = drop_faulty(kept_too)
        except SettingsError as error:
            self._warnings.append(f"What the present settings have beside the draft is left out: {error}")
            return settings
        self._warnings += [f"Left out, because it does not fit the draft: {each}" for each in left_out]
        self._reasons = [each for each in self._reasons if each.path not in kept]
        self._reasons += [Reason(path, "kept from the present settings") for path in kept]
        return kept_too

    def _because(self, path: str, text: str) -> None:
        self._reasons.append(Reason(path, text))

    def _task(self) -> dict[str, Any]:
        wishes = self._wishes
        options: dict[str, Any] = {"task_name": self._name(), "replication_type": self._type()}
        options |= self._grounds.frame.connections or {}
        options |= self._creation()
        options |= self._full_load() if self._loads else {}
        options |= self._cdc(keeps_history=wishes.keeps_history is not None)
        return options

    def _name(self) -> str:
        if self._grounds.frame.task_name is not None:
            self._because("task.task_name", "as it was given")
            return self._grounds.frame.task_name
        self._because("task.task_name", "made of the names of the tables")
        schemas = dict.fromkeys(name.schema_name for name in self._wishes.tables)
        words = [*schemas] if len(self._wishes.tables) > 1 else [*schemas, self._wishes.tables[0].table_name]
        base = re.sub(r"[^a-z0-9]+", "_", "_".join(words).lower()).strip("_") or "task"
        base = base[: TASK_NAME_MAX_LENGTH - 3]
        taken = self._grounds.frame.taken_names
        free = (name for name in (base, *(f"{base}_{n}" for n in range(2, 100))) if name not in taken)
        return next(free, base)

    def _chooses_capture(self) -> bool:
        wishes = self._wishes
        said = wishes.changes_only or wishes.follows_changes or wishes.upserts
        if said is None and wishes.keeps_history is not None:
            said = None if wishes.schedule or wishes.loads_once else wishes.keeps_history
        return said is not None or self._kept_type in ("cdc", "full_load_and_cdc")

    @property
    def _kept_type(self) -> str | None:
        """Return the present type of replication where the description asks for none."""
        wishes, present = self._wishes, self._grounds.frame.present
        asked = (wishes.changes_only, wishes.follows_changes, wishes.upserts, wishes.keeps_history)
        if present is None or wishes.schedule or wishes.loads_once or any(asked):
            return None
        kept: str | None = present.get("task", {}).get("replication_type")
        return kept

    def _type(self) -> str:
        wishes = self._wishes
        path = "task.replication_type"
        if self._kept_type is not None:
            self._because(path, "kept from the present settings")
            return self._kept_type
        if wishes.changes_only is not None:
            self._because(path, f"“{wishes.changes_only}”")
            return "cdc"
        if not self._captures:
            asked = wishes.loads_once or (wishes.timing and wishes.timing.said)
            self._because(path, f"“{asked}”" if asked else "nothing asks to follow changes")
            self._warn_of_dropped_capture()
            return "full_load"
        said = wishes.follows_changes or wishes.keeps_history or wishes.upserts
        self._because(path, f"“{said}”: rows are loaded, then every change is followed")
        return "full_load_and_cdc"

    def _warn_of_dropped_capture(self) -> None:
        present = self._grounds.frame.present or {}
        if present.get("task", {}).get("replication_type") in ("cdc", "full_load_and_cdc"):
            self._warnings.append("The task follows changes at present, and the draft does not any more.")

    def _creation(self) -> dict[str, Any]:
        present = self._grounds.catalogue.present_on_target
        missing = [name for name in self._wishes.tables if present is None or name not in present]
        if not missing:
            self._because("task.create_table_if_not_exists", "the target has all tables already")
            return {}
        what = "the target was not asked" if present is None else f"the target lacks {listed_names(missing)}"
        self._because("task.create_table_if_not_exists", what)
        return {"create_table_if_not_exists": True}

    def _full_load(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        streams = choose_streams(self._tables, self._grounds.history)
        if streams.value != FullLoadOptions().parallel_streams:
            options["parallel_streams"] = streams.value
        self._because("task.full_load_settings.parallel_streams", streams.reason)
        options |= self._schedule()
        options |= self._truncation()
        return {"full_load_settings": options} if options else {}

    def _schedule(self) -> dict[str, Any]:
        path = "task.full_load_settings.schedule"
        timing = self._wishes.timing
        if timing is None:
            return {}
        if timing.problem is not None:
            self._warnings.append(
                f"The schedule “{timing.said}” is not in the draft: {timing.problem}. "
                "Write full_load_settings.schedule as five cron fields."
            )
        if timing.schedule is not None:
            seconds = load_seconds(self._tables, self._grounds.history)
            measured = "" if seconds is None else f"; a load takes about {duration_text(seconds)}"
            self._because(path, f"“{timing.said}”{measured}")
            return {"schedule": timing.schedule}
        present = self._present_load.get("schedule")
        if present is None or preset_of(present) not in timing.denied:
            return {}
        self._because(path, f"the description does not want {present} any more")
        return {"schedule": None}

    def _truncation(self) -> dict[str, Any]:
        path = "task.full_load_settings.truncate_before_insert"
        if self._wishes.truncates is not None:
            self._because(path, f"“{self._wishes.truncates}”")
            return {"truncate_before_insert": True}
        if self._wishes.spares_rows is None or not self._present_load.get("truncate_before_insert"):
            return {}
        self._because(path, f"“{self._wishes.spares_rows}”")
        return {"truncate_before_insert": False}

    @property
    def _present_load(self) -> Mapping[str, Any]:
        """Return the options of full loads that the task has at present."""
        present: Mapping[str, Any] = self._grounds.frame.present or {}
        options: Mapping[str, Any] = present.get("task", {}).get("full_load_settings") or {}
        return options

    def _cdc(self, *, keeps_history: bool) -> dict[str, Any]:
        options: dict[str, Any] = {}
        mode = self._mode(keeps_history=keeps_history)
        if mode != "default":
            options["mode"] = mode
        batch = choose_batch_rows(self._tables, self._similar) if self._captures else None
        if batch is not None and batch.value != CdcOptions().batch_max_rows:
            options["batch_max_rows"] = batch.value
            self._because("task.cdc_settings.batch_max_rows", batch.reason)
        if self._wishes.follows_schema is not None and self._captures:
            options["schema_evolution"] = "apply"
            self._because("task.cdc_settings.schema_evolution", f"“{self._wishes.follows_schema}”")
        return {"cdc_settings": options} if options else {}

    def _mode(self, *, keeps_history: bool) -> str:
        path = "task.cdc_settings.mode"
        if keeps_history:
            self._because(path, f"“{self._wishes.keeps_history}”: every version of a row is kept")
            return "scd2"
        if self._wishes.upserts is not None:
            self._because(path, f"“{self._wishes.upserts}”")
            return "upsert"
        if self._wishes.changes_only is not None:
            self._because(path, "rows are not loaded, so an UPDATE may come to a row that the target lacks")
            return "upsert"
        self._because(path, "the target is to be an exact copy")
        return "default"

    def _error_handling(self) -> dict[str, Any]:
        said = self._wishes.stops_on_errors
        if said is None:
            return {}
        self._because("error_handling", f"“{said}”")
        kinds = ("insert", "update", "delete", "upsert", "scd2")
        return {"error_handling": {f"stop_if_{kind}_error": True for kind in kinds}}

    def _table_entries(self) -> list[dict[str, Any]]:
        order = self._order
        if order.depth > 1:
            first = [name for name, level in order.levels.items() if level == 0]
            self._because("tables[].priority", f"by foreign keys; first {listed_names(first)}")
        named = sorted(self._wishes.tables, key=lambda name: (order.levels[name], name))
        explicit = [
            self._entry(name)
            for name in named
            if not self._wishes.patterns
            or order.priority_of(name) != _PRIORITY
            or excluded_before(self._similar, name)
        ]
        patterns = [
            {"schema_name": each.schema_name, "table_name": each.table_name} for each in self._wishes.patterns
        ]
        why = "a pattern takes up tables that are made later, too" if patterns else "named in the description"
        self._because("tables", why)
        return explicit + patterns

    def _entry(self, name: QualifiedName) -> dict[str, Any]:
        entry: dict[str, Any] = {"schema_name": name.schema_name, "table_name": name.table_name}
        if self._order.depth > 1:
            entry["priority"] = self._order.priority_of(name)
        choice = choose_columns(
            self._wishes.columns,
            present=options_at_present(entry, self._grounds.frame.present or {}),
            before=excluded_before(self._similar, name),
        )
        for key, names in choice.options.items():
            entry[key] = names
            self._because(f"tables[].{key}", choice.reason)
        if choice.returning:
            self._warnings.append(f"{name} was copied without {', '.join(choice.returning)} so far.")
        return entry

    def _masks(self, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Carry over what this installation's tasks mask in the same tables, where it is copied."""
        named = {QualifiedName(each["schema_name"], each["table_name"]): each for each in entries}
        masks = []
        for task_name, mask in masked_before(self._similar, self._tables):
            where = QualifiedName(mask["table_info"]["schema_name"], mask["table_info"]["table_name"])
            column = mask["settings"]["contract"]["column_name"]
            if where not in named or is_copied(column, named[where]):
                masks.append(mask)
                self._because("transformations", f"task {task_name} masks {where}.{column} as well")
        return {"transformations": masks} if masks else {}
