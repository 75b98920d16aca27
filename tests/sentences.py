"""What the first sentence of every index and look has to hold, whatever it found."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\d")
_INTERVAL = re.compile(r"-?[\d.,]+ ?%?[kmbn]* (?:%\s)?to [+-]?\$?[\d.,]+|no interval|\bits range\b")
_DETECTABLE = re.compile(
    r"would have (?:been )?found|would have been told|could have been found|no detectable effect|"
    r"no smallest effect|could be found|detectable (?:below )?[\d.]+ %"
)
_TODO = re.compile(r"What to do: \w|Take apart first: |Look first at ")
_RAW = re.compile(r"\d\.\d+e-\d\d|\b(?:nan|inf)\b|[\d,]{9,} USD|\d{7,}")


def lacks(sentence: str) -> list[str]:
    """What of number, interval, detectable effect and advice is missing; what should not be there.

    An interval or an effect may be missing if the sentence says so.
    """
    wanted = {
        "number": _NUMBER,
        "interval": _INTERVAL,
        "detectable effect": _DETECTABLE,
        "what to do": _TODO,
    }
    missing = [name for name, pattern in wanted.items() if not pattern.search(sentence)]
    return missing + [f"raw {found.group(0)}" for found in _RAW.finditer(sentence)]
