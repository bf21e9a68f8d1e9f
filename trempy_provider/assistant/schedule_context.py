"""What stands around the words of a schedule, and says that they are not meant, or not meant alone."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterable, Iterator

from trempy_provider.assistant import schedule_words as words

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
_CHANGED = re.compile(  # "gets 100 rows", of the source
    r"(?<!\w)(?:changed|gets|receives|grows|recebem?|reciben?|crescem?|crecen?|mudam?|cambian?"
    r"|\d+ (?:rows|linhas|filas|registros))(?: \w+){0,2} $"
)
_BEFORE = 30  # characters that are looked at
_EMPTYING = r"(?:trunc|trunq|empt|clear|esvazi|limp|vaci|delet|remov|replac|apag|borr)\w*"
_HARMLESS = re.compile(  # "truncate before each load", "stop at the first error"
    rf"\b{_EMPTYING}(?: [^\s,.;]+){{0,5}}? (?:first|before(?:hand)?|antes|primeiro|primero)\b"
    rf"|\b(?:first|primeiro|primero) {_EMPTYING}|\b(?:first|primeiro|primer) err\w+|\b(?:first|last) names?\b"
)
_REST = re.compile(
    rf"(?<!\w)(?:{words.NAME}|\d{{1,4}} ?(?:{words.UNIT})"
    rf"|(?:and|e|y) (?:{words.NUMBER_WORDS}) (?:{words.UNIT})"
    r"|\d{1,2}(?:st|nd|rd|th)|first|second|third|last|primeir[oa]s?|primer[oa]?s?|segund[oa]s?|terceir[oa]|tercer[oa]?"
    r"|ultim[oa]s?|(?:days?|dias?|minutes?|minutos?|hours?|horas?|seconds?|segundos?) \d{1,2}"
    r"|fourth|fifth|sixth|seventh|eighth|ninth|tenth|twelfth|(?:quart|quint|sext|se?p?tim|o[ic]tav|non|decim)[oa]"
    r"|half|halves|quarters?|past|medi[ao]|mei[ao]|cuarto|uteis|util|habil(?:es)?|laborables?"
    r"|(?:weekend|weekday|holiday|feriado|night|evening|afternoon|morning|noite|noche|tarde|manha|manana|madrugada)s?"
    r"|during|durante|while|enquanto|mientras|until|till|ate|hasta|within|outside|starting|beginning"
    r"|(?:before|after|antes|depois|despues)(?! (?:del? |the )?(?:\d{1,2}/|\d{4}))"
    r"|(?:between|entre|from|desde|das?)(?= (?:as? |las? )?(?:\d{1,2}(?!\d)|·))"
    r"|(?:business|working|office) hours|horarios?|time ?zone|local time|hora local|fuso|huso|gmt"
    r"|(?:every|each|cada|tod[oa]s?)(?: [\w-]+)?(?= ?·)|(?<=· )(?:(?:and|or|e|ou|y|o|to|a) )?\d{1,2}"
    r"|times|vezes|veces|twice|thrice|around|about|approximately|por volta|cerca|aproximadamente"
    rf"|(?:{words.MONTHS})(?!,? (?:of |del? )?\d{{4}}))(?!\w)"
)
_BREAK = re.compile(r"[;\n]|\.\s")


class Places:
    """Parts of a text that were read, by their places."""

    def __init__(self, matches: Iterable[re.Match[str]]) -> None:
        self.matches = sorted(matches, key=lambda match: match.start())
        self._starts = [match.start() for match in self.matches]

    def has_near(self, found: re.Match[str], text: str, *, reach: int) -> bool:
        """Tell whether one is in the same sentence, and at most so many characters away."""
        place = bisect(self._starts, found.start())
        pairs = ((other, found) for other in self.matches[max(0, place - 1) : place])
        following = ((found, other) for other in self.matches[place : place + 1])
        return any(
            second.start() - first.end() <= reach and not _BREAK.search(text, first.end(), second.start())
            for first, second in (*pairs, *following)
        )

    def surround(self, found: re.Match[str]) -> bool:
        """Tell whether there are some on both sides of another part."""
        return bool(self._starts) and self._starts[0] < found.start() < self._starts[-1]


def rest_of(text: str) -> Iterator[re.Match[str]]:
    """Yield words that change a schedule, in a text where all that was understood is blanked."""
    return _REST.finditer(_HARMLESS.sub(lambda found: "·" * len(found[0]), text))


def is_of_a_thing(found: re.Match[str], text: str) -> bool:
    """Tell whether a period is about a thing, as in "the monthly report", and not about loads."""
    before = text[max(0, found.start() - _BEFORE) : found.start()]
    if _CHANGED.search(before):
        return True
    if _ADJECTIVE.fullmatch(found[0]):
        if _OF_LOADS.match(text, found.end()):
            return False
        return bool(_DETERMINED.search(before) or _FOLLOWED.match(text, found.end()))
    return bool(_LATER_ADJECTIVE.fullmatch(found[0])) and _LOADS_BEFORE.search(before) is None
