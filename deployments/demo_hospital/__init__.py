"""A synthetic hospital on loopback: two DICOM archives, extracts, a patient record, reports, an opt-out answer."""

from deployments.demo_hospital.canaries import Canaries
from deployments.demo_hospital.expectations import Expected
from deployments.demo_hospital.hospital import ArchiveAddress, Hospital, build_hospital

__all__ = ["ArchiveAddress", "Canaries", "Expected", "Hospital", "build_hospital"]
