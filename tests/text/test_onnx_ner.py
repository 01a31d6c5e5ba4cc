"""Token classifiers as ONNX: the packaged one, and one of a hospital, built here with two words in its head."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from safelight.errors import ModelUnavailable
from safelight.model import KnownIdentifiers
from safelight.text import onnx_ner
from safelight.text.deidentifier import TextDeidentifier
from safelight.text.ner import load_models
from safelight.text.onnx_ner import OnnxModel
from safelight.text.site import Site

LABELS = ["O", "B-PATIENT", "I-PATIENT", "B-HOSP"]
WORDS = {"[UNK]": 0, "Hazel": 1, "Grove": 2, "Ashgrove": 3}


def export(folder: Path, *, labels: list[str] = LABELS, weights: str = "model.onnx") -> Path:
    """Write what an exporter writes: each known word has one label, and every other none."""
    folder.mkdir()
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"id2label": dict(enumerate(labels)), "max_position_embeddings": 16}
    (folder / "config.json").write_text(json.dumps(config))
    table = numpy_helper.from_array(9 * np.eye(len(WORDS), dtype=np.float32), "table")
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, None])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, None, len(WORDS)])
    node = helper.make_node("Gather", ["table", "input_ids"], ["logits"])
    graph = helper.make_graph([node], "tiny", [ids], [logits], [table])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / weights).parent.mkdir(exist_ok=True)
    onnx.save(model, str(folder / weights))
    return folder


@pytest.mark.parametrize("weights", ["model.onnx", "onnx/model.onnx"])
def test_the_transformer_of_a_hospital_is_used(tmp_path: Path, weights: str) -> None:
    folder = export(tmp_path / "model", weights=weights)
    (model,) = load_models([f"folder:{folder}"])
    text = "then Hazel Grove left Ashgrove"
    assert model.find(text, [5]) == [(5, 16, "CLINICIAN_NAME"), (22, 30, "HOSPITAL")]
    known, note = KnownIdentifiers(mrn="NGH123456"), "In the afternoon Hazel left the ward."
    for ner, expected in (((), note), ((f"folder:{folder}",), note.replace("Hazel", "[CLINICIAN_1]"))):
        clean = TextDeidentifier(Site(), ner=ner).deidentify(note, known, dates="shift", shift_days=5)
        assert (clean.text, clean.problems) == (expected, ())


def test_every_part_of_a_long_text_is_seen_and_nothing_far_from_a_question(tmp_path: Path) -> None:
    model = OnnxModel(export(tmp_path / "model"))
    text = "filler word " * 200 + "Hazel " + "filler word " * 200
    at = text.index("Hazel")
    assert model.find(text, [at]) == [(at, at + 5, "CLINICIAN_NAME")]
    assert model.find(text, [0]) == []
    everywhere = "Hazel stays " * 300
    found = model.find(everywhere, range(len(everywhere)))
    assert [start for start, _, _ in found] == [i for i in range(len(everywhere)) if everywhere.startswith("Hazel", i)]


def test_another_model_is_another_configuration(tmp_path: Path) -> None:
    one, two = export(tmp_path / "one"), export(tmp_path / "two", labels=["O", "B-PER", "I-PER", "B-LOC"])
    assert OnnxModel(one).fingerprint == OnnxModel(one).fingerprint != OnnxModel(two).fingerprint


@pytest.mark.parametrize("spoil", ["config.json", "tokenizer.json", "model.onnx"])
def test_a_folder_with_something_missing_or_broken_is_a_clear_error(tmp_path: Path, spoil: str) -> None:
    folder = export(tmp_path / "model")
    (folder / spoil).write_bytes(b"not what it was")
    with pytest.raises(ModelUnavailable, match="model can't be loaded"):
        OnnxModel(folder)
    (folder / spoil).unlink()
    with pytest.raises(ModelUnavailable, match="model can't be loaded"):
        load_models([f"folder:{folder}"])


def test_labels_that_name_nobody_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="No label"):
        OnnxModel(export(tmp_path / "model", labels=["O", "B-DRUG", "I-DRUG", "B-DOSE"]))


def test_the_packaged_model_finds_names_without_capitals() -> None:
    (model,) = load_models(["onnx"])
    text = "seen today with margaret thatcher, who agrees."
    assert (text.index("margaret"), text.index(", who"), "CLINICIAN_NAME") in model.find(text, [16])


def test_a_packaged_model_that_is_not_the_measured_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    package, place, digests = onnx_ner.PINNED_ONNX
    for name in digests:
        monkeypatch.setattr(onnx_ner, "PINNED_ONNX", (package, place, digests | {name: "0" * 64}))
        with pytest.raises(ModelUnavailable, match="not the one that was measured"):
            load_models(["onnx"])
    monkeypatch.setattr(onnx_ner, "PINNED_ONNX", ("no_such_package_of_ours", place, digests))
    with pytest.raises(ModelUnavailable, match="not installed"):
        load_models(["onnx"])


def test_without_the_optional_runtime_the_start_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = export(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelUnavailable, match="not installed") as refused:
        OnnxModel(folder)
    assert "requirements-models.txt" in str(refused.value)


def test_the_packaged_model_works_from_a_copy_in_a_folder(tmp_path: Path) -> None:
    folder, _ = onnx_ner._pinned_folder()
    copy = shutil.copytree(folder, tmp_path / "copy")
    text = "Handed over to Ngozi Adeyemi."
    assert load_models([f"folder:{copy}"])[0].find(text, [20]) == load_models(["onnx"])[0].find(text, [20])
