"""Every transformation: one class each, told apart by `transformation_type`.

They are applied in order of priority, then of listing; each sees the names as they stand at that moment.
What happens to the value of a column, and what a new column holds, is in `operations.py`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from trempy_provider.config.compilation import CompileContext, UnsuitableError
from trempy_provider.config.fields import (
    Name,
    Priority,
    SettingsModel,
    Text,
    check_distinct,
    refused,
)
from trempy_provider.config.operations import ColumnOperation, MaskOperation, ValueOperation
from trempy_provider.config.table_chain import TableChain
from trempy_provider.config.tables import TableReference

KIND_DESCRIPTION = "What the transformation changes."

ColumnNames = Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(check_distinct)]


class SchemaNameContract(SettingsModel):
    """Put the table into another schema on the target."""

    target_schema_name: Name = Field(description="Schema on the target.")


class TableNameContract(SettingsModel):
    """Give the table another name on the target."""

    target_table_name: Name = Field(description="Name of the table on the target.")


class ColumnNameContract(SettingsModel):
    """Give a column another name on the target."""

    column_name: Name = Field(description="Column to rename.")
    target_column_name: Name = Field(description="New name of the column.")

    @model_validator(mode="after")
    def _refuse_same_name(self) -> ColumnNameContract:
        if self.column_name == self.target_column_name:
            raise refused("is the name the column has already", field="target_column_name")
        return self


class KeyContract(SettingsModel):
    """Name the columns that enter or leave the primary key."""

    column_names: ColumnNames = Field(description="Columns of the target's primary key.")


class Transformation(SettingsModel):
    """The part all transformations share."""

    description: Text = Field(default="", description="What the transformation is for, in your own words.")
    priority: Priority = Field(default=2, description="Order of application, from 0 (first) to 4 (last).")

    def apply_to(self, table: TableChain, context: CompileContext) -> None:
        """Change the table as it stands; raise UnsuitableError when that cannot be."""
        self._change(table, context)

    @abstractmethod
    def _change(self, table: TableChain, context: CompileContext) -> None: ...


class ModifySchemaName(Transformation):
    """Put the table into another schema on the target."""

    kind: Literal["modify_schema_name"] = Field(alias="transformation_type", description=KIND_DESCRIPTION)
    contract: SchemaNameContract = Field(description="The new schema.")

    def _change(self, table: TableChain, _context: CompileContext) -> None:
        table.schema_name = self.contract.target_schema_name


class ModifyTableName(Transformation):
    """Give the table another name on the target."""

    kind: Literal["modify_table_name"] = Field(alias="transformation_type", description=KIND_DESCRIPTION)
    contract: TableNameContract = Field(description="The new name.")

    def _change(self, table: TableChain, _context: CompileContext) -> None:
        table.table_name = self.contract.target_table_name


class ModifyColumnName(Transformation):
    """Give a column another name on the target."""

    kind: Literal["modify_column_name"] = Field(alias="transformation_type", description=KIND_DESCRIPTION)
    contract: ColumnNameContract = Field(description="The column and its new name.")

    def _change(self, table: TableChain, _context: CompileContext) -> None:
        table.rename_column(self.contract.column_name, self.contract.target_column_name)


class AddPrimaryKey(Transformation):
    """Add columns to the target's primary key."""

    kind: Literal["add_primary_key"] = Field(alias="transformation_type", description=KIND_DESCRIPTION)
    contract: KeyContract = Field(description="The columns that enter the key.")

    def _change(self, table: TableChain, _context: CompileContext) -> None:
        table.add_to_key(self.contract.column_names)


class RemovePrimaryKey(Transformation):
    """Take columns out of the target's primary key."""

    kind: Literal["remove_primary_key"] = Field(alias="transformation_type", description=KIND_DESCRIPTION)
    contract: KeyContract = Field(description="The columns that leave the key.")

    def _change(self, table: TableChain, _context: CompileContext) -> None:
        table.remove_from_key(self.contract.column_names)


class ModifyColumnValue(Transformation):
    """Change the value of a column."""

    kind: Literal["modify_column_value"] = Field(alias="transformation_type", description=KIND_DESCRIPTION)
    contract: ValueOperation = Field(description="The column and the operation on it.")

    def _change(self, table: TableChain, context: CompileContext) -> None:
        column = table.column(self.contract.column_name)
        if not isinstance(self.contract, MaskOperation):
            table.change_value(column.name, self.contract.to_sql(column.typed, context))
        elif column.origin is None:  # of the others the masks are applied already
            raise UnsuitableError("only columns of the source are masked; this one is made on the target")


class CreateColumn(Transformation):
    """Add a column on the target."""

    kind: Literal["create_column"] = Field(alias="transformation_type", description=KIND_DESCRIPTION)
    contract: ColumnOperation = Field(description="The new column and what it holds.")

    def _change(self, table: TableChain, context: CompileContext) -> None:
        values = [table.column(name).typed for name in self.contract.inputs]
        table.create_column(
            self.contract.new_column_name,
            self.contract.to_sql(values, context),
            is_momentary=self.contract.is_momentary or table.is_momentary(self.contract.inputs),
        )


TransformationSettings = Annotated[
    ModifySchemaName
    | ModifyTableName
    | ModifyColumnName
    | AddPrimaryKey
    | RemovePrimaryKey
    | ModifyColumnValue
    | CreateColumn,
    Field(discriminator="kind"),
]


class TableTransformation(SettingsModel):
    """A transformation and the table it belongs to."""

    table_info: TableReference = Field(description="The table that is changed.")
    settings: TransformationSettings = Field(description="What is changed.")


def in_order_of_application(
    listed: Mapping[int, TableTransformation],
) -> list[tuple[int, TableTransformation]]:
    """Return transformations with their positions in the list, by priority, then by position."""
    return sorted(listed.items(), key=lambda entry: (entry[1].settings.priority, entry[0]))
