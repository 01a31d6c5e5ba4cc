"""What is written instead of an identifier: its kind and a number that is the same for the same person or thing.

Numbers are of one document, in order of appearance; they say who is who in it and nothing across documents.
"""

from __future__ import annotations

from typing import Final

from safelight.text import forms
from safelight.text.folding import fold_word

_KIND: Final = {
    "PATIENT_NAME": "PATIENT",
    "CLINICIAN_NAME": "CLINICIAN",
    "RELATIVE_NAME": "RELATIVE",
    "NHS_NO": "NHS_NUMBER",
    "OTHER_ID": "ID",
    "GMC": "REGISTRATION",
    "DOB": "DATE_OF_BIRTH",
}
#: Of these a document can speak of several, so they carry a number.
_NUMBERED: Final = frozenset({"CLINICIAN_NAME", "RELATIVE_NAME", "HOSPITAL", "GP_PRACTICE"})


class Placeholders:
    """Placeholders of one document."""

    def __init__(self) -> None:
        self._people: dict[str, list[set[str]]] = {}

    def of(self, label: str, written: str) -> str:
        """Return the placeholder of an identifier as it is written: ``[CLINICIAN_1]``, ``[PATIENT]``, ``[MRN]``.

        Names that share a word of three letters or more are taken for one person: "Dr Noor Saleh" and "Saleh".
        """
        kind = _KIND.get(label, label)
        if label not in _NUMBERED:
            return f"[{kind}]"
        words = {word for word in forms.words_of(fold_word(written)) if len(word) > 2} or {fold_word(written).strip()}
        known = self._people.setdefault(kind, [])
        for index, names in enumerate(known, 1):
            if words <= names or names <= words:
                names |= words
                return f"[{kind}_{index}]"
        known.append(set(words))
        return f"[{kind}_{len(known)}]"
