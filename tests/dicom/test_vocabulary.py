"""What devices write about themselves stays, what people type into the same elements does not."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from safelight.dicom import DeidEngine
from safelight.dicom.vocabulary import MOST_DIGITS_OF_TERMS, Vocabulary, known_terms, known_words
from safelight.dicom.vr import CHECKS
from safelight.profile import load_profile, profile_names
from safelight.pseudonym import Pseudonymizer
from tests.dicom.conftest import PROFILES
from tests.dicom.encoding import Item, sequence, text
from tests.dicom.hard import MARK, Maker, put

Check = Callable[[bytes], bytes | None]
DEVICES = (
    """
SIEMENS|GE MEDICAL SYSTEMS|Philips Medical Systems|TOSHIBA|Canon Medical Systems|FUJIFILM Corporation|Hologic, Inc.|Marconi
Carestream Health|Varian Medical Systems|BrainLAB|AGFA|Kodak DR 7500|Imatron|Brilliance 64|Optima CT660|LightSpeed VCT
SOMATOM Definition AS+|Aquilion ONE|Ingenuity Core 128|Discovery MR750w|MAGNETOM Skyra|Prisma_fit|TrioTim|Biograph 64_mCT
iE33|EPIQ 7C|LOGIQ E9|Selenia Dimensions|DRX-Evolution|NM/CT 870|GEMINI TF TOF 16|Revolution CT|uCT 780|syngo MR B17
syngo MR E11|syngo CT 2012B|VE11C|VA30A_01P03|12.0_M5A|DV25.0_R02_1549.b|4.1.3.5|PETsyngo 4.0|B30f|H31s|Br40d|FC10|STANDARD
BONEPLUS|tfl3d1_16ns|*fl2d1|*tse2d1_15|epfid2d1_64|spc3d1rs282ns|*ep_b0|HEAD 24|8HRBRAIN|C-GE_HNS Head|HEA;HEP|SP1-8
T:HC1-7|Q-BODY|SENSE-Head-8|Body 18|SENSE-XL-Torso
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
TERMS = """
AXIAL|FM3_2|CT_SOM5 SPI|FAST_GEMS|HELICAL_CT|SAT_GEMS|DIS2D|MFSPLIT|CSA MPR|ISO_10918_1|ISO_14496_10|BQML|TRACEW|FFDL|M_FFE
AP|R_IR|VASCTOF_GEMS|T2_STAR|TIME_OF_FLIGHT|FILTERED|1H|129XE|RTSTRUCT|WHOLE BODY|MULTIPLE_PLANAR|3D_RENDERING|OTHER
"""
NAMES = (b"SMITH JOHN", b"LEE", b"KIM", b"WANG", b"NGUYEN_V", b"ZQX", b"ZQX1234", b"A12345B", b"12 34 567", b"MUELLER_19")


@pytest.fixture(scope="module")
def device_text() -> Check:
    rules = load_profile(PROFILES, "research").dicom
    return known_words(Vocabulary(rules.words | rules.devices, unlisted=1), CHECKS[b"LO"])


@pytest.fixture(scope="module")
def code_string() -> Check:
    rules = load_profile(PROFILES, "research").dicom
    vocabulary = Vocabulary(rules.words | rules.terms, unlisted=2, digits=MOST_DIGITS_OF_TERMS)
    return known_terms(vocabulary, CHECKS[b"CS"])


def test_texts_of_real_devices_are_the_same_object(device_text: Check) -> None:
    assert [shown for shown in DEVICES if device_text(raw := shown.encode()) is not raw] == []


@pytest.mark.parametrize(
    ("typed", "stays"),
    [
        (b"SIEMENS Zqx0042", b"SIEMENS"),
        (b"Zqx\\SIEMENS", b"\\SIEMENS"),
        (b"Zebulon Quartermain", None),
        (b"Quartermain^Zebulon", None),
        ("Münster 64".encode("latin-1"), b"64"),
        ("王 Brilliance".encode("gb18030"), b"Brilliance"),
        (b"Zqx Brilliance\x81", b"Brilliance"),
        (b"MRN 12345678", None),
        (b"Avanto 13.03.1947", b"Avanto"),
        (b"Avanto 1947-03-13", b"Avanto"),
        (b"10.0.0.12345", None),
        (b"tel 020 7946 0958", None),
        (b"A1B2C3D4", None),
        (b"ZQX12 Zqx_12 12Zqx", b"12"),
        (b"S M A L L", None),
        (b"Avanto S.M.A.L.L", b"Avanto"),
        (b"SW1A 1AA", None),
        (b"Avanto se1 7eh", b"Avanto"),
        (b"Avanto 95Y", b"Avanto"),
    ],
)
def test_what_is_typed_between_them_goes(device_text: Check, typed: bytes, stays: bytes | None) -> None:
    left = device_text(typed)
    assert left == stays
    if left is not None:
        assert device_text(left) is left


@pytest.mark.parametrize(
    ("typed", "stays"),
    [
        ("95 YEARS", ""),
        ("101 YEARS", ""),
        ("101 year old", ""),
        ("95Y", ""),
        ("095Y", ""),
        ("CHEST 95 YR", "CHEST"),
        ("CHEST_95yo_AP", "CHEST AP"),
        ("chest 95 y/o", "chest"),
        ("chest 90-95 yrs", "chest"),
        ("chest 95.5 years", "chest"),
        ("chest (95+ years)", "chest"),
        ("AGE: 095", ""),
        ("AGED_101 lung", "lung"),
        ("years 130", ""),
        ("A 99 year old with nodule", "with nodule"),
        ("chest 89 years", "chest 89 years"),
        ("chest 12 yr", "chest 12 yr"),
        ("089Y", "089Y"),
        ("Y90 liver", "Y90 liver"),
        ("Y-90 PET", "Y-90 PET"),
        ("IMAGE 95 AXIAL", "IMAGE 95 AXIAL"),
        ("chest 120 kV 100 mm", "chest 120 kV 100 mm"),
    ],
)
def test_an_age_from_90_on_is_told_by_no_description(typed: str, stays: str, research: DeidEngine, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(Maker(random.Random("age")).ct(**put(text(0x0008103E, "LO", typed))))
    for folder in ("once", "twice"):
        after = pydicom.dcmread(research.deidentify(tmp_path / "in", tmp_path / folder).path)
        assert " ".join(after.get("SeriesDescription", "").replace("_", " ").split()) == stays


def test_code_strings_of_the_standard_and_of_vendors_stay(code_string: Check) -> None:
    values = [one.encode() for one in TERMS.replace("\n", "|").strip("|").split("|")]
    assert [value for value in values if code_string(value) is not value] == []
    assert code_string(b"ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI") == b"ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI"


def test_names_in_capitals_are_no_code_strings(code_string: Check) -> None:
    assert [code_string(name) for name in NAMES] == [None] * len(NAMES)
    assert code_string(b"ORIGINAL\\SMITH\\AXIAL") == b"ORIGINAL\\\\AXIAL"


@pytest.mark.parametrize("name", [name for name in profile_names(PROFILES) if name != "base"])
def test_no_shipped_profile_keeps_a_text_or_code_string_as_it_is_typed(
    name: str, pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    """A name in every element that can hold one, at the top and in an item, in the VR that the element has."""
    rules = load_profile(PROFILES, name).dicom
    maker = Maker(random.Random(name))
    modality = "CR" if name == "chest-xray" else "CT"
    sop_class = f"1.2.840.10008.5.1.4.1.1.{'1' if name == 'chest-xray' else '2'}"
    if name in ("mri", "us"):
        modality, sop_class = {"mri": ("MR", "1.2.840.10008.5.1.4.1.1.4"), "us": ("SR", "1.2.840.10008.5.1.4.1.1.88.33")}[
            name
        ]
    typed = MARK.upper()
    # These decide whether the instance comes out at all.
    skip = {0x00080005, 0x00080016, 0x00080060, 0x00080064, 0x00181016, 0x00280004}
    planted = [
        text(address.tag, address.vr(), typed)
        for address in rules.elements
        if address.vr() in {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"}
        and not address.creator
        and not address.repeating
        and address.tag not in skip
        and address.tag >> 16 < 0x7FE0
    ]
    assert len(planted) > 20
    inner = sequence(0x00081140, planted)
    elements = maker.elements(sop_class, modality, **put(*planted, inner, text(0x00100020, "LO", maker.mrn)))
    elements = [one for one in elements if one.tag < 0x7FE00010] + [Item(0x7FE00010, "OW", bytes(512))]
    (tmp_path / "in").write_bytes(maker.file(elements))
    result = DeidEngine(rules, pseudonymizer).deidentify(tmp_path / "in", tmp_path / "out")
    assert result.outcome == "written", result.reason
    data = Path(result.path).read_bytes()
    assert data.upper().count(typed.encode()) == 0
    assert pydicom.dcmread(result.path).ReferencedImageSequence


def test_a_site_adds_words_of_its_own(tmp_path: Path, pseudonymizer: Pseudonymizer) -> None:
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nextends: [base]\ndicom:\n  vocabularies: {devices: [Zqxray], terms: [Zqxterm]}\n"
    )
    engine = DeidEngine(load_profile(tmp_path, "mine", shared=PROFILES).dicom, pseudonymizer)
    maker = Maker(random.Random("site"))
    more = put(text(0x00080070, "LO", "ZQXRAY 12"), text(0x00080008, "CS", "ORIGINAL\\ZQXTERM"))
    (tmp_path / "in").write_bytes(maker.ct(**more))
    after = pydicom.dcmread(engine.deidentify(tmp_path / "in", tmp_path / "out").path)
    assert after.Manufacturer == "ZQXRAY 12"
    assert list(after.ImageType) == ["ORIGINAL", "ZQXTERM"]
