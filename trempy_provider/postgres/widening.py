"""Changes of a column's type after which every value is what it was.

OIDs of built-in types never change (pg_type.dat), nor does the meaning of their modifiers.
"""

from __future__ import annotations

Type = tuple[int, int]  # OID and modifier, -1: none

_INT8, _INT2, _INT4, _TEXT, _NAME = 20, 21, 23, 25, 19
_FLOAT4, _FLOAT8, _NUMERIC = 700, 701, 1700
_BPCHAR, _VARCHAR = 1042, 1043
_DATE, _TIME, _TIMESTAMP, _TIMESTAMPTZ, _TIMETZ = 1082, 1083, 1114, 1184, 1266

_WIDER = frozenset(
    {
        (_INT2, _INT4),
        (_INT2, _INT8),
        (_INT4, _INT8),
        (_INT2, _NUMERIC),
        (_INT4, _NUMERIC),
        (_INT8, _NUMERIC),
        (_INT2, _FLOAT8),
        (_INT4, _FLOAT8),
        (_FLOAT4, _FLOAT8),
        (_VARCHAR, _TEXT),
        (_BPCHAR, _TEXT),
        (_NAME, _TEXT),
        (_DATE, _TIMESTAMP),
    }
)
_LIMITED_BY_MODIFIER = frozenset({_VARCHAR, _TIME, _TIMESTAMP, _TIMESTAMPTZ, _TIMETZ})
_SCALE_BITS = 0xFFFF


def is_widened(before: Type, after: Type) -> bool:
    """Tell whether a type was only given more room."""
    (old, old_modifier), (new, new_modifier) = before, after
    if new_modifier == -1 and (old == new or (old, new) in _WIDER):
        return True
    if old != new or old_modifier == -1:
        return False
    if old == _NUMERIC:  # ((precision << 16) | scale) + 4
        same_scale = (old_modifier - 4) & _SCALE_BITS == (new_modifier - 4) & _SCALE_BITS
        return same_scale and new_modifier >= old_modifier
    return old in _LIMITED_BY_MODIFIER and new_modifier >= old_modifier
