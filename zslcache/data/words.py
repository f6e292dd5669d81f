"""The words of an attribute's name, as they would stand in a dictionary of word vectors."""

from __future__ import annotations

import re

# Names of the public benchmarks that are glued, misspelt or rarer than the dictionaries: CUB, AwA2, SUN.
_RENAMED = {
    "grey": ("gray",),
    "spatulate": ("broad",),
    "upperparts": ("upper", "parts"),
    "newworld": ("new", "world"),
    "oldworld": ("old", "world"),
    "nestspot": ("nest", "spot"),
    "toughskin": ("tough", "skin"),
    "longleg": ("long", "leg"),
    "chewteeth": ("chew", "teeth"),
    "meatteeth": ("meat", "teeth"),
    "strainteeth": ("strain", "teeth"),
    "quadrapedal": ("quadrupedal",),
    "rockstone": ("rock", "stone"),
    "dirtsoil": ("dirt", "soil"),
    "sunsunny": ("sun", "sunny"),
    "electricindoor": ("electric", "indoor"),
}


def words_of(attribute_name: str) -> list[str]:
    """The lower-case words of a name, in order, by the rules that the field's vectors were made with:

    a leading `has_` and anything in parentheses go; what is left is split at everything but letters, digits and
    apostrophes (so at `_`, `-`, `/`, `::` and blanks); glued and renamed words of the public benchmarks are replaced.
    """
    plain = re.sub(r"\([^)]*\)?", " ", attribute_name.lower()).strip().removeprefix("has_")
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", plain.replace("far-away", "faraway"))
    return [part for word in words for part in _RENAMED.get(word, (word,))]
