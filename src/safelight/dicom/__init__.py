"""DICOM instances: what may come out of them, byte by byte, and the proof that nothing else did."""

from safelight.dicom.engine import DeidEngine
from safelight.dicom.filters import ImageFilters, SeriesFilter
from safelight.dicom.rules import DicomRules
from safelight.dicom.verification import Finding, verify_file

__all__ = ["DeidEngine", "DicomRules", "Finding", "ImageFilters", "SeriesFilter", "verify_file"]
