//! The FHIR R4 resources of a history, each wrapped as a transaction entry.

use rand::Rng;
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};

use super::catalogue::{CHECK_UP, Coded, Complaint, Finding, Setting, VACCINES};
use super::{FIRST_YEAR, MINUTES_A_DAY, Organisation, Person, new_url, pick};

const SNOMED: &str = "http://snomed.info/sct";
const LOINC: &str = "http://loinc.org";
const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
const CVX: &str = "http://hl7.org/fhir/sid/cvx";
const UCUM: &str = "http://unitsofmeasure.org";

/// How long a visit takes.
const VISIT_MINUTES: u32 = 30;

/// An encounter in the making. `moment` is in minutes since the start of [`FIRST_YEAR`], UTC.
pub(super) struct Visit<'a> {
    pub(super) moment: u32,
    pub(super) organisation: &'a Organisation,
}

impl Visit<'_> {
    /// Measurements, and often a vaccine.
    pub(super) fn check_up(&self, rng: &mut ChaCha20Rng, person: &Person) -> Vec<Value> {
        let url = new_url(rng);
        let mut entries = vec![self.encounter(&url, person, Setting::Ambulatory, CHECK_UP, None)];
        entries.extend(self.vital_signs(rng, &url, person));
        if rng.gen_bool(0.6) {
            let vaccine = *pick(rng, VACCINES);
            entries.push(entry(
                &new_url(rng),
                json!({
                    "resourceType": "Immunization",
                    "status": "completed",
                    "vaccineCode": concept(CVX, vaccine),
                    "patient": {"reference": person.url},
                    "encounter": {"reference": url},
                    "occurrenceDateTime": instant(self.moment),
                    "primarySource": true,
                }),
            ));
        }
        entries
    }

    /// A diagnosis, what was measured, and what was prescribed.
    pub(super) fn for_complaint(
        &self,
        rng: &mut ChaCha20Rng,
        person: &Person,
        complaint: &Complaint,
    ) -> Vec<Value> {
        let url = new_url(rng);
        let condition_url = new_url(rng);
        let setting = complaint.setting;
        let reason = Some(complaint.condition);
        let mut entries = vec![self.encounter(&url, person, setting, setting.visit(), reason)];
        entries.push(entry(&condition_url, json!({
            "resourceType": "Condition",
            "clinicalStatus": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active",
            }]},
            "verificationStatus": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed",
            }]},
            "code": concept(SNOMED, complaint.condition),
            "subject": {"reference": person.url},
            "encounter": {"reference": url},
            "onsetDateTime": instant(self.moment),
            "recordedDate": instant(self.moment),
        })));
        for finding in complaint.findings {
            let value = quantity(rng, finding);
            let body = json!({"code": concept(LOINC, finding.code), "valueQuantity": value});
            entries.push(self.observation(rng, &url, person, "laboratory", &body));
        }
        if let Some(medication) = complaint.medication {
            entries.push(entry(
                &new_url(rng),
                json!({
                    "resourceType": "MedicationRequest",
                    "status": "active",
                    "intent": "order",
                    "medicationCodeableConcept": concept(RXNORM, medication),
                    "subject": {"reference": person.url},
                    "encounter": {"reference": url},
                    "authoredOn": instant(self.moment),
                    "requester": {"reference": self.organisation.practitioner_url},
                    "reasonReference": [{"reference": condition_url}],
                }),
            ));
        }
        entries
    }

    fn encounter(
        &self,
        url: &str,
        person: &Person,
        setting: Setting,
        kind: Coded,
        reason: Option<Coded>,
    ) -> Value {
        let (class, display) = setting.class();
        let mut encounter = json!({
            "resourceType": "Encounter",
            "status": "finished",
            "class": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": class,
                "display": display,
            },
            "type": [concept(SNOMED, kind)],
            "subject": {"reference": person.url, "display": person.full_name()},
            "participant": [{"individual": {"reference": self.organisation.practitioner_url}}],
            "period": {"start": instant(self.moment), "end": instant(self.moment + VISIT_MINUTES)},
            "serviceProvider": {"reference": self.organisation.url, "display": self.organisation.name},
        });
        if let Some(reason) = reason {
            encounter["reasonCode"] = json!([concept(SNOMED, reason)]);
        }
        entry(url, encounter)
    }

    fn vital_signs(&self, rng: &mut ChaCha20Rng, encounter: &str, person: &Person) -> Vec<Value> {
        let weight = person.weight_kg + rng.gen_range(0..=6);
        let square_metres = f64::from(person.height_cm * person.height_cm) / 10_000.0;
        let index = (f64::from(weight) / square_metres * 10.0).round() / 10.0;
        let pressure = json!([
            {"code": concept(LOINC, ("8480-6", "Systolic Blood Pressure")),
             "valueQuantity": measured(json!(rng.gen_range(100..=165)), "mm[Hg]")},
            {"code": concept(LOINC, ("8462-4", "Diastolic Blood Pressure")),
             "valueQuantity": measured(json!(rng.gen_range(60..=100)), "mm[Hg]")},
        ]);
        let smoking = if person.smokes {
            ("77176002", "Smoker (finding)")
        } else {
            ("266919005", "Never smoker")
        };
        let bodies = [
            (
                "vital-signs",
                json!({
                    "code": concept(LOINC, ("8302-2", "Body Height")),
                    "valueQuantity": measured(json!(person.height_cm), "cm"),
                }),
            ),
            (
                "vital-signs",
                json!({
                    "code": concept(LOINC, ("29463-7", "Body Weight")),
                    "valueQuantity": measured(json!(weight), "kg"),
                }),
            ),
            (
                "vital-signs",
                json!({
                    "code": concept(LOINC, ("39156-5", "Body Mass Index")),
                    "valueQuantity": measured(json!(index), "kg/m2"),
                }),
            ),
            (
                "vital-signs",
                json!({
                    "code": concept(LOINC, ("55284-4", "Blood Pressure")),
                    "component": pressure,
                }),
            ),
            (
                "survey",
                json!({
                    "code": concept(LOINC, ("72166-2", "Tobacco smoking status NHIS")),
                    "valueCodeableConcept": concept(SNOMED, smoking),
                }),
            ),
        ];
        bodies
            .iter()
            .map(|(category, body)| self.observation(rng, encounter, person, category, body))
            .collect()
    }

    /// An Observation with the members of `body` in addition.
    fn observation(
        &self,
        rng: &mut ChaCha20Rng,
        encounter: &str,
        person: &Person,
        category: &str,
        body: &Value,
    ) -> Value {
        let mut observation = json!({
            "resourceType": "Observation",
            "status": "final",
            "category": [{"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": category,
            }]}],
            "subject": {"reference": person.url},
            "encounter": {"reference": encounter},
            "effectiveDateTime": instant(self.moment),
            "issued": instant(self.moment),
        });
        for (member, value) in body.as_object().into_iter().flatten() {
            observation[member.as_str()] = value.clone();
        }
        entry(&new_url(rng), observation)
    }
}

impl Person {
    fn full_name(&self) -> String {
        format!("{} {}", self.given, self.family)
    }

    pub(super) fn entry(&self) -> Value {
        entry(
            &self.url,
            json!({
                "resourceType": "Patient",
                "identifier": [{"system": "urn:ietf:rfc:3986", "value": self.url}],
                "name": [{"use": "official", "family": self.family, "given": [self.given]}],
                "gender": self.gender,
                "birthDate": self.birth_date,
            }),
        )
    }
}

impl Organisation {
    pub(super) fn entries(&self) -> [Value; 2] {
        let (given, family) = &self.practitioner_name;
        [
            entry(
                &self.url,
                json!({
                    "resourceType": "Organization",
                    "active": true,
                    "type": [concept("http://terminology.hl7.org/CodeSystem/organization-type",
                        ("prov", "Healthcare Provider"))],
                    "name": self.name,
                }),
            ),
            entry(
                &self.practitioner_url,
                json!({
                    "resourceType": "Practitioner",
                    "active": true,
                    "name": [{"family": family, "given": [given], "prefix": ["Dr."]}],
                }),
            ),
        ]
    }
}

/// Wraps a resource; its id is the UUID of its full URL.
fn entry(url: &str, resource: Value) -> Value {
    let kind = resource["resourceType"].clone();
    let id = url.trim_start_matches("urn:uuid:");
    let mut named = json!({"resourceType": kind, "id": id});
    for (member, value) in resource.as_object().into_iter().flatten() {
        named[member.as_str()] = value.clone();
    }
    json!({"fullUrl": url, "resource": named, "request": {"method": "POST", "url": kind}})
}

fn concept(system: &str, (code, display): Coded) -> Value {
    json!({"coding": [{"system": system, "code": code, "display": display}], "text": display})
}

fn measured(value: Value, unit: &str) -> Value {
    json!({"value": value, "unit": unit, "system": UCUM, "code": unit})
}

/// A value in the finding's range, to a tenth.
fn quantity(rng: &mut ChaCha20Rng, finding: &Finding) -> Value {
    let tenths = rng.gen_range(finding.low * 10..=finding.high * 10);
    measured(json!(f64::from(tenths) / 10.0), finding.unit)
}

/// RFC 3339, from minutes since the start of [`FIRST_YEAR`].
fn instant(minutes: u32) -> String {
    let (year, month, day) = calendar(minutes / MINUTES_A_DAY);
    let minute = minutes % MINUTES_A_DAY;
    format!(
        "{year}-{month:02}-{day:02}T{:02}:{:02}:00+00:00",
        minute / 60,
        minute % 60
    )
}

/// The date so many days after the first of January of [`FIRST_YEAR`], in the ten years that follow.
pub(super) fn calendar(days: u32) -> (u32, u32, u32) {
    let is_leap = |year: u32| matches!(year, 2016 | 2020 | 2024);
    let (mut year, mut rest) = (FIRST_YEAR, days);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if rest < length {
            break;
        }
        rest -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}
