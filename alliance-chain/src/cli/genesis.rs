//! `genesis`: makes the genesis of an alliance from a TOML of its founders.

use alliance_chain::genesis::check_proxies;
use alliance_chain::{AllianceGenesis, Member, Operator, Params, ProxyInfo};
use caduceus_cli::{CliError, Output};
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::time::Epoch;
use caduceus_crypto::{HospitalId, TimeMillis};
use caduceus_ledger::{ChainKind, Genesis, Validator, ValidatorSet};
use caduceus_node::home::read_genesis;
use caduceus_node::{Clock, SystemClock};
use caduceus_operator::{public_key, read_toml, write_genesis};
use clap::Args;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where to read and write.
#[derive(Debug, Args)]
pub(super) struct GenesisArgs {
    /// The founders: TOML with name, index_scheme (tags, peks or paeks), first_epoch (a day as YYYY-MM-DD) where
    /// searches begin, [[members]] with name, identity, server, genesis (the file of the private chain), and
    /// [[validators]] with key, power, proxy (true unless it says false)
    file: PathBuf,
    /// The genesis file to write
    #[arg(long, value_name = "FILE", default_value = "alliance.genesis")]
    out: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Founders {
    name: String,
    #[serde(default)]
    index_scheme: Option<String>,
    #[serde(default)]
    first_epoch: Option<String>,
    members: Vec<Founder>,
    validators: Vec<Voter>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Founder {
    name: String,
    identity: String,
    server: String,
    genesis: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Voter {
    key: String,
    #[serde(default = "one")]
    power: u64,
    #[serde(default = "yes")]
    proxy: bool,
    /// Name of the member that runs it; none for a regulator's.
    #[serde(default)]
    operator: Option<String>,
}

fn one() -> u64 {
    1
}

fn yes() -> bool {
    true
}

/// Makes it.
pub(super) fn run(args: &GenesisArgs, output: &Output) -> Result<(), CliError> {
    let founders: Founders = read_toml(&args.file)?;
    let genesis = make(&founders, &args.file, SystemClock.now())?;
    write_genesis(&args.out, &genesis, output)
}

fn wrong(what: impl std::fmt::Display) -> CliError {
    CliError::usage(
        format!("the founders do not make an alliance: {what}"),
        "mend the TOML; --help shows what belongs into it",
    )
}

fn make(founders: &Founders, file: &Path, now: TimeMillis) -> Result<Genesis, CliError> {
    let scheme = founders.index_scheme.as_deref().unwrap_or("tags");
    let scheme: SchemeId = scheme
        .parse()
        .map_err(|_| wrong(format!("{scheme:?} is no index scheme")))?;
    // The day before counts too, so that what was anchored in the last hour can be searched just after midnight.
    let first_epoch = match &founders.first_epoch {
        Some(day) => epoch(day).ok_or_else(|| wrong(format!("{day:?} is no day as YYYY-MM-DD")))?,
        None => Epoch(now.epoch().0.saturating_sub(1)),
    };
    let members = founders
        .members
        .iter()
        .map(|founder| member(founder, file))
        .collect::<Result<Vec<_>, _>>()?;
    let mut validators = Vec::new();
    let mut proxies = Vec::new();
    let mut operators = Vec::new();
    for voter in &founders.validators {
        let validator = Validator {
            key: public_key(&voter.key)?,
            power: voter.power,
        };
        if voter.proxy {
            proxies.push(ProxyInfo {
                key: validator.key,
                validator: validator.address(),
            });
        }
        if let Some(name) = &voter.operator {
            let operator = members
                .iter()
                .find(|member: &&Member| member.name == *name)
                .ok_or_else(|| wrong(format!("{name:?} runs a validator and is no member")))?;
            operators.push(Operator {
                validator: validator.address(),
                hospital: operator.hospital,
            });
        }
        validators.push(validator);
    }
    check_proxies(&proxies).map_err(wrong)?;
    let app = AllianceGenesis {
        members,
        proxies,
        operators,
        params: Params::of_scheme(scheme, first_epoch),
    }
    .encode();
    AllianceGenesis::decode(&app).map_err(wrong)?;
    Ok(Genesis {
        kind: ChainKind::Alliance,
        name: founders.name.clone(),
        time: now,
        validators: ValidatorSet::new(validators).map_err(wrong)?,
        app,
    })
}

/// A founder, with what the genesis of its private chain says.
fn member(founder: &Founder, file: &Path) -> Result<Member, CliError> {
    let beside = file
        .parent()
        .unwrap_or(Path::new(""))
        .join(&founder.genesis);
    let genesis = read_genesis(&beside).map_err(wrong)?;
    if genesis.kind != ChainKind::Private {
        return Err(wrong(format!(
            "{} is not the genesis of a private chain",
            beside.display()
        )));
    }
    let identity = public_key(&founder.identity)?;
    Ok(Member {
        hospital: HospitalId::from_identity(&identity),
        name: founder.name.clone(),
        identity,
        server: public_key(&founder.server)?,
        private_chain: genesis.chain_id(),
        private_validators: genesis.validators,
    })
}

fn epoch(day: &str) -> Option<Epoch> {
    let mut parts = day.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    Epoch::from_ymd(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}
