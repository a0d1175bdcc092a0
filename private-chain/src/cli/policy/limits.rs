//! The file of `--limits`.

use caduceus_cli::CliError;
use caduceus_operator::read_toml;
use private_chain::ActionClass;
use private_chain::policy::{Limits, Retention};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsFile {
    slot_millis: Option<u64>,
    per_slot: Option<u32>,
    per_action: BTreeMap<String, u32>,
    retention_months: BTreeMap<String, u16>,
}

/// Reads and checks it.
pub(super) fn read(path: &Path) -> Result<(Limits, Retention), CliError> {
    let file: LimitsFile = read_toml(path)?;
    let wrong = |what: String| {
        CliError::usage(
            format!("{} is wrong: {what}", path.display()),
            "mend what it names; docs/policy.md shows what belongs into it",
        )
    };
    let limits = Limits {
        per_action: file.per_action,
        per_slot: file.per_slot,
        slot_millis: file.slot_millis,
    };
    let mut retention = Retention::default();
    for (name, months) in file.retention_months {
        let class = ActionClass::ALL
            .into_iter()
            .find(|class| class.as_str() == name)
            .ok_or_else(|| {
                let names = ActionClass::ALL.map(ActionClass::as_str).join(", ");
                wrong(format!("{name:?} is no class of entries: {names}"))
            })?;
        retention.months.insert(class, months);
    }
    let checked = limits.check().and_then(|()| retention.check());
    checked.map_err(|error| wrong(error.to_string()))?;
    Ok((limits, retention))
}
