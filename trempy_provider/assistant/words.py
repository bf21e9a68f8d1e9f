"""Words of a description, in English, Portuguese and Spanish, that the advisor understands.

Patterns are matched against lower-case text without accents.
"""

from __future__ import annotations

import re
import unicodedata


def _any_of(*alternatives: str) -> re.Pattern[str]:
    """Return the pattern of any of these, as whole words."""
    return re.compile("|".join(rf"\b(?:{alternative})\b" for alternative in alternatives))


HISTORY = _any_of(
    r"scd ?2|scd type 2|slowly changing|historize",
    r"every version|all versions|versions of (?:each|every|the) row",
    r"(?:keep|keeping|with|full|whole|preserve|retain)\b[^.,;]{0,80}\bhistory",
    r"(?:guard\w+|mant\w+|com|con|preserv\w+|conserv\w+)\b[^.,;]{0,80}\b(?:historico|historial|historia)",
    r"todas as versoes|todas las versiones|cada versao|cada version",
)
FOLLOW = _any_of(
    r"repli[cq]\w+|sync\w*|follow\w*|real[- ]?time|continuous\w*|cdc|up to date|stream\w*|mirror\w*|live",
    r"every change|all changes|keep\b[^.,;]{0,80}\bfresh|as (?:it|they) changes?",
    r"sincroniz\w+|acompanh\w+|tempo real|continuament\w*|continu[ao]s?|atualizad[ao]s?|espelh\w+",
    r"todas as (?:mudancas|alteracoes)|cada (?:mudanca|alteracao)|ao vivo",
    r"tiempo real|actualizad[ao]s?|todos los cambios|cada cambio|sigue|seguir|en vivo",
)
CHANGES_ONLY = _any_of(
    r"only (?:the )?(?:new )?changes|changes only|from now on",
    r"without (?:an? )?(?:initial |full )?load|no (?:initial|full) load",
    r"(?:so|apenas|somente) (?:as )?(?:mudancas|alteracoes)|a partir de agora|sem carga",
    r"(?:solo|solamente) (?:los )?cambios|a partir de ahora|sin carga",
)
ONCE = _any_of(
    r"once(?! an?\b| per\b| every\b)|one[- ]time|one[- ]off|a single (?:copy|load)",
    r"uma so vez|uma (?:unica )?vez(?! por\b| ao\b| a\b)|carga unica",
    r"una (?:sola |unica )?vez(?! por\b| al\b| a\b)",
)
UPSERT = _any_of(
    r"upserts?|insert or update|merge into|inserir ou atualizar|insertar o actualizar",
)
TRUNCATE = _any_of(
    r"truncat(?:e|ed|ing)|trunca(?:r|d[ao]s?|ndo)?|trunque\w*",
    r"empty (?:the )?(?:target|table)\w* (?:before|first)|replac\w+ (?:all |the )?rows",
    r"esvazi\w+|limpa\w* (?:a|as) tabelas?|vacia\w*|limpi\w* (?:la|las) tablas?",
)
STOP_ON_ERROR = _any_of(
    r"(?:stop|fail)\b[^.,;]{0,80}\berrors?|par(?:e|ar|a)\b[^.,;]{0,80}\berros?|det(?:en|ener|enga|iene)\w*\b[^.,;]{0,80}\berror\w*"
)
FOLLOW_SCHEMA = _any_of(
    r"(?:new|added) columns|schema (?:changes|evolution)|novas colunas|nuevas columnas",
    r"(?:mudancas|alteracoes) (?:de|no) (?:schema|esquema)|cambios (?:de|del|en el) esquema",
)
EVERYTHING = _any_of(r"all|every|whole|entire|everything|todas?|todos?|tudo|inteir[ao]|enter[ao]|complet[ao]")
EXCEPT = _any_of(r"except|excluding|but not|other than|exceto|menos|excepto|salvo")
BEYOND = _any_of(
    r"only (?!the |new |changes)\w+|where|filter\w*|columns?|without the",
    r"upper|capitals?|lower|trim|mask|hash|hid\w+|redact|renam\w+|call(?:ed)? it",
    r"so d?[oa]s?|apenas|somente|colunas?|sem [ao]|maiuscul\w+|minuscul\w+|mascar\w+|ocult\w+|renome\w+",
    r"solo (?!los cambios|cambios)\w+|solamente|columnas?|sin (?:la|el)|mayuscul\w+|enmascar\w+|renombr\w+",
)
# Words right before a wish that turn it into its opposite; "no more than" and the like do not end in it.
NEGATED = re.compile(
    r"(?:\b(?:not|never|no|without|cannot|don['’]?t|doesn['’]?t|mustn['’]?t|shouldn['’]?t|avoid|nao|nunca|jamais"
    r"|jamas|sem|sin|nem|evit\w{1,5})"
    r"(?: (?:to|any|the|an?|be|use|using|do|ever|please|need|needs|should|must|want|have|it|them|its|os?|as?"
    r"|el|la|los|las|ni|nenhuma?|ningun\w?|usar|use|fazer|hacer|deve|debe|quero|quiero|precisa|preciso|se"
    r"|keep|keeping|guard\w{1,5}|mant\w{1,5}|ou|or|o|y|and|e|the initial)){0,4} ?)$"
)
# "do not copy it every hour": the verb of what is not to be done, and what it is done to.
_NEGATED_VERB = re.compile(
    r"\b(?:not|never|don['’]?t|no|nao|nunca|jamais|jamas)(?: (?:to|be|run|more|se|lo|la|o|a|que))* "
    r"(?:copy|copied|load(?:ed)?|run|refresh\w*|copi\w+|carr?eg\w+|carg\w+|replic\w+|sync\w*|sincroni\w+"
    r"|atuali\w+|actuali\w+|execut\w+|ejecut\w+|rod\w+)"
    r"(?: (?!(?:but|and|mas|pero|sino|e|y|only|so|solo|just)\b)[^\s,;]+){0,3} $"
)
_BEFORE = 60  # characters that are looked at for a negation


def plain(text: str) -> str:
    """Return the text in lower case, without accents and with single spaces."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())


def is_negated(text: str, place: int) -> bool:
    """Tell whether what begins at a place of a plain text is said not to be wanted."""
    return any(pattern.search(text, max(0, place - _BEFORE), place) for pattern in (NEGATED, _NEGATED_VERB))


def denial(text: str, wish: re.Match[str]) -> str:
    """Return the words that deny a wish, such as "do not truncate"."""
    found = NEGATED.search(text, max(0, wish.start() - _BEFORE), wish.start())
    return text[found.start() : wish.end()] if found else wish[0]
