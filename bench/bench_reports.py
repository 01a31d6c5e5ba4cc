"""Reports: what is removed and what is kept, beside plain Presidio in the same run

Per cent of labelled identifiers removed (direct: those that name somebody by themselves; low: lower end of its 95 %
interval; all), of clinical terms and of other words kept, and of reports that leak anything; reports held for a person;
reports a second and core; peak memory in MB. Every system sees the same labelled reports, in a process of its own. They
are generated (``tests/text/second_corpus``, by another hand than the rules; REPORTS_SEED draws others); REPORTS_LABELLED and
REPORTS_SITE name a hospital's own set and site.json instead.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COUNT = 300
SEED = 31
Clean = Callable[[dict[str, Any]], tuple[str, bool]]


def main() -> list[dict[str, Any]]:
    """Measure every system; returns recall, what was kept, speed and peak memory."""
    return [_measure(name) for name in SYSTEMS]


def _measure(name: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.bench_reports", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {"what": name, **json.loads(done.stdout.splitlines()[-1])}


def _documents() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    labelled, site = os.environ.get("REPORTS_LABELLED"), os.environ.get("REPORTS_SITE")
    if labelled and site:
        lines = Path(labelled).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()], json.loads(Path(site).read_text(encoding="utf-8"))
    from tests.text.second_corpus import second_corpus

    return second_corpus(COUNT, seed=int(os.environ.get("REPORTS_SEED", SEED)))


def _safelight(site: dict[str, Any], ner: tuple[str, ...]) -> Clean:
    from safelight.model import KnownIdentifiers
    from safelight.text.deidentifier import TextDeidentifier
    from safelight.text.site import Directory, Site

    deidentifier = TextDeidentifier(Site(Directory.model_validate(site)), ner=ner)

    def clean(document: dict[str, Any]) -> tuple[str, bool]:
        known = KnownIdentifiers.model_validate(document["patient"])
        result = deidentifier.deidentify(document["text"], known, dates="shift", shift_days=-101)
        return result.text, bool(result.problems)

    return clean


def _presidio(site: dict[str, Any], *, told: bool) -> Clean:
    """Presidio as it comes, on the packaged language model; ``told``: with patient and staff as deny lists."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine, PatternRecognizer
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    from presidio_anonymizer import AnonymizerEngine

    from safelight.text.ner import pinned_folder

    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())  # it would fetch a list
    model = {"lang_code": "en", "model_name": str(pinned_folder()[0])}
    engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": [model]}).create_engine()
    analyzer, anonymizer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"]), AnonymizerEngine()
    staff = [name for member in site["staff"] for name in (member["given"], member["surname"])]

    def clean(document: dict[str, Any]) -> tuple[str, bool]:
        patient = document["patient"]
        names = [
            patient[key] for key in ("given", "surname", "previous_surname", "mrn", "accession", "phone") if patient[key]
        ]
        deny = [PatternRecognizer("PERSON", deny_list=[*staff, *names])] if told else []
        results = analyzer.analyze(document["text"], "en", ad_hoc_recognizers=deny)
        return anonymizer.anonymize(document["text"], results).text, False

    return clean


SYSTEMS: dict[str, Callable[[dict[str, Any]], Clean]] = {
    "Safelight": lambda site: _safelight(site, ("spacy",)),
    "Safelight, second model": lambda site: _safelight(site, ("spacy", "onnx")),
    "Safelight, rules only": lambda site: _safelight(site, ()),
    "plain Presidio": lambda site: _presidio(site, told=False),
    "Presidio told the names": lambda site: _presidio(site, told=True),
}


def _run(name: str) -> dict[str, Any]:
    from safelight.reports.scoring import score

    documents, site = _documents()
    clean = SYSTEMS[name](site)
    clean(documents[0])
    began = time.process_time()
    done = [clean(document) for document in documents]
    seconds = time.process_time() - began
    outputs = {
        str(document["id"]): {"text": text, "status": "quarantined" if held else "released"}
        for document, (text, held) in zip(documents, done, strict=True)
    }
    figures = score(outputs, documents).as_json()
    return {
        "n": len(documents),
        "direct": figures["recall_direct"]["percent"],
        "low": figures["recall_direct"]["low"],
        "all": figures["recall_all"]["percent"],
        "terms": figures["terms_kept"]["percent"],
        "words": figures["words_kept"]["percent"],
        "leaky": round(100 - figures["documents_without_leak"]["percent"], 1),
        "held": figures["quarantined"],
        "n/s": round(len(documents) / seconds, 1),
        "MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


if __name__ == "__main__":
    print(json.dumps(_run(sys.argv[1])))
