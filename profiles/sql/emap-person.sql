-- Demographics of EMAP's star schema as the CDM's table person (PostgreSQL).
-- person_id is EMAP's id of the MRN that is live now, so that merged patients are one person.
SELECT
    live.live_mrn_id AS person_id,
    CASE demographic.sex WHEN 'M' THEN 8507 WHEN 'F' THEN 8532 ELSE 0 END AS gender_concept_id,
    CAST(EXTRACT(YEAR FROM demographic.date_of_birth) AS integer) AS year_of_birth,
    0 AS race_concept_id,
    0 AS ethnicity_concept_id
FROM star.core_demographic AS demographic
INNER JOIN star.mrn_to_live AS live ON demographic.mrn_id = live.mrn_id
WHERE demographic.mrn_id = live.live_mrn_id
