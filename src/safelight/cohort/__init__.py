"""Cohorts: deliveries become requests, who opted out is excluded, and every row is accounted for."""

from safelight.cohort.csv_file import read_csv
from safelight.cohort.delivery import Delivery, ExtractInfo, delivery_names, open_delivery
from safelight.cohort.omop import read_omop_es
from safelight.cohort.opt_out import OptOutAnswer, read_opt_out_answer
from safelight.cohort.patient_record import read_patient_record

__all__ = [
    "Delivery",
    "ExtractInfo",
    "OptOutAnswer",
    "delivery_names",
    "open_delivery",
    "read_csv",
    "read_omop_es",
    "read_opt_out_answer",
    "read_patient_record",
]
