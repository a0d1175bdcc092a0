//! `members`: the validators of a hospital's chain and the keys of the hospital on it. Its identity key alone decides.

use super::PROGRAM;
use caduceus_cli::{CliError, Output};
use caduceus_crypto::SecretKey;
use caduceus_node::NodeHome;
use caduceus_operator::{
    DeedKind, OwnNode, Place, SetEdit, ValidatorRow, key_file, validator_rows,
};
use clap::Subcommand;
use private_chain::{HospitalKeys, Rotate, Tx, Validators, state};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Members {
    /// Show the hospital's keys and the validators, as the running node in --home has them.
    Show,
    /// Change the validators from the next block on.
    Validators(SetEdit),
    /// Change the hospital's identity and server key.
    Rotate {
        /// The new identity key; the present one goes on if it is left out
        #[arg(long, value_name = "KEY-FILE")]
        new_identity: Option<PathBuf>,
        /// The server's new key
        #[arg(long, value_name = "KEY-FILE")]
        new_server: PathBuf,
        /// For so many hours the old server key goes on to count, so that what is under way arrives; 0 for a stolen
        /// key
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(..=168))]
        grace_hours: u16,
    },
}

impl Members {
    /// Whether it shows or changes.
    pub(super) fn kind(&self) -> DeedKind {
        match self {
            Members::Show => DeedKind::Read,
            Members::Validators(_) | Members::Rotate { .. } => DeedKind::Update,
        }
    }
}

#[derive(Serialize)]
struct Shown {
    generation: u64,
    identity: String,
    server: String,
    former_server: Option<String>,
    former_server_until: Option<String>,
    validators: Vec<ValidatorRow>,
}

#[derive(Serialize)]
struct Changed {
    change: &'static str,
    generation: u64,
    height: u64,
    tx: String,
}

/// Does it, at the running node of a folder, as the hospital.
pub(super) async fn run(
    home: &NodeHome,
    what: Members,
    identity: &Path,
    output: &Output,
) -> Result<(), CliError> {
    let key = key_file(identity)?;
    let node = OwnNode::connect(home, PROGRAM, &key).await?;
    let done = match what {
        Members::Show => show(&node, output).await,
        Members::Validators(edit) => validators(&node, &edit, &key, output).await,
        Members::Rotate {
            new_identity,
            new_server,
            grace_hours,
        } => {
            let new_identity = new_identity.as_deref().map_or(Ok(key.clone()), key_file);
            rotate(
                &node,
                &key,
                &new_identity?,
                &key_file(&new_server)?,
                grace_hours,
                output,
            )
            .await
        }
    };
    node.close().await;
    done
}

async fn hospital_keys(node: &OwnNode) -> Result<HospitalKeys, CliError> {
    let key = state::hospital_keys();
    let damaged = |e: String| {
        CliError::verification_failed(
            format!("the node's state does not decode: {e}"),
            format!("check its store: {PROGRAM} validate --home DIR"),
        )
    };
    let bytes = node.state(key.bytes()).await?;
    let bytes = bytes.ok_or_else(|| damaged("it has no keys".into()))?;
    key.decode(&bytes).map_err(|e| damaged(e.to_string()))
}

/// The keys, which this identity key may change.
async fn own_keys(node: &OwnNode, identity: &SecretKey) -> Result<HospitalKeys, CliError> {
    let keys = hospital_keys(node).await?;
    if keys.identity != identity.public() {
        return Err(CliError::denied(
            format!("{} is not the hospital's identity key", identity.public()),
            "--identity KEY-FILE with the key that members show names",
        ));
    }
    Ok(keys)
}

async fn show(node: &OwnNode, output: &Output) -> Result<(), CliError> {
    let keys = hospital_keys(node).await?;
    output.object(&Shown {
        generation: keys.generation,
        identity: keys.identity.to_string(),
        server: keys.server.to_string(),
        former_server: keys.former.map(|former| former.key.to_string()),
        former_server_until: keys.former.map(|former| former.until.to_string()),
        validators: validator_rows(&node.validators().await?),
    })
}

fn changed(
    change: &'static str,
    generation: u64,
    tx: &Tx,
    place: Place,
    output: &Output,
) -> Result<(), CliError> {
    output.object(&Changed {
        change,
        generation,
        height: place.height,
        tx: tx.id().to_string(),
    })
}

async fn validators(
    node: &OwnNode,
    edit: &SetEdit,
    identity: &SecretKey,
    output: &Output,
) -> Result<(), CliError> {
    let keys = own_keys(node, identity).await?;
    let body = Validators {
        generation: keys.generation,
        set: edit.apply(&node.validators().await?)?,
    };
    let tx = Tx::Validators(body.sign(&node.chain(), identity));
    let place = node.submit(tx.encode()).await?;
    changed("validators", keys.generation, &tx, place, output)
}

async fn rotate(
    node: &OwnNode,
    old: &SecretKey,
    identity: &SecretKey,
    server: &SecretKey,
    grace_hours: u16,
    output: &Output,
) -> Result<(), CliError> {
    let keys = own_keys(node, old).await?;
    let body = Rotate {
        generation: keys.generation,
        identity: identity.public(),
        server: server.public(),
        grace_millis: u64::from(grace_hours) * 3_600_000,
    };
    let tx = Tx::Rotate(body.sign(&node.chain(), old, identity, server));
    let place = node.submit(tx.encode()).await?;
    changed("rotate", keys.generation, &tx, place, output)?;
    output.note("Now put the new keys into the server's home and the network file, and start the server again.");
    Ok(())
}
