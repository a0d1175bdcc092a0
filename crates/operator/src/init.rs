//! `init` and the writing half of `genesis`: a node's new folder, a chain's genesis file.

use caduceus_cli::{CliError, CommonArgs, Output, create_private_dir, write_private_new};
use caduceus_crypto::{SecretKey, encode};
use caduceus_ledger::{ChainKind, Genesis};
use caduceus_network::{Multiaddr, PeerAddr, peer_id};
use caduceus_node::home::{EngineKind, NodeFile, PeerEntry, read_genesis, read_key};
use caduceus_node::key_file::key_text;
use caduceus_node::{NodeHome, NodeOptions};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What a new node needs to know.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// The chain's genesis file. Without it only the node's key is made, which a genesis may name as a validator
    #[arg(long, value_name = "FILE", requires_all = ["service", "consensus"])]
    genesis: Option<PathBuf>,
    /// Where the service swarm listens, as /ip4/ADDRESS/tcp/PORT
    #[arg(long, value_name = "MULTIADDR", requires = "genesis")]
    service: Option<Multiaddr>,
    /// Where the consensus swarm listens
    #[arg(long, value_name = "MULTIADDR", requires = "genesis")]
    consensus: Option<Multiaddr>,
    /// Another node of the chain, as its init printed it: service and consensus address, with a comma between
    #[arg(long = "peer", value_name = "SERVICE,CONSENSUS")]
    peers: Vec<String>,
    /// The node's name in logs [default: the chain's name]
    #[arg(long)]
    moniker: Option<String>,
    /// Run one sequencer instead of BFT consensus: the validator set is this node alone
    #[arg(long)]
    solo: bool,
}

#[derive(Serialize)]
struct MadeKey {
    file: String,
    key: String,
}

#[derive(Serialize)]
struct Made {
    home: String,
    chain: String,
    key: String,
    peer: String,
    votes: bool,
}

/// Makes a node's folder: its key, if there is none, and `node.toml`.
///
/// # Errors
/// Usage, for a folder that is a node's already, a genesis of another kind, an address that is none; failure, naming
/// the file that cannot be written.
pub fn init(
    common: &CommonArgs,
    program: &str,
    kind: ChainKind,
    args: InitArgs,
    output: &Output,
) -> Result<(), CliError> {
    let home = common.home_dir(program)?;
    let (Some(genesis_file), Some(service), Some(consensus)) =
        (args.genesis, args.service, args.consensus)
    else {
        create_private_dir(&home)?;
        let key = own_key(&home)?;
        return output.object(&MadeKey {
            file: home.join("node.key").display().to_string(),
            key: key.public().to_string(),
        });
    };
    let network = common.network_path()?;
    let genesis = read_genesis(&genesis_file).map_err(|e| {
        CliError::usage(
            format!("no genesis: {e}"),
            format!("--genesis FILE, as {program} genesis makes it"),
        )
    })?;
    if genesis.kind != kind {
        return Err(CliError::usage(
            "the genesis is that of a chain of another kind",
            format!("--genesis FILE, as {program} genesis makes it"),
        ));
    }
    let peers = args
        .peers
        .iter()
        .map(|text| peer(text))
        .collect::<Result<Vec<_>, _>>()?;
    create_private_dir(&home)?;
    let key = own_key(&home)?;
    let file = NodeFile {
        moniker: args.moniker.unwrap_or_else(|| genesis.name.clone()),
        genesis: absolute(&genesis_file)?,
        network: absolute(&network)?,
        engine: if args.solo {
            EngineKind::Solo
        } else {
            EngineKind::Bft
        },
        service_listen: service.clone(),
        consensus_listen: consensus.clone(),
        peers,
        options: NodeOptions::default(),
    };
    let text = file.to_text().map_err(|e| {
        CliError::failure(
            format!("node.toml cannot be written: {e}"),
            "report this, with the command line",
        )
    })?;
    write_private_new(&home.join("node.toml"), text.as_bytes())?;
    // What was written must be what start reads.
    let made = NodeHome::load(&home)
        .map_err(|e| CliError::failure(e.to_string(), "mend what it names, then start"))?;
    let at = |address: Multiaddr| PeerAddr {
        id: peer_id(&key.public()),
        address,
    };
    output.object(&Made {
        home: home.display().to_string(),
        chain: made.genesis.chain_id().to_string(),
        key: key.public().to_string(),
        peer: format!("{},{}", at(service), at(consensus)),
        votes: genesis.validators.iter().any(|v| v.key == key.public()),
    })
}

/// A node's peer entry from two addresses with a comma between.
fn peer(text: &str) -> Result<PeerEntry, CliError> {
    let wrong = || {
        CliError::usage(
            format!("{text:?} is not a peer"),
            "--peer SERVICE,CONSENSUS: two addresses that end in /p2p/ID",
        )
    };
    let (service, consensus) = text.split_once(',').ok_or_else(wrong)?;
    Ok(PeerEntry {
        service: service.trim().parse().map_err(|_| wrong())?,
        consensus: consensus.trim().parse().map_err(|_| wrong())?,
    })
}

/// The key of the folder, made if there is none: a key is never replaced.
fn own_key(home: &Path) -> Result<SecretKey, CliError> {
    let path = home.join("node.key");
    if !path.exists() {
        write_key(&path, &SecretKey::generate(&mut rand_core::OsRng))?;
    }
    read_key(&path).map_err(|e| {
        CliError::failure(
            format!("the node's key: {e}"),
            "restore node.key from a backup, or name another --home",
        )
    })
}

/// Makes a key file that was not there, and says the public key.
///
/// # Errors
/// Failure, naming the file.
pub fn make_key(path: &Path, output: &Output) -> Result<(), CliError> {
    let key = SecretKey::generate(&mut rand_core::OsRng);
    write_key(path, &key)?;
    output.object(&MadeKey {
        file: path.display().to_string(),
        key: key.public().to_string(),
    })
}

/// Writes a new key file, as [`caduceus_node::key_file`] describes it, for its owner alone.
fn write_key(path: &Path, key: &SecretKey) -> Result<(), CliError> {
    write_private_new(path, key_text(key).as_bytes())
}

fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    std::path::absolute(path).map_err(|e| {
        CliError::usage(
            format!("{}: {e}", path.display()),
            "a path to a file that exists",
        )
    })
}

/// A key of the operator's own, by its file.
///
/// # Errors
/// Usage, naming the file.
pub fn key_file(path: &Path) -> Result<SecretKey, CliError> {
    read_key(path).map_err(|e| {
        CliError::usage(
            format!("no key: {e}"),
            "a key file, as the command that made the key wrote it; restore it from a backup",
        )
    })
}

#[derive(Serialize)]
struct MadeGenesis {
    file: String,
    chain: String,
    validators: usize,
}

/// Writes a genesis file that was not there, and says the chain's identifier.
///
/// # Errors
/// Failure, naming the file.
pub fn write_genesis(path: &Path, genesis: &Genesis, output: &Output) -> Result<(), CliError> {
    write_private_new(path, &encode(genesis))?;
    output.object(&MadeGenesis {
        file: path.display().to_string(),
        chain: genesis.chain_id().to_string(),
        validators: genesis.validators.count(),
    })
}

/// Reads the TOML from which a genesis is made.
///
/// # Errors
/// Usage, naming the file and the field.
pub fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, CliError> {
    const MAX_BYTES: usize = 1024 * 1024;
    let wrong = |e: String| {
        CliError::usage(
            format!("{} is wrong: {e}", path.display()),
            "mend what it names; --help shows what belongs into it",
        )
    };
    let bytes = caduceus_cli::read_limited(path, MAX_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|e| wrong(e.to_string()))?;
    toml::from_str(&text).map_err(|e| wrong(e.to_string()))
}
