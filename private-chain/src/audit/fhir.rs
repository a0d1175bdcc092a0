//! Entries as FHIR R4 `AuditEvent`, in the minimal pattern of IHE BALP (Basic Audit Log Patterns).
//!
//! `recorded` is the entry's time, which is also what a search by `date` goes by; the block's time stands with the
//! place on the chain. The patient is an identifier, never a name that this system gave; whatever FHIR asks for and
//! an entry does not say is left out.

use super::columns::subject_kind;
use super::entry::{Action, Actor, AuditEntry, Outcome, Resource, Subject};
use super::filter::AuditRow;
use super::known::Known;
use super::sealed::BatchId;
use serde_json::{Map, Value, json};

const EVENT_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const RESTFUL: &str = "http://hl7.org/fhir/restful-interaction";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const ENTITY_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const PURPOSE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const BALP_ENTITY: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
/// Code systems and identifiers of this system.
const OWN: &str = "urn:caduceus";

/// What kind of Bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleKind {
    /// Entries that were exported.
    Collection,
    /// The answer to a search.
    Searchset {
        /// Entries that fit, where that is known.
        total: Option<u64>,
        /// Relations and addresses: `self`, `next`.
        links: Vec<(String, String)>,
    },
}

/// A Bundle of AuditEvents.
pub fn bundle(rows: &[AuditRow], known: &Known, kind: &BundleKind) -> Value {
    let mut bundle = Map::new();
    bundle.insert("resourceType".into(), "Bundle".into());
    let is_search = matches!(kind, BundleKind::Searchset { .. });
    match kind {
        BundleKind::Collection => {
            bundle.insert("type".into(), "collection".into());
        }
        BundleKind::Searchset { total, links } => {
            bundle.insert("type".into(), "searchset".into());
            if let Some(total) = total {
                bundle.insert("total".into(), (*total).into());
            }
            if !links.is_empty() {
                let links: Vec<Value> = links
                    .iter()
                    .map(|(relation, url)| json!({"relation": relation, "url": url}))
                    .collect();
                bundle.insert("link".into(), links.into());
            }
        }
    }
    let entries: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut entry = json!({
                "fullUrl": format!("urn:uuid:{}", uuid(&row.place.batch, row.index())),
                "resource": audit_event(row, known),
            });
            if is_search {
                entry["search"] = json!({"mode": "match"});
            }
            entry
        })
        .collect();
    // FHIR has no empty arrays.
    if !entries.is_empty() {
        bundle.insert("entry".into(), entries.into());
    }
    Value::Object(bundle)
}

/// One entry.
pub fn audit_event(row: &AuditRow, known: &Known) -> Value {
    let entry = &row.entry;
    let mut event = Map::new();
    let mut put = |name: &str, value: Value| {
        event.insert(name.to_owned(), value);
    };
    put("resourceType", "AuditEvent".into());
    put("id", uuid(&row.place.batch, row.index()).into());
    put(
        "type",
        json!({"system": EVENT_TYPE, "code": "rest", "display": "RESTful Operation"}),
    );
    put("subtype", subtypes(entry));
    put("action", entry.action.fhir_code().into());
    put("recorded", entry.time.to_string().into());
    put("outcome", entry.outcome.fhir_code().into());
    if let Some(text) = outcome_text(entry) {
        put("outcomeDesc", text.into());
    }
    if let Some(purpose) = purpose(entry) {
        put("purposeOfEvent", json!([purpose]));
    }
    put("agent", agents(entry, known));
    put(
        "source",
        json!({
            "site": known.organisation(&entry.organisation).map_or_else(|| entry.organisation.to_string(), str::to_owned),
            "observer": organisation(entry, known),
            "type": [{
                "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                "code": "4",
                "display": "Application Server",
            }],
        }),
    );
    put("entity", entities(row, known));
    Value::Object(event)
}

/// UUID version 8 (RFC 9562): the first 12 bytes of the batch, less the six bits of version and variant, and the
/// index. One entry, one name.
fn uuid(batch: &BatchId, index: u32) -> String {
    let mut bytes = [0u8; 16];
    bytes[..12].copy_from_slice(&batch[..12]);
    bytes[12..].copy_from_slice(&index.to_be_bytes());
    bytes[6] = 0x80 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    let text = hex::encode(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    )
}

/// The interaction, and this system's own name of the kind of action.
fn subtypes(entry: &AuditEntry) -> Value {
    let code = match entry.action {
        Action::Create => "create",
        Action::Read => "read",
        Action::Update => "update",
        Action::Delete => "delete",
        Action::Search => "search",
        Action::Execute => "operation",
    };
    let mut codings = vec![json!({"system": RESTFUL, "code": code, "display": code})];
    if let Some(code) = token(&entry.subtype) {
        codings.push(json!({"system": format!("{OWN}:subtype"), "code": code}));
    }
    codings.into()
}

fn outcome_text(entry: &AuditEntry) -> Option<String> {
    let name = match entry.outcome {
        // FHIR's codes tell these two apart from nothing else.
        Outcome::Denied => "denied",
        Outcome::Unknown => "unknown",
        Outcome::Success | Outcome::Failed => "",
    };
    match (name, text(&entry.reason)) {
        ("", reason) => reason,
        (name, None) => Some(name.to_owned()),
        (name, Some(reason)) => Some(format!("{name}: {reason}")),
    }
}

fn purpose(entry: &AuditEntry) -> Option<Value> {
    match token(&entry.purpose) {
        Some(code) => Some(json!({"coding": [{"system": PURPOSE, "code": code}]})),
        None => text(&entry.purpose).map(|text| json!({"text": text})),
    }
}

fn agents(entry: &AuditEntry, known: &Known) -> Value {
    let mut who = Map::new();
    who.insert(
        "type".into(),
        concept(PARTICIPATION, "IRCP", "information recipient"),
    );
    if let Some(role) = known.role(entry.role, &entry.actor) {
        let coding = json!([{"system": format!("{OWN}:role"), "code": role.as_str()}]);
        who.insert("role".into(), json!([{"coding": coding}]));
    }
    let mut identified = match &entry.actor {
        Actor::Key(key) => identifier("key", &key.to_string()),
        Actor::Named(name) => identifier("imported", name),
    };
    if let Some(label) = known.label(&entry.actor).and_then(text) {
        identified["display"] = label.clone().into();
        who.insert("name".into(), label.into());
    }
    who.insert("who".into(), identified);
    who.insert("requestor".into(), true.into());
    if let Some(grant) = &entry.grant {
        who.insert("policy".into(), json!([format!("{OWN}:grant:{grant}")]));
    }
    if let Some(purpose) = purpose(entry) {
        who.insert("purposeOfUse".into(), json!([purpose]));
    }
    // Who gives and who takes, as BALP has it: what is read comes from the server, all else goes to it.
    let (source, destination) = (
        ("110153", "Source Role ID"),
        ("110152", "Destination Role ID"),
    );
    let (client_role, server_role) = match entry.action {
        Action::Read => (destination, source),
        _ => (source, destination),
    };
    let mut agents = vec![Value::Object(who)];
    if let Some(address) = text(&entry.source) {
        // 2 is an IP address, 1 a machine's name.
        let is_address = address.parse::<core::net::IpAddr>().is_ok()
            || address.parse::<core::net::SocketAddr>().is_ok()
            || address.starts_with("/ip");
        agents.push(json!({
            "type": concept(DICOM, client_role.0, client_role.1),
            "who": identifier("source", &address),
            "requestor": false,
            "network": {"address": address, "type": if is_address { "2" } else { "1" }},
        }));
    }
    agents.push(json!({
        "type": concept(DICOM, server_role.0, server_role.1),
        "who": organisation(entry, known),
        "requestor": false,
    }));
    agents.into()
}

fn organisation(entry: &AuditEntry, known: &Known) -> Value {
    let mut who = identifier("hospital", &entry.organisation.to_string());
    who["type"] = "Organization".into();
    if let Some(name) = known.organisation(&entry.organisation).and_then(text) {
        who["display"] = name.into();
    }
    who
}

fn entities(row: &AuditRow, known: &Known) -> Value {
    let entry = &row.entry;
    let mut entities = Vec::new();
    if let Some(patient) = &entry.patient {
        let mut what = match patient {
            Subject::Named(name) => identifier("imported-patient", name),
            other => identifier(subject_kind(other), &other.to_string()),
        };
        what["type"] = "Patient".into();
        entities.push(json!({
            "what": what,
            "type": coding(ENTITY_TYPE, "1", "Person"),
            "role": coding(ENTITY_ROLE, "1", "Patient"),
        }));
    }
    match &entry.resource {
        Some(Resource::Record(hash)) => {
            let mut what = identifier("record", &hash.to_string());
            what["type"] = "DocumentReference".into();
            let mut entity = json!({
                "what": what,
                "type": coding(ENTITY_TYPE, "2", "System Object"),
                "role": coding(ENTITY_ROLE, "3", "Report"),
            });
            if let Some(version) = known.versions.get(hash) {
                entity["detail"] = json!([detail("version", &version.to_string())]);
            }
            entities.push(entity);
        }
        Some(Resource::Named(name)) => entities.push(json!({
            "what": identifier("resource", name),
            "type": coding(ENTITY_TYPE, "2", "System Object"),
            "role": coding(ENTITY_ROLE, "4", "Domain Resource"),
        })),
        None => {}
    }
    if let Some(grant) = &entry.grant {
        let mut what = identifier("grant", &grant.to_string());
        what["type"] = "Consent".into();
        entities.push(json!({
            "what": what,
            "type": coding(ENTITY_TYPE, "2", "System Object"),
            "role": coding(ENTITY_ROLE, "4", "Domain Resource"),
        }));
    }
    if !entry.request.is_empty() {
        entities.push(json!({
            "what": {"identifier": {"value": shown(&entry.request)}},
            "type": {"system": BALP_ENTITY, "code": "XrequestId"},
        }));
    }
    if !entry.reference.is_empty() {
        entities.push(json!({
            "what": identifier("reference", &entry.reference),
            "type": coding(ENTITY_TYPE, "4", "Other"),
            "role": coding(ENTITY_ROLE, "13", "Security Resource"),
        }));
    }
    entities.push(place(row, known));
    entities.into()
}

/// Where the entry stands on the chain, by which it is proved.
fn place(row: &AuditRow, known: &Known) -> Value {
    let place = &row.place;
    json!({
        "what": identifier("transaction", &place.tx.to_string()),
        "type": coding(ENTITY_TYPE, "4", "Other"),
        "role": coding(ENTITY_ROLE, "13", "Security Resource"),
        "detail": [
            detail("sequence", &row.sequence.to_string()),
            detail("block-height", &place.height.to_string()),
            detail("block-hash", &place.block_hash.to_string()),
            detail("block-time", &place.block_time.to_string()),
            detail("batch", &hex::encode(place.batch)),
            detail("index", &row.index().to_string()),
            detail("statement", row.entry.statement_check(&known.chain).as_str()),
            detail("retention-class", row.class.as_str()),
        ],
    })
}

fn detail(name: &str, value: &str) -> Value {
    json!({"type": name, "valueString": value})
}

fn coding(system: &str, code: &str, display: &str) -> Value {
    json!({"system": system, "code": code, "display": display})
}

fn concept(system: &str, code: &str, display: &str) -> Value {
    json!({"coding": [coding(system, code, display)]})
}

fn identifier(kind: &str, value: &str) -> Value {
    json!({"identifier": {"system": format!("{OWN}:{kind}"), "value": shown(value)}})
}

/// A code of FHIR: words with one blank between; none where a text is no such thing.
fn token(code: &str) -> Option<&str> {
    let is_code = !code.is_empty()
        && code == code.trim()
        && !code.contains("  ")
        && !code
            .chars()
            .any(|c| c.is_control() || (c.is_whitespace() && c != ' '));
    is_code.then_some(code)
}

/// A text of FHIR holds something that shows, and no control characters.
fn text(value: &str) -> Option<String> {
    let clean: String = value
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let clean = clean.trim().to_owned();
    (!clean.is_empty()).then_some(clean)
}

fn shown(value: &str) -> String {
    text(value).unwrap_or_else(|| "?".to_owned())
}

#[cfg(test)]
mod tests;
