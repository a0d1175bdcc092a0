//! What patients come with: real codes, with the displays that their systems or Synthea give them.

/// A code and its display; the system is known from where it stands.
pub(super) type Coded = (&'static str, &'static str);

/// A measurement: LOINC code, UCUM unit, and the range it is drawn from.
pub(super) struct Finding {
    pub(super) code: Coded,
    pub(super) unit: &'static str,
    pub(super) low: u32,
    pub(super) high: u32,
}

/// Why a patient comes, and what is done about it.
pub(super) struct Complaint {
    /// SNOMED CT.
    pub(super) condition: Coded,
    pub(super) setting: Setting,
    /// RxNorm.
    pub(super) medication: Option<Coded>,
    pub(super) findings: &'static [Finding],
}

/// Where a complaint is seen.
#[derive(Clone, Copy)]
pub(super) enum Setting {
    Ambulatory,
    Emergency,
    Inpatient,
}

impl Setting {
    /// Code of HL7 v3 ActCode, and display.
    pub(super) fn class(self) -> Coded {
        match self {
            Self::Ambulatory => ("AMB", "ambulatory"),
            Self::Emergency => ("EMER", "emergency"),
            Self::Inpatient => ("IMP", "inpatient encounter"),
        }
    }

    /// SNOMED CT.
    pub(super) fn visit(self) -> Coded {
        match self {
            Self::Ambulatory => ("185347001", "Encounter for problem"),
            Self::Emergency => ("50849002", "Emergency room admission (procedure)"),
            Self::Inpatient => ("183452005", "Encounter Inpatient"),
        }
    }
}

/// SNOMED CT.
pub(super) const CHECK_UP: Coded = ("185349003", "Encounter for check up (procedure)");

const fn finding(code: Coded, unit: &'static str, low: u32, high: u32) -> Finding {
    Finding {
        code,
        unit,
        low,
        high,
    }
}

const fn complaint(
    condition: Coded,
    setting: Setting,
    medication: Option<Coded>,
    findings: &'static [Finding],
) -> Complaint {
    Complaint {
        condition,
        setting,
        medication,
        findings,
    }
}

const TEMPERATURE: Finding = finding(("8331-1", "Oral temperature"), "Cel", 36, 40);
const A1C: Finding = finding(
    ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
    "%",
    4,
    11,
);
const GLUCOSE: Finding = finding(("2339-0", "Glucose"), "mg/dL", 65, 220);
const CHOLESTEROL: Finding = finding(("2093-3", "Total Cholesterol"), "mg/dL", 140, 310);
const TRIGLYCERIDES: Finding = finding(("2571-8", "Triglycerides"), "mg/dL", 80, 400);
const LDL: Finding = finding(
    ("18262-6", "Low Density Lipoprotein Cholesterol"),
    "mg/dL",
    60,
    210,
);
const HEMOGLOBIN: Finding = finding(
    ("718-7", "Hemoglobin [Mass/volume] in Blood"),
    "g/dL",
    8,
    17,
);
const CREATININE: Finding = finding(("38483-4", "Creatinine"), "mg/dL", 1, 4);
const BNP: Finding = finding(("33762-6", "NT-proBNP"), "pg/mL", 100, 4000);
const EJECTION: Finding = finding(
    ("10230-1", "Left ventricular Ejection fraction"),
    "%",
    20,
    60,
);
const PAIN: Finding = finding(
    (
        "72514-3",
        "Pain severity - 0-10 verbal numeric rating [Score] - Reported",
    ),
    "{score}",
    1,
    9,
);
const MMSE: Finding = finding(("72106-8", "Total score [MMSE]"), "{score}", 8, 29);

/// SNOMED CT conditions, with RxNorm medications and LOINC findings.
pub(super) const COMPLAINTS: &[Complaint] = &[
    complaint(
        ("38341003", "Hypertension"),
        Setting::Ambulatory,
        Some(("316049", "Hydrochlorothiazide 25 MG")),
        &[CREATININE],
    ),
    complaint(
        ("44054006", "Diabetes"),
        Setting::Ambulatory,
        Some((
            "860975",
            "24 HR Metformin hydrochloride 500 MG Extended Release Oral Tablet",
        )),
        &[A1C, GLUCOSE],
    ),
    complaint(
        ("15777000", "Prediabetes"),
        Setting::Ambulatory,
        None,
        &[A1C],
    ),
    complaint(
        ("195967001", "Asthma"),
        Setting::Ambulatory,
        Some((
            "745679",
            "200 ACTUAT Albuterol 0.09 MG/ACTUAT Metered Dose Inhaler",
        )),
        &[],
    ),
    complaint(
        ("13645005", "Chronic obstructive lung disease (disorder)"),
        Setting::Ambulatory,
        Some((
            "896209",
            "60 ACTUAT Fluticasone propionate 0.25 MG/ACTUAT / salmeterol 0.05 MG/ACTUAT Dry Powder Inhaler",
        )),
        &[],
    ),
    complaint(
        ("10509002", "Acute bronchitis (disorder)"),
        Setting::Ambulatory,
        Some(("313782", "Acetaminophen 325 MG Oral Tablet")),
        &[TEMPERATURE],
    ),
    complaint(
        ("444814009", "Viral sinusitis (disorder)"),
        Setting::Ambulatory,
        None,
        &[],
    ),
    complaint(
        ("195662009", "Acute viral pharyngitis (disorder)"),
        Setting::Ambulatory,
        None,
        &[TEMPERATURE],
    ),
    complaint(
        ("43878008", "Streptococcal sore throat (disorder)"),
        Setting::Ambulatory,
        Some(("834102", "Penicillin V Potassium 500 MG Oral Tablet")),
        &[TEMPERATURE],
    ),
    complaint(
        ("65363002", "Otitis media"),
        Setting::Ambulatory,
        Some(("308192", "Amoxicillin 500 MG Oral Tablet")),
        &[TEMPERATURE],
    ),
    complaint(
        ("55822004", "Hyperlipidemia"),
        Setting::Ambulatory,
        Some(("312961", "Simvastatin 20 MG Oral Tablet")),
        &[CHOLESTEROL, TRIGLYCERIDES, LDL],
    ),
    complaint(
        ("38822007", "Cystitis"),
        Setting::Ambulatory,
        Some(("311989", "Nitrofurantoin 5 MG/ML Oral Suspension")),
        &[],
    ),
    complaint(
        ("239873007", "Osteoarthritis of knee"),
        Setting::Ambulatory,
        Some(("849574", "Naproxen sodium 220 MG Oral Tablet")),
        &[PAIN],
    ),
    complaint(
        ("69896004", "Rheumatoid arthritis"),
        Setting::Ambulatory,
        Some(("105586", "Methotrexate 10 MG Oral Tablet")),
        &[PAIN],
    ),
    complaint(
        ("83901003", "Sj\u{f6}gren's syndrome (disorder)"),
        Setting::Ambulatory,
        None,
        &[],
    ),
    complaint(
        ("13445001", "M\u{e9}ni\u{e8}re's disease (disorder)"),
        Setting::Ambulatory,
        None,
        &[],
    ),
    complaint(
        (
            "124171000119105",
            "Chronic intractable migraine without aura",
        ),
        Setting::Ambulatory,
        Some(("198014", "Naproxen 500 MG Oral Tablet")),
        &[PAIN],
    ),
    complaint(
        ("49436004", "Atrial Fibrillation"),
        Setting::Ambulatory,
        Some(("855332", "Warfarin Sodium 5 MG Oral Tablet")),
        &[],
    ),
    complaint(
        ("88805009", "Chronic congestive heart failure (disorder)"),
        Setting::Inpatient,
        Some(("1719286", "10 ML Furosemide 10 MG/ML Injection")),
        &[BNP, EJECTION],
    ),
    complaint(
        ("271737000", "Anemia (disorder)"),
        Setting::Ambulatory,
        Some(("310325", "ferrous sulfate 325 MG Oral Tablet")),
        &[HEMOGLOBIN],
    ),
    complaint(
        ("83664006", "Idiopathic atrophic hypothyroidism"),
        Setting::Ambulatory,
        Some(("966222", "Levothyroxine Sodium 0.075 MG Oral Tablet")),
        &[],
    ),
    complaint(
        ("64859006", "Osteoporosis (disorder)"),
        Setting::Ambulatory,
        Some(("904419", "Alendronic acid 10 MG Oral Tablet")),
        &[],
    ),
    complaint(
        ("26929004", "Alzheimer's disease (disorder)"),
        Setting::Ambulatory,
        Some(("310436", "Galantamine 4 MG Oral Tablet")),
        &[MMSE],
    ),
    complaint(
        ("68496003", "Polyp of colon"),
        Setting::Ambulatory,
        None,
        &[],
    ),
    complaint(
        ("74400008", "Appendicitis"),
        Setting::Emergency,
        None,
        &[TEMPERATURE, PAIN],
    ),
    complaint(
        ("16114001", "Fracture of ankle"),
        Setting::Emergency,
        Some(("861467", "Meperidine Hydrochloride 50 MG Oral Tablet")),
        &[PAIN],
    ),
    complaint(
        ("62106007", "Concussion with no loss of consciousness"),
        Setting::Emergency,
        None,
        &[],
    ),
];

/// CVX.
pub(super) const VACCINES: &[Coded] = &[
    ("140", "Influenza, seasonal, injectable, preservative free"),
    ("113", "Td (adult) preservative free"),
    ("121", "zoster"),
    ("133", "Pneumococcal conjugate PCV 13"),
    ("33", "pneumococcal polysaccharide vaccine, 23 valent"),
    ("52", "Hep A, adult"),
    ("43", "Hep B, adult"),
    ("114", "meningococcal MCV4P"),
];

pub(super) const FEMALE_NAMES: &[&str] = &[
    "Adela",
    "Bronwen",
    "Chiara",
    "Dorothea",
    "Elif",
    "Fatoumata",
    "Greta",
    "Helena",
    "Ingrid",
    "Jadwiga",
    "Keiko",
    "Leila",
    "Mairead",
    "Nadezhda",
    "Odile",
    "Priya",
    "Rosal\u{ed}a",
    "Siobh\u{e1}n",
    "Thandiwe",
    "Yara",
    "Zo\u{eb}",
];

pub(super) const MALE_NAMES: &[&str] = &[
    "Alasdair",
    "Bogdan",
    "Cem",
    "Dmitri",
    "Emeka",
    "Fran\u{e7}ois",
    "Gustav",
    "Hiroshi",
    "Imre",
    "Jo\u{e3}o",
    "Kofi",
    "Luka",
    "Matteo",
    "Nils",
    "Ole",
    "Pedro",
    "Rafael",
    "S\u{f8}ren",
    "Tariq",
    "Viktor",
    "Wim",
];

pub(super) const FAMILY_NAMES: &[&str] = &[
    "Abernathy",
    "Bianchi",
    "Castellanos",
    "Dvo\u{159}\u{e1}k",
    "Eriksen",
    "Fofana",
    "Garc\u{ed}a",
    "Hashimoto",
    "Ivanova",
    "Jankowski",
    "Kowalczyk",
    "Lindqvist",
    "M\u{fc}ller",
    "Nowak",
    "Okonkwo",
    "Papadopoulos",
    "Quispe",
    "Rasmussen",
    "Szab\u{f3}",
    "Takahashi",
    "Uzun",
    "Vermeulen",
    "Wierzbicki",
    "Yilmaz",
    "Zubkova",
];
