//! `genesis`: makes the genesis of a hospital's chain.

use caduceus_cli::{CliError, Output};
use caduceus_crypto::index::SchemeId;
use caduceus_ledger::{ChainKind, Genesis, ValidatorSet};
use caduceus_node::{Clock, SystemClock};
use caduceus_operator::{public_key, validator, write_genesis};
use clap::Args;
use private_chain::PrivateGenesis;
use std::path::PathBuf;

/// What a chain begins with.
#[derive(Debug, Args)]
pub(super) struct GenesisArgs {
    /// The hospital's name
    #[arg(long)]
    name: String,
    /// The hospital's identity key: enrols staff, names validators
    #[arg(long, value_name = "KEY")]
    identity: String,
    /// The hospital server's key: signs audit entries and vault receipts
    #[arg(long, value_name = "KEY")]
    server: String,
    /// A validator of the chain: the key of a node, as its init prints it
    #[arg(long = "validator", value_name = "KEY[=POWER]", required = true)]
    validators: Vec<String>,
    /// How records are indexed, as in the whole alliance: tags, peks or paeks
    #[arg(long, default_value = "tags")]
    index_scheme: String,
    /// The genesis file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Makes it.
pub(super) fn run(args: GenesisArgs, output: &Output) -> Result<(), CliError> {
    let wrong = |what: String| {
        CliError::usage(
            format!("this makes no chain: {what}"),
            "mend the arguments; --help says what they are",
        )
    };
    let scheme: SchemeId = args
        .index_scheme
        .parse()
        .map_err(|_| wrong(format!("{:?} is no index scheme", args.index_scheme)))?;
    let (identity, server) = (public_key(&args.identity)?, public_key(&args.server)?);
    let own = PrivateGenesis::new(args.name.clone(), identity, server)
        .map_err(|e| wrong(e.to_string()))?
        .with_scheme(scheme);
    let validators = args
        .validators
        .iter()
        .map(|text| validator(text))
        .collect::<Result<Vec<_>, _>>()?;
    let genesis = Genesis {
        kind: ChainKind::Private,
        name: args.name,
        time: SystemClock.now(),
        validators: ValidatorSet::new(validators).map_err(|e| wrong(e.to_string()))?,
        app: own.encode(),
    };
    write_genesis(&args.out, &genesis, output)
}
