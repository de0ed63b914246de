"""German and English sentences of any number: short and long, questions, numbers and names."""

import random

SUBJECTS = {
    "Meine Schwester": "My sister",
    "Der alte Lehrer": "The old teacher",
    "Unser Nachbar Paul": "Our neighbour Paul",
    "Die junge Ärztin aus Wien": "The young doctor from Vienna",
    "Niemand": "Nobody",
    "Frau Schmidt": "Mrs Schmidt",
}
VERBS = {
    "kauft": "buys",
    "verkauft": "sells",
    "sucht": "looks for",
    "bezahlt": "pays for",
    "vergisst": "forgets",
    "versteckt": "hides",
}
OBJECTS = {
    "das kleine Haus": "the little house",
    "einen Hund": "a dog",
    "die Bücher über Geschichte": "the books about history",
    "ein Glas Wasser": "a glass of water",
    "den Schlüssel für die Garage": "the key to the garage",
    "Brot": "bread",
}
ENDS = {
    ".": ".",
    "!": "!",
    ", weil es morgen regnet.": ", because it will rain tomorrow.",
    ", aber nicht am Sonntag.": ", but not on Sunday.",
    ", obwohl die Nachbarn das wirklich nicht mögen.": ", although the neighbours really do not "
    "like that.",
}


def phrases(count: int, seed: int = 1) -> list[tuple[str, str]]:
    """Return so many different pairs, German and English; numbers make them different."""
    draw = random.Random(seed)
    pairs = []
    for number in range(count):
        parts = [draw.choice(list(table.items())) for table in (SUBJECTS, VERBS, OBJECTS, ENDS)]
        german, english = (" ".join(part[side] for part in parts[:3]) for side in (0, 1))
        if draw.random() < 0.5:
            german, english = f"{german} für {number + 2} Euro", f"{english} for {number + 2} euros"
        else:
            german, english = f"{german} in Haus {number}", f"{english} in house {number}"
        pairs.append((german + parts[3][0], english + parts[3][1]))
    return pairs
