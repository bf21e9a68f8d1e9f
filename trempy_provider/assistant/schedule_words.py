"""Words for times in English, Portuguese and Spanish; patterns are matched against `words.plain` texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_NUMBER_WORDS = (
    "one um uma un una", "two dois duas dos", "three tres", "four quatro cuatro", "five cinco", "six seis",
    "seven sete siete", "eight oito ocho", "nine nove nueve", "ten dez diez", "eleven onze once",
    "twelve doze doce",
)  # fmt: skip
_NUMBERS: Mapping[str, int] = {
    "fifteen": 15, "quinze": 15, "quince": 15, "twenty": 20, "vinte": 20, "veinte": 20, "thirty": 30,
    "trinta": 30, "treinta": 30,
} | {word: n for n, words in enumerate(_NUMBER_WORDS, 1) for word in words.split()}  # fmt: skip
_UNITS: Mapping[str, str] = {
    "minute": r"minutes?|mins?|minutos?",
    "hour": r"hours?|hrs?|horas?|h",
    "day": r"days?|dias?",
    "week": r"weeks?|semanas?",
    "month": r"months?|mes(?:es)?",
    "year": r"years?|anos?",
}
_DAY_NAMES = (
    r"sun(?:days?)?|domingos?",
    r"mon(?:days?)?|segundas?(?:[- ]feiras?)?|lunes",
    r"tue(?:sdays?)?|tercas?(?:[- ]feiras?)?|martes",
    r"wed(?:nesdays?)?|quartas?(?:[- ]feiras?)?|miercoles",
    r"thu(?:rsdays?)?|quintas?(?:[- ]feiras?)?|jueves",
    r"fri(?:days?)?|sextas?(?:[- ]feiras?)?|viernes",
    r"sat(?:urdays?)?|sabados?",
)
_NAME = f"(?:{'|'.join(_DAY_NAMES)})"
_COUNT = rf"(?P<count>\d{{1,4}}|{'|'.join(_NUMBERS)})"
_UNIT = "(?P<unit>" + "|".join(_UNITS.values()) + ")"
_EACH = r"(?:every|each|a cada|cada)"
_ALL = rf"(?:{_EACH}|toda|todo|todos (?:os|los)|todas (?:as|las))"
_MONTHLY = (
    r"(?: (?:of|in) (?:every|each|the) month| d(?:o|el) mes"
    r"| (?:de|em|en) (?:cada|todo|todos (?:os|los)) mes(?:es)?)"
)
_HALF_PAST = r"(?: (?:e meia|y media)(?![- ]no))?"
_CLOCK = (
    rf"(?:\d{{1,2}}(?:[:h]\d{{2}}|(?: ?hs?| horas| o'?clock)\b)?{_HALF_PAST}"
    r"(?: ?(?:am|pm|a\.m\.|p\.m\.))?(?![\w:%]|[.,]\d)"
    r"|\b(?:noon|midday|midnight|meio[- ]dia|meia[- ]noite|mediodia|medianoche))"
)
_CLEAR_CLOCK = (  # a time of day without a word before it
    r"(?:\d{1,2}(?:[:h]\d{2}(?: ?(?:am|pm|a\.m\.|p\.m\.))?| ?(?:am|pm|a\.m\.|p\.m\.|hs?\b))(?![\w:])"
    r"|noon|midday|midnight|meio[- ]dia|meia[- ]noite|mediodia|medianoche)"
)
_THINGS = r"(?! (?:tab|col|row|lin|fil|regis|esq|sch|min|sec|seg|err|anos|years|dias|days)\w*)"


def _any_of(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(rf"(?<![\w./*-])(?:{alternative})(?!\w)" for alternative in alternatives))


CRON = re.compile(r"(?<!\S)(?:[*\d][\d*/,-]*[ ]){4}[*\d][\d*/,-]*(?=[\s.,;)]|$)")
HALVES = _any_of(
    rf"{_ALL} (?:{_COUNT} ?)?{_UNIT} (?:and a half|e mei[ao]|y medi[ao])",
    r"every (?:\w+ )?and a half \w+",
)
HALF_HOUR = _any_of(r"every half(?: an)?[- ]hour|(?:a )?cada (?:media|meia) hora|de meia em meia hora")
QUARTER_HOUR = _any_of(r"every quarter(?: of an)?[- ]hour|(?:a )?cada (?:cuarto|quarto) de hora")
COUNTED = (_any_of(rf"{_EACH} {_COUNT} ?{_UNIT}"), _any_of(rf"de {_COUNT} em \w+ {_UNIT}"))
SECOND = _any_of(
    rf"every (?:other|second) {_UNIT}",
    r"dia sim,? (?:e )?(?:outro|dia) nao|(?:un )?dia si,? (?:y )?(?:otro|dia) no",
)
TIMES_PER = _any_of(
    rf"(?:{_COUNT} (?:times|vezes|veces)|(?P<twice>twice)|(?P<thrice>thrice))"
    rf" (?:an?|per|each|every|por|ao|al|a la|a|cada|na|no) {_UNIT}"
)
ODD_PERIODS = _any_of(
    r"bi-?weekly|bi-?monthly|fortnightly|(?:every|each) fortnight|quinzenal\w*|quincenal\w*"
    r"|(?:a )?cada (?:quinzena|quincena)|bimestral\w*"
)
SINGLE: Mapping[str, re.Pattern[str]] = {
    "minute": _any_of(rf"{_ALL} minut[eo]"),
    "hour": _any_of(rf"{_ALL} (?:hours?|horas?)|once an hour|hourly|de hora em hora|uma vez por hora"),
    "day": _any_of(
        rf"{_ALL} (?:days?|dias?)|once (?:a|per) day|daily|diari\w+|a diario",
        r"(?:uma|una) vez (?:por|ao|al) dia",
    ),
    "week": _any_of(rf"{_ALL} (?:weeks?|semanas?)|once (?:a|per) week|weekly|semanal\w*"),
    "month": _any_of(rf"{_ALL} (?:month|mes(?:es)?)|once (?:a|per) month|monthly|mens[au]\w+"),
    "quarter": _any_of(rf"{_ALL} (?:quarter|trimestres?)|quarterly|trimestral\w*"),
    "year": _any_of(rf"{_ALL} (?:year|anos?)|once (?:a|per) year|yearly|annually|anual\w*"),
}
DAY_PARTS: Mapping[str, re.Pattern[str]] = {
    "night": _any_of(rf"{_ALL} (?:nights?|noites?|noches?)|nightly"),
    "morning": _any_of(rf"{_ALL} (?:mornings?|manhas?|mananas?|madrugadas?)"),
    "evening": _any_of(rf"{_ALL} (?:evenings?|afternoons?|tardes?)"),
}
WORKING_DAYS = _any_of(
    r"(?:on |every |each )?(?:weekdays?|working days?|business days?)",
    r"(?:em |nos |en |los )?dias (?:uteis|laborables|habiles)|(?:todo )?dia util|entre semana",
)
WEEKENDS = _any_of(
    r"(?:(?:on|at|every|each) )(?:the )?weekends?|(?:nos |aos |todo |todos os )fi(?:m|ns) de semana"
    r"|(?:los |cada |todos los )fin(?:es)? de semana"
)
DAY_RANGE = _any_of(
    rf"(?:on |from |de |da |das )?(?P<first>{_NAME}) ?(?:to|through|thru|until|a|ate|hasta|-) ?"
    rf"(?:la |el )?(?P<last>{_NAME})"
)
_NEXT_DAY = rf"(?:,? (?:and|e|y) |, )(?:on |every |each |toda |cada |los |as |nas |aos |el )?{_NAME}"
DAYS_NAMED = _any_of(
    rf"(?:{_ALL}|los) {_NAME}(?:{_NEXT_DAY})*",
    rf"(?:on )?(?:sun|mon|tues|wednes|thurs|fri|satur)days(?:{_NEXT_DAY})*",
    rf"(?:weekly|(?:every|each|once a|toda|cada|todas (?:as|las)) (?:weeks?|semanas?)|semanal\w*),? "
    rf"(?:on |na |no |nas |aos |as |el |los )?{_NAME}(?:{_NEXT_DAY})*",
    rf"(?:as|nas|aos|nos|na) (?:\w+-feiras?|sabados|domingos)(?:{_NEXT_DAY})*",
)
_PARTS = (
    r"(?:nights?|noites?|noches?|mornings?|evenings?|weekends?|holidays?|feriados?"
    r"|fi(?:m|ns|n|nes) de semana)"
)
EXCEPTIONS = _any_of(
    r"(?:except|but not|other than|exceto|menos|excepto|salvo|mas nao|pero no)"
    rf"(?: \w+){{0,2}} (?:{_NAME}|{_PARTS})"
)
_UNTIL = r"(?:to|and|until|till|-|ate|hasta|as?|e|y)(?: as| a?s?las?)?"
WINDOW = re.compile(
    rf"^[ ,]*(?:only )?(?:from|between|d[ae]s?|desde|entre)?(?: as?| las?)? ?{_CLOCK} {_UNTIL} {_CLOCK}"
)
MONTHS = (
    r"january|february|march|april|june|july|august|september|october|november|december|may(?= \d)"
    r"|janeiro|fevereiro|marco|abril|maio|junho|julho|agosto|setembro|outubro|novembro|dezembro"
    r"|enero|febrero|marzo|mayo|junio|julio|septiembre|octubre|noviembre|diciembre"
)
_ORDINAL = r"\d{1,2}(?:st|nd|rd|th)?"
_ORDINALS = rf"{_ORDINAL}(?:(?:,? (?:and|e|y) |, )(?:the )?{_ORDINAL}){{0,9}}(?!\w)"
_EACH_MONTH = (
    r"(?:every month|monthly|tod[oa]s? (?:os |los )?mes(?:es)?|cada mes|mensalmente|mensualmente),?"
    r"(?: on| nos?| el| los| en el)?(?: the)?"
)
_DAY_OF_MONTH = _any_of(
    rf"(?:on )?(?:the )?(?P<a>{_ORDINALS})(?: days?)?{_MONTHLY}",
    rf"(?:on days? |(?:nos? |todo |el |los |cada )?dias? )(?P<b>{_ORDINALS}){_MONTHLY}",
    rf"todo dia (?P<c>{_ORDINALS})(?! ?(?:h|hs|horas?|[ap]\.?m)\b|[:h]\d| d[ae] (?:la )?(?:ma|no|tar))",
    rf"{_EACH_MONTH} (?:days?|dias?) (?P<d>{_ORDINALS})(?! ?(?:h|hs|horas?|[ap]\.?m)\b|[:h]\d)",
    r"(?:every month|monthly),? on (?:the )?(?P<e>\d{1,2}(?:st|nd|rd|th)"
    r"(?:(?:,? and |, )(?:the )?\d{1,2}(?:st|nd|rd|th)){0,9})",
)
_FIRST_OF_MONTH = _any_of(rf"(?:on |no |el )?(?:the )?(?:first|1st|primeiro|primer) (?:day|dia){_MONTHLY}",
                         rf"(?:on )?the first{_MONTHLY}")  # fmt: skip
_LAST_OF_MONTH = _any_of(
    rf"(?:on |no |el )?(?:the )?(?:last|ultimo) (?:day|dia){_MONTHLY}",
    rf"{_EACH_MONTH} (?:last|ultimo) (?:day|dia)(?! (?:util|habil|laborable))",
)
DAYS_OF_MONTH = ((_LAST_OF_MONTH, "L"), (_FIRST_OF_MONTH, "1"), (_DAY_OF_MONTH, None))
TIMES = _any_of(
    rf"(?:(?:at|as|a las?|ao|al|a(?= m)) {_CLOCK}{_THINGS}|{_CLEAR_CLOCK})"
    rf"(?:(?:,? (?:and|e|y) |, )(?:at |as |a las? |ao |al |a )?{_CLOCK}{_THINGS})*"
    r"(?: (?:in the |at |d[ae] (?:la )?)"
    r"(?P<half>morning|afternoon|evening|night|manha|manana|madrugada|tarde|noite|noche))?"
)
CUES = _any_of(
    r"\*/\d+",
    rf"{_ALL} (?:{MONTHS})",
    r"(?:on|no|el) (?:the )?\d{1,2}(?:st|nd|rd|th)|(?:on|nos?|el|los) (?:days?|dias?) \d{1,2}",
    rf"(?:{_ALL}|per|(?:times|vezes|veces) \w+|twice \w+) (?:(?:[\w-]+|\d+[.,]\d+) ){{0,3}}"
    r"(?:second|segundo|minut[eo]|hour|hora|day|dia|week|semana"
    r"|month|mes|year|ano|quarter|night|noite|noche|morning|manha|manana|evening|tarde|weekend"
    r"|bimestre|semestre"
    rf"|{_NAME})(?:s|es)?",
    r"(?:at|as|a las?) (?=\d{1,2}(?:[:h]\d{2}| ?[ap]m))\S+",
    rf"(?:on|el|na|no|aos?) {_NAME}",
)
NAME, NUMBER_WORDS, UNIT = _NAME, "|".join(_NUMBERS), "|".join(_UNITS.values())
_CLOCKS = re.compile(_CLOCK)
_CLOCK_PARTS = re.compile(r"(?P<hour>\d{1,2})(?:[:h](?P<minute>\d{2}))?")
_HALF_OF_DAY = re.compile(r"([ap])\.?m\b")
_DAYS = [re.compile(names) for names in _DAY_NAMES]


def number_of(word: str) -> int:
    """Return the value of digits or of a number's name."""
    return int(word) if word.isdigit() else _NUMBERS[word]


def unit_of(word: str) -> str:
    """Return the unit of time that a word stands for, in English."""
    return next(unit for unit, words in _UNITS.items() if re.fullmatch(words, word))


def days_of(text: str) -> list[int]:
    """Return the days of the week that a text names, Sunday as 0."""
    return [day_of(name) for name in re.findall(rf"(?<!\w){_NAME}(?!\w)", text)]


def day_of(name: str) -> int:
    """Return the number of a day of the week."""
    return next(number for number, names in enumerate(_DAYS) if names.fullmatch(name))


def clocks_of(text: str, *, half: str | None, part: str | None) -> Sequence[tuple[int, int]]:
    """Return the times of day in a text, as hour and minute.

    `half` is a word such as "noite" behind them, `part` the part of the day they are said of.
    """
    return [_clock(clock, half or part) for clock in _CLOCKS.findall(text)]


def _clock(text: str, part: str | None) -> tuple[int, int]:
    if not text[0].isdigit():
        return (12, 0) if text in ("noon", "midday", "mediodia") or text.startswith("meio") else (0, 0)
    found = _CLOCK_PARTS.match(text)
    assert found is not None
    hour = int(found["hour"])
    said = _HALF_OF_DAY.search(text)
    half = said[1] if said else _half(hour, part)
    minute = 30 if re.search("meia|media", text) else int(found["minute"] or 0)
    if half == "p" and hour < 12:
        hour += 12
    if half == "a" and hour == 12:
        hour = 0
    return hour, minute


def _half(hour: int, part: str | None) -> str | None:
    """Return the half of the day that an hour of a part of the day is in."""
    if part in ("afternoon", "evening", "tarde"):
        return "p"
    if part in ("night", "noite", "noche") and 6 <= hour <= 12:
        return "a" if hour == 12 else "p"
    return "a" if part in ("morning", "manha", "manana", "madrugada") else None
