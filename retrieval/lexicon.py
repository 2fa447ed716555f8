"""Everyday words for relations: what people say, and the concept that a relation's label has.

Written down once, from general knowledge of English and the names that common vocabularies (schema.org, FOAF,
Wikidata) give to relations, and with the training half of PathQuestion in view (docs/retrieval.md says what that means
for the figures). It is an aid and never the only way: words that are not here match by stem and by vector.
"""

from __future__ import annotations

from typing import Final

_CONCEPTS: Final = {
    "parent": (
        "parent parents father mother dad daddy mum mom mommy papa mama pa ma eltern vater mutter pere "
        "mere padre madre padres"
    ),
    "child": (
        "child children son daughter kid kids offspring heir heirs issue descendant sons daughters kind "
        "kinder sohn tochter enfant enfants fils fille hijo hija hijos"
    ),
    "spouse": (
        "spouse husband wife couple partner married marry marries wed wedded darling consort widow "
        "widower bride groom ehemann ehefrau ehepartner mari epouse epoux esposo esposa conyuge "
        "verheiratet"
    ),
    "sibling": (
        "sibling siblings brother sister brothers sisters bruder schwester geschwister frere soeur hermano hermana"
    ),
    "gender": "gender sex male female geschlecht sexe sexo genero",
    "nationality": (
        "nationality nation citizenship citizen country nationalitat staatsangehorigkeit nationalite nacionalidad"
    ),
    "profession": "profession occupation job career trade vocation business living beruf metier profesion",
    "employer": "employer employed institution organization organisation company employee arbeitgeber employeur",
    "work": "work works worked working",
    "religion": "religion faith belief beliefs creed denomination worship religious glaube konfession",
    "ethnicity": "ethnicity race ethnic ancestry ethnie",
    "birth": "birth born geboren geburt ne nee naissance nacido nacimiento birthday",
    "death": ("death die died dies dead dying deceased killed kill perish gestorben tod mort mourut murio muerte"),
    "cause": "cause caused causes why how reason made ursache causa",
    "place": (
        "place where location city town village address hometown living live lives lived staying stay "
        "reside resides resided residence located ort wo lieu ou lugar donde"
    ),
    "date": "date when year day wann datum quand fecha cuando birthday",
    "education": "education educated educational school college university alma studied study student schule ecole",
    "author": "author wrote written writer write",
    "director": "director directed direct directs",
    "member": "member members belong belongs membership",
    "award": "award awards prize prizes won received honour honor",
    "capital": "capital hauptstadt capitale",
    "population": "population inhabitants people einwohner",
    "language": "language languages speak speaks spoken spoke sprache langue idioma",
    "genre": "genre kind style",
    "type": "type class category",
    "founder": "founder founded founders establish established",
    "instrument": "instrument instruments play plays played",
    "cast": "cast actor actors actress starring starred stars star",
}
_PHRASES: Final = {
    "other half": ("spouse",),
    "better half": ("spouse",),
    "significant other": ("spouse",),
    "married to": ("spouse",),
    "man or a woman": ("gender",),
    "man or woman": ("gender",),
    "male or female": ("gender",),
    "boy or a girl": ("gender",),
    "religious belief": ("religion",),
    "line of business": ("profession",),
    "line of work": ("profession",),
    "do for a living": ("profession",),
    "birth place": ("birth", "place"),
    "alma mater": ("education",),
    "do for work": ("profession",),
    "die from": ("death", "cause"),
    "died from": ("death", "cause"),
    "die of": ("death", "cause"),
    "died of": ("death", "cause"),
    "come from": ("nationality", "ethnicity", "place"),
    "comes from": ("nationality", "ethnicity", "place"),
    "came from": ("nationality", "ethnicity", "place"),
}
_WIDER: Final = {
    "birthplace": ("birth", "place"),
    "birthdate": ("birth", "date"),
    "birthday": ("birth", "date"),
    "deathplace": ("death", "place"),
    "hometown": ("birth", "place"),
    "living": ("profession", "place"),
    "work": ("work", "employer", "profession"),
    "works": ("work", "employer", "profession"),
    "worked": ("work", "employer", "profession"),
    "working": ("work", "employer", "profession"),
    "school": ("education", "employer"),
    "college": ("education", "employer"),
    "university": ("education", "employer"),
    "educational": ("education", "employer"),
    "education": ("education", "employer"),
    "killed": ("death", "cause"),
    "kill": ("death", "cause"),
}

INVERSE: Final = {"parent": "child", "child": "parent", "spouse": "spouse", "sibling": "sibling"}
"""What a relation of this concept is when it is read from its object: X's parent has X as a child."""

HINTS: Final = frozenset(
    {"where", "when", "why", "how", "made", "type", "kind", "day", "people", "place", "city", "town"}
)
"""Words that narrow a relation down and do not name one by themselves."""

GRAND: Final = "grand"
PHRASE_WORDS_MAX: Final = max(len(phrase.split()) for phrase in _PHRASES)


def _reversed() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for concept, said in _CONCEPTS.items():
        for word in said.split():
            found[word] = (*found.get(word, ()), concept)
    return found | _WIDER


WORDS: Final = _reversed()
"""Concepts of a word."""

PHRASES: Final = _PHRASES
"""Concepts of several words that stand together."""
