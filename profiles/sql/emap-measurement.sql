-- Laboratory results of EMAP's star schema as the CDM's table measurement (PostgreSQL).
-- person_id is EMAP's id of the MRN that is live now, so that merged patients are one person.
SELECT
    result.lab_result_id AS measurement_id,
    live.live_mrn_id AS person_id,
    0 AS measurement_concept_id, -- EMAP maps no standard concepts
    CAST(result.result_last_modified_datetime AS date) AS measurement_date,
    result.result_last_modified_datetime AS measurement_datetime,
    0 AS measurement_type_concept_id,
    result.value_as_real AS value_as_number,
    result.range_low,
    result.range_high,
    lab_order.hospital_visit_id AS visit_occurrence_id,
    definition.test_lab_code AS measurement_source_value,
    result.units AS unit_source_value
FROM star.lab_result AS result
INNER JOIN star.lab_order AS lab_order ON result.lab_order_id = lab_order.lab_order_id
INNER JOIN star.lab_sample AS sample ON lab_order.lab_sample_id = sample.lab_sample_id
INNER JOIN star.lab_test_definition AS definition ON result.lab_test_definition_id = definition.lab_test_definition_id
INNER JOIN star.mrn_to_live AS live ON sample.mrn_id = live.mrn_id
