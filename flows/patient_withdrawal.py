"""Patient withdrawal: data of patients who do not take part any more comes back from wherever it went."""

from __future__ import annotations

from prefect import flow

from tasks.parameters import ProjectSlug, Pseudonym
from tasks.stages import report_stage
from tasks.withdrawal import take_back_data, withdraw_patient


@flow(name="patient-withdrawal", flow_run_name="patient-withdrawal-{project}")
def patient_withdrawal(project: ProjectSlug, pseudonym: Pseudonym = "") -> dict[str, int]:
    """Take data out of lake, destinations, work folder and raw cache, and say what could not be. Again changes nothing.

    Args:
        project: the project that the patient takes no part in any more; its approval may have ended.
        pseudonym: of the patient who withdrew. None: of everybody who opted out after the export.
    """
    return report_stage(project, "withdrawal", [withdraw_patient(project, pseudonym), take_back_data(project)])
