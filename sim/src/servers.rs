//! The hospitals' servers and key services in this process, and an independent count of what they do.

use crate::layout::{HospitalLayout, Layout};
use anyhow::Context;
use caduceus_crypto::Hash;
use caduceus_network::Limits;
use hospital_server::keys::{self, KeysConfig, RunningKeys};
use hospital_server::server::{self, RunningServer, ServerConfig};
use hospital_server::{ActionJournal, system_clock};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Counts vault calls and replies by request identifier, apart from any log.
#[derive(Default)]
pub struct CountingJournal(Mutex<Vec<([u8; 16], String)>>);

impl CountingJournal {
    /// What was done so far.
    pub fn actions(&self) -> Vec<([u8; 16], String)> {
        self.0
            .lock()
            .expect("no holder of this lock panics")
            .clone()
    }

    fn add(&self, request_id: [u8; 16], what: &str) {
        self.0
            .lock()
            .expect("no holder of this lock panics")
            .push((request_id, what.to_owned()));
    }
}

impl ActionJournal for CountingJournal {
    fn vault_call(&self, request_id: [u8; 16], what: &str) {
        self.add(request_id, what);
    }

    fn replied(&self, request_id: [u8; 16], exchange: &str) {
        self.add(request_id, exchange);
    }
}

/// The running servers, in the order of the hospitals.
pub struct Servers {
    servers: Vec<RunningServer>,
    keys: Vec<RunningKeys>,
}

async fn start_server(
    layout: &Layout,
    hospital: &HospitalLayout,
    journal: Arc<CountingJournal>,
) -> anyhow::Result<RunningServer> {
    let config = ServerConfig {
        home: hospital.server_home(),
        network: layout.network.clone(),
        alliance_genesis: layout.genesis.clone(),
        private_genesis: hospital.genesis.clone(),
        hospital: hospital.name.clone(),
        listen: vec![hospital.server_address.address.clone()],
        identity: hospital.identity.clone(),
        server: hospital.server.clone(),
        limits: Limits::default(),
        journal: Some(journal),
        clock: system_clock(),
    };
    server::start(config)
        .await
        .with_context(|| format!("the server of {}", hospital.name))
}

async fn start_keys(
    layout: &Layout,
    hospital: &HospitalLayout,
    journal: Arc<CountingJournal>,
) -> anyhow::Result<RunningKeys> {
    let config = KeysConfig {
        home: hospital.keys_home(),
        network: layout.network.clone(),
        private_genesis: hospital.genesis.clone(),
        hospital: hospital.name.clone(),
        listen: vec![hospital.keys_address.address.clone()],
        key: hospital.keys.clone(),
        index_key: hospital.index.clone(),
        limits: Limits::default(),
        journal: Some(journal),
        clock: system_clock(),
    };
    keys::start(config)
        .await
        .with_context(|| format!("the key service of {}", hospital.name))
}

impl Servers {
    /// Starts every hospital's server and key service.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(layout: &Layout, journal: Arc<CountingJournal>) -> anyhow::Result<Self> {
        let mut all = Self {
            servers: Vec::new(),
            keys: Vec::new(),
        };
        for hospital in &layout.hospitals {
            all.servers
                .push(start_server(layout, hospital, journal.clone()).await?);
            all.keys
                .push(start_keys(layout, hospital, journal.clone()).await?);
        }
        Ok(all)
    }

    /// Where a hospital's vault keeps a record.
    pub fn vault_path(&self, layout: &Layout, hospital: usize, record: &Hash) -> PathBuf {
        layout.hospitals[hospital]
            .server_home()
            .join("vault")
            .join(record.to_string())
    }

    /// Stops all of them.
    pub async fn stop(&mut self) {
        for keys in self.keys.drain(..) {
            keys.stop().await;
        }
        for server in self.servers.drain(..) {
            server.stop().await;
        }
    }
}
