//! `requests`, `grant`, `grants`, `revoke`.

use super::context::{Context, named_record};
use alliance_chain::{GrantStatus, Purpose};
use caduceus_cli::CliError;
use caduceus_crypto::{Hash, PublicKey};
use patient_client::{FoundRecord, GrantSpec, Patient, PatientError};
use serde::Serialize;

/// Fewest digits of a hash's beginning that name a grant.
const MIN_PREFIX: usize = 6;

#[derive(Debug, clap::Args)]
pub(super) struct GrantArgs {
    /// Numbers of hits of the last search, or records' hashes
    #[arg(value_name = "RECORD", required_unless_present = "all_of_last_search")]
    records: Vec<String>,
    /// Every hit of the last search
    #[arg(long, conflicts_with = "records")]
    all_of_last_search: bool,
    /// The data user's key
    #[arg(long, value_name = "DATA-USER-KEY")]
    to: String,
    /// How many days it lasts, 1 to 90
    #[arg(long, default_value_t = 30)]
    days: u64,
    /// What for: TREAT, ETREAT, HPAYMT, HOPERAT, HRESCH, PUBHLTH, PATRQT or HLEGAL
    #[arg(long, value_name = "CODE", default_value = "TREAT")]
    purpose: String,
    /// Proxies that must take part [default: more than half]
    #[arg(long, value_name = "T")]
    threshold: Option<usize>,
}

#[derive(Serialize)]
struct RequestRow {
    data_user: String,
    label: String,
    vouched_by: String,
    purpose: String,
    sought: String,
    until: String,
    request: String,
}

#[derive(Serialize)]
struct GrantedRow {
    grant: String,
    record: String,
    until: String,
    threshold: usize,
    kept_by: usize,
    proxies: usize,
    usable: bool,
}

#[derive(Serialize)]
struct GrantRow {
    number: usize,
    grant: String,
    to: String,
    hospital: String,
    record: String,
    purpose: String,
    until: String,
    status: String,
    accesses: u32,
}

#[derive(Serialize)]
struct RevokedView {
    grant: String,
    revoked: bool,
    already: bool,
}

pub(super) async fn requests(context: &Context) -> Result<(), CliError> {
    let patient = context.patient().await?;
    let views = patient.requests().await?;
    patient.close().await;
    let rows: Vec<RequestRow> = views
        .into_iter()
        .map(|view| RequestRow {
            data_user: view.record.request.data_user.to_string(),
            label: view.label,
            vouched_by: view.vouched_by.unwrap_or_default(),
            purpose: view.record.request.purpose.to_string(),
            sought: view.record.request.sought,
            until: view.record.request.until.to_string(),
            request: view.id.to_string(),
        })
        .collect();
    context.output.rows(&rows)
}

pub(super) async fn grant(context: &Context, args: GrantArgs) -> Result<(), CliError> {
    let data_user: PublicKey = args.to.trim().parse().map_err(|_| {
        CliError::usage(
            format!("{:?} is not a data user's key", args.to),
            "66 hexadecimal digits, as data-user-client id shows them",
        )
    })?;
    let purpose: Purpose =
        args.purpose
            .parse()
            .map_err(|error: alliance_chain::tx::UnknownPurpose| {
                CliError::usage(
                    format!("{:?}: {error}", args.purpose),
                    "--purpose with one of these codes",
                )
            })?;
    let mut patient = context.patient().await?;
    let mut records: Vec<FoundRecord> = Vec::new();
    if args.all_of_last_search {
        records.clone_from(&patient.state().last_search);
    }
    for text in &args.records {
        let found = named_record(&patient, text)?;
        if !records.contains(&found) {
            records.push(found);
        }
    }
    let spec = GrantSpec {
        records,
        data_user,
        days: args.days,
        purpose,
        threshold: args.threshold,
    };
    let progress = context.output.progress("granting");
    let made = patient.grant(&spec).await;
    drop(progress);
    let made = made?;
    patient.close().await;
    let mut rows: Vec<GrantedRow> = Vec::new();
    for grant in &made {
        for (proxy, reason) in &grant.missed {
            tracing::warn!(grant = %grant.id.short(), %proxy, %reason, "a proxy does not keep its fragment");
        }
        if !grant.is_usable() {
            tracing::warn!(
                grant = %grant.id.short(),
                "only {} of {} proxies needed keep fragments: revoke it and grant again when more are there",
                grant.kept.len(),
                grant.threshold
            );
        }
        rows.push(GrantedRow {
            grant: grant.id.to_string(),
            record: grant.record.record_hash.to_string(),
            until: grant.expires.to_string(),
            threshold: grant.threshold,
            kept_by: grant.kept.len(),
            proxies: grant.proxies,
            usable: grant.is_usable(),
        });
    }
    context.output.rows(&rows)
}

pub(super) async fn grants(context: &Context) -> Result<(), CliError> {
    let patient = context.patient().await?;
    let views = patient.grants().await?;
    let now = patient.alliance().now();
    let mut rows: Vec<GrantRow> = Vec::new();
    let mut reissue = 0;
    for (index, view) in views.into_iter().enumerate() {
        let grant = &view.record.grant;
        let status = match view.record.status {
            GrantStatus::Revoked { at } => format!("revoked {at}"),
            GrantStatus::Active if grant.expires <= now => "expired".to_owned(),
            GrantStatus::Active => active_status(
                view.proxies_left,
                grant.proxies.len(),
                usize::from(grant.threshold),
            ),
        };
        reissue += usize::from(view.needs_reissue());
        rows.push(GrantRow {
            number: index + 1,
            grant: view.id.to_string(),
            to: view.label,
            hospital: patient.name_of(&grant.hospital),
            record: grant.record_hash.to_string(),
            purpose: view
                .purpose
                .map(|purpose| purpose.to_string())
                .unwrap_or_default(),
            until: grant.expires.to_string(),
            status,
            accesses: view.accesses,
        });
    }
    patient.close().await;
    context.output.rows(&rows)?;
    if reissue > 0 {
        context.output.note(&format!(
            "Proxies left the alliance: {reissue} of these open no record now. Revoke each and grant again."
        ));
    }
    Ok(())
}

/// What is said of a grant that is neither revoked nor expired.
fn active_status(left: usize, proxies: usize, threshold: usize) -> String {
    if left == proxies {
        "active".to_owned()
    } else if left >= threshold {
        format!("active, {left} of {proxies} proxies left")
    } else {
        format!("{left} of {proxies} proxies left, {threshold} needed: reissue")
    }
}

pub(super) async fn revoke(context: &Context, grant: &str) -> Result<(), CliError> {
    let mut patient = context.patient().await?;
    let id = named_grant(&patient, grant).await?;
    let revoked = patient.revoke(&id).await?;
    patient.close().await;
    context.output.object(&RevokedView {
        grant: id.to_string(),
        revoked: true,
        already: !revoked,
    })?;
    context.output.note(
        "Proxies refuse from now on, at the latest in 45 s; what was disclosed before stays so.",
    );
    Ok(())
}

/// A grant that a person names: its hash, the hash's beginning, or its number in `grants`.
async fn named_grant(patient: &Patient, text: &str) -> Result<Hash, CliError> {
    if let Ok(id) = text.parse::<Hash>() {
        return Ok(id);
    }
    let unknown = || {
        CliError::from(PatientError::UnknownGrant {
            what: text.to_owned(),
        })
    };
    let views = patient.grants().await?;
    let wanted = text.to_ascii_lowercase();
    let is_beginning =
        wanted.len() >= MIN_PREFIX && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_beginning {
        let mut fitting = views
            .iter()
            .map(|view| view.id)
            .filter(|id| id.to_string().starts_with(&wanted));
        // A beginning that fits two names neither.
        if let (Some(id), None) = (fitting.next(), fitting.next()) {
            return Ok(id);
        }
    }
    let number: usize = text.parse().map_err(|_| unknown())?;
    number
        .checked_sub(1)
        .and_then(|index| views.get(index))
        .map(|view| view.id)
        .ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::active_status;

    #[test]
    fn a_grant_says_when_its_proxies_left() {
        assert_eq!(active_status(4, 4, 3), "active");
        assert_eq!(active_status(3, 4, 3), "active, 3 of 4 proxies left");
        assert_eq!(
            active_status(2, 4, 3),
            "2 of 4 proxies left, 3 needed: reissue"
        );
    }
}
