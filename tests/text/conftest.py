"""What the tests of texts share: a hospital, and de-identifiers that are built once."""

from __future__ import annotations

from datetime import date

import pytest

from safelight.model import KnownIdentifiers
from safelight.text.deidentifier import TextDeidentifier
from safelight.text.site import Directory, Site, StaffMember


@pytest.fixture(scope="session")
def a_site() -> Site:
    """An invented hospital."""
    staff = (
        StaffMember(title="Dr", given="Petra", surname="Ionescu"),
        StaffMember(title="Mr", given="Neville", surname="May"),
        StaffMember(title="Dr", given="Oleksandr", surname="Novák"),
    )
    return Site(Directory(home_hospital="Fairmead Hospital", home_aliases=("Fairmead",), staff=staff))


@pytest.fixture(scope="session")
def deidentifier(a_site: Site) -> TextDeidentifier:
    """With the packaged language model."""
    return TextDeidentifier(a_site)


@pytest.fixture(scope="session")
def a_patient() -> KnownIdentifiers:
    """A patient whose surname is an everyday word."""
    return KnownIdentifiers(
        mrn="NGH123456",
        nhs_number="9434765919",
        given="Christopher",
        surname="Long",
        previous_surname="Tierney",
        title="Mr",
        dob=date(1950, 3, 4),
        study_date=date(2024, 3, 5),
        accession="CT-2024-123456",
        address={"line1": "12 Mill Lane", "town": "Reading", "postcode": "RG1 4ND"},
        phone="07700 900123",
        gp={"name": "Dr Anne Head", "practice": "The Oaks Surgery"},
        referrer="Mr Neville May",
        hospital="Fairmead Hospital",
    )
