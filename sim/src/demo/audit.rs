//! The audit logs: every action counted at the servers must have its entry on the chain.

use super::Narrator;
use super::summary::Summary;
use super::world::World;
use anyhow::Context;
use private_chain::query;
use std::collections::BTreeSet;

/// Batches read at once.
const PAGE: usize = 100;

pub async fn run(
    world: &mut World,
    narrator: &Narrator,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let mut logged: BTreeSet<String> = BTreeSet::new();
    for h in 0..world.layout.hospitals.len() {
        let node = world
            .chains
            .private_here(h)
            .next()
            .context("a private node runs here")?;
        let snapshot = node.node.chain().snapshot()?;
        let count = query::audit_count(&snapshot)?;
        summary.audit.entries += count;
        let mut first = 0;
        while first < count {
            for (_, place, batch) in query::audit_batches(&snapshot, first, PAGE)? {
                first += u64::from(place.count);
                for (index, sealed) in (0u32..).zip(&batch.entries) {
                    let key = world.chains.bucket_key(h, &sealed.bucket())?;
                    logged.insert(batch.open(index, &key)?.request.to_string());
                }
            }
        }
    }
    let actions = world.journal.actions();
    summary.audit.actions = actions.len();
    summary.audit.unlogged_actions = actions
        .iter()
        .filter(|(id, _)| !logged.contains(&hex::encode(id)))
        .count();
    let log = world.people[0].patient.access_log().await?;
    summary.audit.patient_access_log_entries = log.disclosures.len()
        + log
            .hospitals
            .iter()
            .map(|hospital| hospital.entries.len())
            .sum::<usize>();
    narrator.tell(format!(
        "{} audit entries; {} of {} actions unlogged; {} sees {} entries about herself",
        summary.audit.entries,
        summary.audit.unlogged_actions,
        summary.audit.actions,
        world.people[0].name,
        summary.audit.patient_access_log_entries
    ));
    Ok(())
}
