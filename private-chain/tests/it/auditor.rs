//! An auditor imports another log into a running chain and asks her questions, by the commands alone.

use crate::members::{World, free_addresses, network};
use caduceus_cli::NetworkFile;
use caduceus_crypto::encode;
use caduceus_network::exchange::{BucketKeys, BucketKeysReply, BucketKeysRequest, LivingKey};
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig, peer_id};
use caduceus_node::{Clock, NodeHome, SystemClock};
use private_chain::audit::month_of;
use private_chain::node::{PrivateNode, PrivateNodeConfig};
use private_chain::{ActionClass, Bucket};
use std::sync::Arc;

/// Users 8 and 9 on 2018-03-25; the last row is an hour later.
const ROWS: &str = "1522000002801\t1\t1\t40\t8\tREQ_RESOURCE\tMOD_FlyBase\n\
    1522000003801\t1\t2\t40\t8\tFILE_ACCESS\tMOD_FlyBase\n\
    1522000004801\t1\t3\t40\t8\tFILE_ACCESS\tMOD_GMOD\n\
    1522000005801\t1\t4\t41\t9\tFILE_ACCESS\tMOD_GMOD\n\
    1522003602801\t1\t5\t41\t9\tFILE_ACCESS\tMOD_GMOD\n";

async fn started(world: &World) -> PrivateNode {
    let identity = world.made_key("identity.key");
    let server = world.made_key("server.key");
    let own = world.good(&["init"])["key"].as_str().unwrap().to_owned();
    world.good(&[
        "genesis",
        "--name",
        "St Mary",
        "--identity",
        &identity,
        "--server",
        &server,
        "--validator",
        &own,
        "--out",
        "h.genesis",
    ]);
    network(&world.path("network.toml"));
    let [service, consensus] = free_addresses();
    world.good(&[
        "init",
        "--network",
        "network.toml",
        "--genesis",
        "h.genesis",
        "--service",
        &service,
        "--consensus",
        &consensus,
        "--solo",
    ]);
    let home = NodeHome::load(&world.path("n0")).unwrap();
    let read = NetworkFile::load(&world.path("network.toml")).unwrap();
    let config = PrivateNodeConfig::from_home(home, &read, Arc::new(SystemClock));
    PrivateNode::start(config).await.unwrap()
}

/// As the hospital's server does with its first entry of a class and month.
async fn give_keys(world: &World) {
    let home = NodeHome::load(&world.path("n0")).unwrap();
    let service = Service::start(ServiceConfig {
        key: &world.key("server.key"),
        listen: Vec::new(),
        limits: Limits::default(),
    })
    .await
    .unwrap();
    let node = PeerAddr {
        id: peer_id(&home.key.public()),
        address: home.file.service_listen.clone(),
    };
    for class in [ActionClass::ClinicalRead, ActionClass::Administration] {
        let bucket = Bucket {
            class,
            month: month_of(SystemClock.now()),
        };
        let offer = BucketKeysRequest::Offer(LivingKey {
            bucket: encode(&bucket).try_into().unwrap(),
            key: [class as u8; 32],
        });
        let reply = service.call::<BucketKeys>(&node, offer).await.unwrap();
        assert_eq!(reply, BucketKeysReply::Kept);
    }
    service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_imports_asks_reports_and_judges() {
    let world = World {
        dir: tempfile::tempdir().unwrap(),
    };
    let node = started(&world).await;
    std::fs::write(world.path("node1.txt"), ROWS).unwrap();
    let import = ["audit", "import", "--format", "idash", "node1.txt"];
    world.bad(&import, 1, "has no key of");
    give_keys(&world).await;
    let imported = world.good(&import);
    assert_eq!(
        (&imported[0]["rows"], &imported[0]["batches"]),
        (&5.into(), &1.into())
    );

    let ids = |arguments: &[&str]| -> Vec<String> {
        let found = world.good(&[&["audit", "query"], arguments].concat());
        let rows = found.as_array().unwrap().iter();
        rows.map(|row| row["reference"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&[]), ["1", "2", "3", "4", "5"]);
    assert_eq!(ids(&["--newest", "--limit", "2"]), ["5", "4"]);
    assert_eq!(ids(&["--cursor", "3"]), ["4", "5"]);
    assert_eq!(ids(&["--actor", "8", "--action", "read"]), ["2", "3"]);
    assert_eq!(
        ids(&["--resource", "MOD_GMOD", "--until", "2018-03-25T18:00:00Z"]),
        ["3", "4"]
    );
    assert_eq!(
        ids(&["--sort", "reference:desc", "--all"]),
        ["5", "4", "3", "2", "1"]
    );
    assert!(ids(&["--outcome", "denied"]).is_empty());
    world.bad(&["audit", "query", "--sort", "shoe"], 2, "no column");
    let bundle = world.good(&["audit", "query", "--fhir", "--request", "41"]);
    assert_eq!(
        (&bundle["type"], &bundle["entry"][1]["resource"]["outcome"]),
        (&"collection".into(), &"0".into())
    );

    let report = |arguments: &[&str]| world.good(&[&["audit", "report"], arguments].concat());
    assert_eq!(
        report(&["actions", "--actor", "9"])
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(report(&["denied"]).as_array().unwrap().len(), 0);
    let bulk = report(&["bulk", "--more-than", "1", "--window", "1m"]);
    assert_eq!(
        (&bulk[0]["actor"], &bulk[0]["resources"]),
        (&"8".into(), &2.into())
    );
    // A Sunday.
    assert_eq!(
        report(&["after-hours", "--weekends-off"])
            .as_array()
            .unwrap()
            .len(),
        5
    );

    let model = [
        "audit",
        "model",
        "--from",
        "2018-03-25",
        "--to",
        "2018-03-26",
        "--slot",
        "1h",
    ];
    let judged = world.good(&model);
    assert_eq!(
        (&judged["users"], &judged["actions"], &judged["slots"]),
        (&2.into(), &2.into(), &24.into())
    );
    assert_eq!(
        (&judged["entries"], &judged["objective"]),
        (&5.into(), &4.into())
    );
    let access =
        "{\"time\":1522000003900,\"request\":\"nobody's\",\"kind\":\"get\",\"record\":null}\n";
    std::fs::write(world.path("vault.ndjson"), access).unwrap();
    let with_vault = [&model[..], &["--vault-log", "vault.ndjson"]].concat();
    let (code, judged, said) = world.run(&with_vault);
    assert_eq!(code, Some(5), "{said}");
    assert_eq!(judged["violations"][0]["constraint"], "vault");

    let none = world.good(&["audit", "retain", "--dry-run", "--keep", "clinical-read=1"]);
    assert_eq!(none.as_array().unwrap().len(), 0);
    world.bad(
        &["audit", "retain", "--dry-run"],
        2,
        "nothing says how long",
    );
    world.bad(
        &["audit", "export", "--proof", "--entry", "0"],
        2,
        "names no hospital",
    );
    world.bad(
        &["audit", "export", "--proof", "--entry", "99"],
        3,
        "no entry fits",
    );
    node.stop().await;
    world.bad(&["audit", "query"], 6, "the node does not answer");
}
