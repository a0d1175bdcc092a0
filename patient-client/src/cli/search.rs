//! `search`, and what it would send.

use super::context::Context;
use super::explain;
use caduceus_cli::{CliError, OutputFormat};
use caduceus_crypto::Epoch;
use patient_client::{FoundRecord, HospitalSearch, SearchOutcome, SearchSpec};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct SearchArgs {
    /// Words with AND, OR, NOT and parentheses; code:38341003, type:Condition, year:2024
    query: String,
    /// First clinical day, month or year
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// Last clinical day, month or year
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    /// First day on which the record was stored
    #[arg(long, value_name = "DAY")]
    anchored_since: Option<String>,
    /// Last day on which the record was stored
    #[arg(long, value_name = "DAY")]
    anchored_until: Option<String>,
    /// Search this hospital only; repeat for more
    #[arg(long, value_name = "NAME")]
    hospital: Vec<String>,
    /// Download all that is linked and look through it here: slower, no record is fetched, and nobody learns what you
    /// look for. Clinical dates are taken from the index
    #[arg(long)]
    local: bool,
    /// Show what would be sent and what that would tell, and send nothing
    #[arg(long, conflicts_with = "local")]
    explain: bool,
    /// Do not look for newer versions of the hits
    #[arg(long)]
    no_versions: bool,
}

#[derive(Serialize)]
struct HitRow {
    number: usize,
    hospital: String,
    place: String,
    record: String,
    /// Versions that it replaces, as far as they are known.
    earlier: usize,
}

#[derive(Serialize)]
struct HospitalRow {
    hospital: String,
    verified: bool,
    alliance_height: u64,
    block_time: String,
    linked_height: u64,
    hits: usize,
    dropped: usize,
    searches: usize,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<LocalView>,
}

#[derive(Serialize)]
struct LocalView {
    linked_records: u64,
    yours: usize,
}

#[derive(Serialize)]
struct VersionsView {
    record: String,
    /// Newest first.
    earlier: Vec<String>,
}

#[derive(Serialize)]
struct SearchView {
    hospitals: Vec<HospitalRow>,
    hits: Vec<HitRow>,
    versions: Vec<VersionsView>,
    /// Records that claim to replace the same one, by their hashes.
    conflicting: Vec<Vec<String>>,
}

pub(super) async fn search(context: &Context, args: SearchArgs) -> Result<(), CliError> {
    let anchored_since = day(args.anchored_since.as_deref())?;
    let anchored_until = day(args.anchored_until.as_deref())?;
    let (mut patient, network) = context.patient_and_network().await?;
    let spec = SearchSpec {
        text: args.query,
        from: args.from,
        to: args.to,
        anchored_since,
        anchored_until,
        hospitals: super::context::named_hospitals(&network, &args.hospital)?,
        local: args.local,
        versions: !args.no_versions,
    };
    if args.explain {
        let explanation = patient.explain(&spec).await?;
        patient.close().await;
        return explain::show(context, &explanation, spec.versions);
    }
    let progress = context.output.progress(if spec.local {
        "downloading and looking through what is linked"
    } else {
        "searching"
    });
    let outcome = patient.search(&spec).await;
    drop(progress);
    let outcome = outcome?;
    let (versions, rivals) = (versions(&outcome), conflicting(&outcome));
    let rows: Vec<HitRow> = (1..)
        .zip(&outcome.records)
        .map(|(number, found)| hit_row(number, &patient.name_of(&found.hospital), found, &versions))
        .collect();
    patient.close().await;
    if context.output.format() == OutputFormat::Json {
        let hospitals = outcome.hospitals.iter().map(hospital_row).collect();
        context.output.object(&SearchView {
            hospitals,
            hits: rows,
            versions,
            conflicting: rivals,
        })?;
    } else {
        context.output.rows(&rows)?;
        tell_versions(context, &versions, &rivals);
    }
    tell(context, &outcome);
    Ok(())
}

/// The earlier versions of each hit that has some, those last that no search has shown.
fn versions(outcome: &SearchOutcome) -> Vec<VersionsView> {
    let mut views = Vec::new();
    for found in &outcome.records {
        let shown = outcome
            .earlier
            .iter()
            .filter(|(newest, _)| newest == found)
            .flat_map(|(_, earlier)| earlier)
            .map(|earlier| earlier.record_hash);
        let unseen = outcome
            .unseen
            .iter()
            .filter(|(newest, _)| newest == found)
            .map(|(_, hash)| *hash);
        let earlier: Vec<String> = shown.chain(unseen).map(|hash| hash.to_string()).collect();
        if !earlier.is_empty() {
            views.push(VersionsView {
                record: found.record_hash.to_string(),
                earlier,
            });
        }
    }
    views
}

/// The hashes of the records that claim to replace the same one, by group.
fn conflicting(outcome: &SearchOutcome) -> Vec<Vec<String>> {
    let hashes = |group: &Vec<FoundRecord>| {
        let hashes = group.iter().map(|found| found.record_hash.to_string());
        hashes.collect()
    };
    outcome.conflicting.iter().map(hashes).collect()
}

fn tell_versions(context: &Context, versions: &[VersionsView], rivals: &[Vec<String>]) {
    for each in versions {
        context.output.note(&version(each, rivals));
    }
    if !versions.is_empty() {
        context
            .output
            .note("earlier versions stay: open one by its hash");
    }
}

/// Of several that claim to be the newest, none is said to be it.
fn version(each: &VersionsView, rivals: &[Vec<String>]) -> String {
    let is_alone = !rivals.iter().flatten().any(|record| *record == each.record);
    format!(
        "record {} {} {}",
        each.record,
        if is_alone {
            "is the newest version; it replaces"
        } else {
            "claims to replace"
        },
        each.earlier.join(", then ")
    )
}

/// What was proved, by hospital, for people; warnings for everybody.
fn tell(context: &Context, outcome: &SearchOutcome) {
    for each in &outcome.hospitals {
        context.output.note(&proved(each));
        if each.foreign > 0 {
            tracing::warn!(
                hospital = %each.name,
                "{} matching records are not yours and were dropped: tell the hospital",
                each.foreign
            );
        }
        if !each.complete {
            tracing::warn!(
                hospital = %each.name,
                "one day has more matches than a search returns: add words to see the others"
            );
        }
    }
    for records in conflicting(outcome) {
        tracing::warn!(
            records = %records.join(", "),
            "these records claim to replace the same one: compare them, and ask the hospital which is right"
        );
    }
    for (found, reason) in &outcome.undated {
        tracing::warn!(record = %found.record_hash, %reason, "its clinical day is not known, so it is shown");
    }
    for (found, reason) in &outcome.unversioned {
        tracing::warn!(record = %found.record_hash, %reason, "it is not known whether there are other versions");
    }
    if !outcome.records.is_empty() {
        context
            .output
            .note("open one with: patient-client open NUMBER");
    }
}

fn proved(each: &HospitalSearch) -> String {
    let how = match each.local {
        Some(scan) => format!(
            "local scan of {} linked records, {} are yours; proved complete",
            scan.linked, scan.mine
        ),
        None => "verified".to_owned(),
    };
    format!(
        "{}: {how} at alliance height {} ({}); every record up to height {} of its chain was searched; {} found",
        each.name, each.height, each.time, each.linked_height, each.hits
    )
}

fn hit_row(
    number: usize,
    hospital: &str,
    found: &FoundRecord,
    versions: &[VersionsView],
) -> HitRow {
    let record = found.record_hash.to_string();
    let earlier = versions
        .iter()
        .find(|each| each.record == record)
        .map_or(0, |each| each.earlier.len());
    HitRow {
        number,
        hospital: hospital.to_owned(),
        place: found.record.to_string(),
        record,
        earlier,
    }
}

fn hospital_row(each: &HospitalSearch) -> HospitalRow {
    HospitalRow {
        hospital: each.name.clone(),
        // An answer that does not verify is an error before it comes here.
        verified: true,
        alliance_height: each.height.0,
        block_time: each.time.to_string(),
        linked_height: each.linked_height,
        hits: each.hits,
        dropped: each.foreign,
        searches: each.searches,
        complete: each.complete,
        local: each.local.map(|scan| LocalView {
            linked_records: scan.linked,
            yours: scan.mine,
        }),
    }
}

fn day(text: Option<&str>) -> Result<Option<Epoch>, CliError> {
    let Some(text) = text else {
        return Ok(None);
    };
    text.parse::<Epoch>()
        .map(Some)
        .map_err(|error| CliError::usage(format!("{text:?}: {error}"), "a day such as 2026-11-20"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use caduceus_crypto::{HospitalId, TimeMillis};
    use caduceus_ledger::Height;
    use patient_client::LocalScan;

    fn summary(local: Option<LocalScan>) -> HospitalSearch {
        HospitalSearch {
            hospital: HospitalId([1; 32]),
            name: "North".to_owned(),
            height: Height(7),
            time: TimeMillis(0),
            linked_height: 5,
            hits: 2,
            foreign: 0,
            searches: 0,
            complete: true,
            local,
        }
    }

    #[test]
    fn people_are_told_how_they_were_answered() {
        assert_eq!(
            proved(&summary(None)),
            "North: verified at alliance height 7 (1970-01-01T00:00:00.000Z); every record up to height 5 of its \
             chain was searched; 2 found"
        );
        let scan = LocalScan {
            linked: 90,
            mine: 4,
        };
        assert_eq!(
            proved(&summary(Some(scan))),
            "North: local scan of 90 linked records, 4 are yours; proved complete at alliance height 7 \
             (1970-01-01T00:00:00.000Z); every record up to height 5 of its chain was searched; 2 found"
        );
    }

    #[test]
    fn records_that_conflict_are_not_said_to_be_the_newest() {
        let view = VersionsView {
            record: "b".to_owned(),
            earlier: vec!["a".to_owned(), "z".to_owned()],
        };
        assert_eq!(
            version(&view, &[]),
            "record b is the newest version; it replaces a, then z"
        );
        let rivals = [vec!["b".to_owned(), "c".to_owned()]];
        assert_eq!(
            version(&view, &rivals),
            "record b claims to replace a, then z"
        );
    }
}
