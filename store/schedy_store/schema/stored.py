"""Tables as classes: each column is an attribute with the type of its values, and the class stands for the table.

SQLAlchemy's declarative classes do the same and more, with a mapper that nothing here needs and that takes 60 ms to
import.
"""

from typing import Any, ClassVar, TypeVar, cast

from sqlalchemy import Column, FromClause, MetaData, Table

T = TypeVar("T", bound="Stored")

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class _TableClass(type):
    """The class of the classes: statements take them where they take a table."""

    __table__: FromClause

    def __clause_element__(cls) -> FromClause:
        return cls.__table__


class Stored(metaclass=_TableClass):
    """Root of the tables. A subclass has `__tablename__`, columns, and perhaps constraints and indexes."""

    __table__: ClassVar[FromClause]
    __tablename__: ClassVar[str]
    __constraints__: ClassVar[tuple[Any, ...]] = ()
    __counts_up__: ClassVar[bool] = False
    """SQLite gives no primary key twice."""

    def __init_subclass__(cls) -> None:
        """Make the table of the columns in the body of the class."""
        if "__table__" in cls.__dict__:
            return
        columns = {name: each for name, each in cls.__dict__.items() if isinstance(each, Column)}
        for name, column in columns.items():
            column.name = column.key = name
        cls.__table__ = Table(
            cls.__tablename__, METADATA, *columns.values(), *cls.__constraints__, sqlite_autoincrement=cls.__counts_up__
        )


def aliased(table: type[T]) -> type[T]:
    """Return a table once more, for a statement in which it occurs twice."""
    alias = table.__table__.alias()
    return cast("type[T]", _TableClass(table.__name__, (Stored,), {"__table__": alias, **dict(alias.c.items())}))
