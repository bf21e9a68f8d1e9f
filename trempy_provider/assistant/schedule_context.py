"""What stands around the words of a schedule, and says that they are not meant, or not meant alone."""

from __future__ import annotations

import re

_LOADS = (
    r"(?:full |initial |complete )?(?:cop(?:y|ies)|(?:re)?loads?|refresh\w*|runs?|sync\w*|snapshots?"
    r"|schedule|basis|transfers?)"
)
_ADJECTIVE = re.compile(r"hourly|daily|nightly|weekly|monthly|quarterly|yearly")
_LATER_ADJECTIVE = re.compile(  # it follows its noun
    r"(?:diari[ao]|semanal|mensal|mensual|trimestral|anual)(?:e?s)?|(?:semana|mensa|trimestra|anua)is"
)
_DETERMINED = re.compile(r"(?<!\w)(?:the|an?|this|that|its?|their|our|my|your|of) $")
_FOLLOWED = re.compile(
    r" (?!(?:at|on|and|or|in|into|to|for|from|with|by|but|not|only|as|before|after|during|between|until"
    r"|without|the|all|every|each|keep\w*|truncat\w*)\b)\w"
)
_OF_LOADS = re.compile(rf" {_LOADS}\b")
_LOADS_BEFORE = re.compile(
    r"(?:^|[^\w ] ?|(?<!\w)(?:carga|copia|atualizacao|actualizacion|replica|replicacao|replicacion"
    r"|sincronizacao|sincronizacion|execucao|ejecucion|frequencia|frecuencia|periodicidade|periodicidad"
    r"|base|forma|modo|manera|agendamento|completa) )$"
)
_BEFORE = 30  # characters that are looked at


def is_of_a_thing(found: re.Match[str], text: str) -> bool:
    """Tell whether an adjective is about a thing, as in "the monthly report", and not about loads."""
    before = text[max(0, found.start() - _BEFORE) : found.start()]
    if _ADJECTIVE.fullmatch(found[0]):
        if _OF_LOADS.match(text, found.end()):
            return False
        return bool(_DETERMINED.search(before) or _FOLLOWED.match(text, found.end()))
    return bool(_LATER_ADJECTIVE.fullmatch(found[0])) and _LOADS_BEFORE.search(before) is None
