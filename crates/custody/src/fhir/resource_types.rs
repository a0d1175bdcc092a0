//! The resource types of FHIR R4, and which of them can be searched.

/// All 146 resource types of FHIR R4 (4.0.1), in the order of [`str`]; from the official JSON schema.
const ALL: &[&str] = &[
    "Account",
    "ActivityDefinition",
    "AdverseEvent",
    "AllergyIntolerance",
    "Appointment",
    "AppointmentResponse",
    "AuditEvent",
    "Basic",
    "Binary",
    "BiologicallyDerivedProduct",
    "BodyStructure",
    "Bundle",
    "CapabilityStatement",
    "CarePlan",
    "CareTeam",
    "CatalogEntry",
    "ChargeItem",
    "ChargeItemDefinition",
    "Claim",
    "ClaimResponse",
    "ClinicalImpression",
    "CodeSystem",
    "Communication",
    "CommunicationRequest",
    "CompartmentDefinition",
    "Composition",
    "ConceptMap",
    "Condition",
    "Consent",
    "Contract",
    "Coverage",
    "CoverageEligibilityRequest",
    "CoverageEligibilityResponse",
    "DetectedIssue",
    "Device",
    "DeviceDefinition",
    "DeviceMetric",
    "DeviceRequest",
    "DeviceUseStatement",
    "DiagnosticReport",
    "DocumentManifest",
    "DocumentReference",
    "EffectEvidenceSynthesis",
    "Encounter",
    "Endpoint",
    "EnrollmentRequest",
    "EnrollmentResponse",
    "EpisodeOfCare",
    "EventDefinition",
    "Evidence",
    "EvidenceVariable",
    "ExampleScenario",
    "ExplanationOfBenefit",
    "FamilyMemberHistory",
    "Flag",
    "Goal",
    "GraphDefinition",
    "Group",
    "GuidanceResponse",
    "HealthcareService",
    "ImagingStudy",
    "Immunization",
    "ImmunizationEvaluation",
    "ImmunizationRecommendation",
    "ImplementationGuide",
    "InsurancePlan",
    "Invoice",
    "Library",
    "Linkage",
    "List",
    "Location",
    "Measure",
    "MeasureReport",
    "Media",
    "Medication",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationKnowledge",
    "MedicationRequest",
    "MedicationStatement",
    "MedicinalProduct",
    "MedicinalProductAuthorization",
    "MedicinalProductContraindication",
    "MedicinalProductIndication",
    "MedicinalProductIngredient",
    "MedicinalProductInteraction",
    "MedicinalProductManufactured",
    "MedicinalProductPackaged",
    "MedicinalProductPharmaceutical",
    "MedicinalProductUndesirableEffect",
    "MessageDefinition",
    "MessageHeader",
    "MolecularSequence",
    "NamingSystem",
    "NutritionOrder",
    "Observation",
    "ObservationDefinition",
    "OperationDefinition",
    "OperationOutcome",
    "Organization",
    "OrganizationAffiliation",
    "Parameters",
    "Patient",
    "PaymentNotice",
    "PaymentReconciliation",
    "Person",
    "PlanDefinition",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "Questionnaire",
    "QuestionnaireResponse",
    "RelatedPerson",
    "RequestGroup",
    "ResearchDefinition",
    "ResearchElementDefinition",
    "ResearchStudy",
    "ResearchSubject",
    "RiskAssessment",
    "RiskEvidenceSynthesis",
    "Schedule",
    "SearchParameter",
    "ServiceRequest",
    "Slot",
    "Specimen",
    "SpecimenDefinition",
    "StructureDefinition",
    "StructureMap",
    "Subscription",
    "Substance",
    "SubstanceNucleicAcid",
    "SubstancePolymer",
    "SubstanceProtein",
    "SubstanceReferenceInformation",
    "SubstanceSourceMaterial",
    "SubstanceSpecification",
    "SupplyDelivery",
    "SupplyRequest",
    "Task",
    "TerminologyCapabilities",
    "TestReport",
    "TestScript",
    "ValueSet",
    "VerificationResult",
    "VisionPrescription",
];

/// Who, where and how much, not what ailed the patient: never searched. A bundle is a container: it is opened.
const ADMINISTRATIVE: &[&str] = &[
    "Account",
    "AuditEvent",
    "Binary",
    "Bundle",
    "ChargeItem",
    "ChargeItemDefinition",
    "Claim",
    "ClaimResponse",
    "Coverage",
    "CoverageEligibilityRequest",
    "CoverageEligibilityResponse",
    "Endpoint",
    "EnrollmentRequest",
    "EnrollmentResponse",
    "ExplanationOfBenefit",
    "HealthcareService",
    "InsurancePlan",
    "Invoice",
    "Location",
    "MessageHeader",
    "OperationOutcome",
    "Organization",
    "OrganizationAffiliation",
    "Parameters",
    "Patient",
    "PaymentNotice",
    "PaymentReconciliation",
    "Person",
    "Practitioner",
    "PractitionerRole",
    "Provenance",
    "RelatedPerson",
    "Schedule",
    "Slot",
    "Subscription",
];

/// Whether `name` is a resource type of FHIR R4.
pub(crate) fn is_known(name: &str) -> bool {
    ALL.binary_search(&name).is_ok()
}

/// Whether a resource type is about persons, places, money or transport. Nothing inside such a resource is
/// indexed, and there is no `type:` keyword for it.
///
/// They are: Account, AuditEvent, Binary, Bundle (as such; its entries count), ChargeItem,
/// ChargeItemDefinition, Claim, ClaimResponse, Coverage, CoverageEligibilityRequest and -Response, Endpoint,
/// EnrollmentRequest and -Response, ExplanationOfBenefit, HealthcareService, InsurancePlan, Invoice, Location,
/// MessageHeader, OperationOutcome, Organization, OrganizationAffiliation, Parameters, Patient, PaymentNotice,
/// PaymentReconciliation, Person, Practitioner, PractitionerRole, Provenance, RelatedPerson, Schedule, Slot
/// and Subscription. Claims repeat the codes of the clinical resources they bill, so nothing is lost.
#[must_use]
pub fn is_administrative(name: &str) -> bool {
    ADMINISTRATIVE.binary_search(&name).is_ok()
}

/// The exact name of a clinical resource type, from a name in any case; `None` for what isn't one.
#[must_use]
pub fn searchable_type(name: &str) -> Option<&'static str> {
    ALL.iter()
        .copied()
        .find(|kind| kind.eq_ignore_ascii_case(name))
        .filter(|kind| !is_administrative(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_known() {
        assert!(ALL.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ADMINISTRATIVE.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ADMINISTRATIVE.iter().all(|kind| is_known(kind)));
        assert_eq!(ALL.len(), 146);
    }

    #[test]
    fn types_are_found_in_any_case() {
        assert_eq!(
            searchable_type("medicationrequest"),
            Some("MedicationRequest")
        );
        assert_eq!(searchable_type("Claim"), None);
        assert_eq!(searchable_type("Conditions"), None);
    }
}
