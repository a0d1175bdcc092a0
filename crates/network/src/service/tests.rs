//! Services on the loopback interface, with real sockets.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::frame::{self, ReadError};
use borsh::{BorshDeserialize, BorshSerialize};
use libp2p::StreamProtocol;
use rand_core::OsRng;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[derive(Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Text(String);

/// Answers with the text it got.
struct Echo;

impl Exchange for Echo {
    const PROTOCOL: &'static str = "/caduceus/test-echo/1";
    type Request = Text;
    type Response = Text;
    const MAX_REQUEST: usize = 2 * 1024 * 1024;
    const MAX_RESPONSE: usize = 2 * 1024 * 1024;
    const TIMEOUT: Duration = Duration::from_secs(10);
}

/// The same bytes as [`Echo`] under a name nobody serves.
struct Unknown;

impl Exchange for Unknown {
    const PROTOCOL: &'static str = "/caduceus/test-unknown/1";
    type Request = Text;
    type Response = Text;
    const MAX_REQUEST: usize = 1024;
    const MAX_RESPONSE: usize = 1024;
    const TIMEOUT: Duration = Duration::from_secs(10);
}

/// [`Echo`] as a caller with small limits sees it.
struct SmallEcho;

impl Exchange for SmallEcho {
    const PROTOCOL: &'static str = Echo::PROTOCOL;
    type Request = Text;
    type Response = Text;
    const MAX_REQUEST: usize = 2 * 1024 * 1024;
    const MAX_RESPONSE: usize = 16;
    const TIMEOUT: Duration = Duration::from_secs(10);
}

/// [`Echo`] as a caller who allows larger requests than the callee sees it.
struct LargeEcho;

impl Exchange for LargeEcho {
    const PROTOCOL: &'static str = Echo::PROTOCOL;
    type Request = Text;
    type Response = Text;
    const MAX_REQUEST: usize = 16 * 1024 * 1024;
    const MAX_RESPONSE: usize = 16 * 1024 * 1024;
    const TIMEOUT: Duration = Duration::from_secs(10);
}

/// [`Echo`] for an impatient caller.
struct HastyEcho;

impl Exchange for HastyEcho {
    const PROTOCOL: &'static str = Echo::PROTOCOL;
    type Request = Text;
    type Response = Text;
    const MAX_REQUEST: usize = 1024;
    const MAX_RESPONSE: usize = 1024;
    const TIMEOUT: Duration = Duration::from_millis(300);
}

fn text(value: &str) -> Text {
    Text(value.to_owned())
}

fn loopback() -> Vec<Multiaddr> {
    vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()]
}

async fn start(key: &SecretKey, listen: Vec<Multiaddr>, limits: Limits) -> Service {
    Service::start(ServiceConfig {
        key,
        listen,
        limits,
    })
    .await
    .unwrap()
}

async fn server(limits: Limits) -> Service {
    start(&SecretKey::generate(&mut OsRng), loopback(), limits).await
}

async fn client() -> Service {
    let key = SecretKey::generate(&mut OsRng);
    start(&key, Vec::new(), Limits::default()).await
}

fn serve_echo(service: &Service) {
    service.serve::<Echo, _, _>(|_| true, |_, request| async move { Ok(request) });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_services_exchange() {
    let (server, client) = (server(Limits::default()).await, client().await);
    serve_echo(&server);
    let to = server.peer_address().unwrap();
    assert_eq!(to.id, server.peer_id());
    assert_eq!(server.listen_addrs().await, vec![to.address.clone()]);
    assert_eq!(client.peer_address(), None);
    for word in ["", "one", "two"] {
        let answer = client.call::<Echo>(&to, text(word)).await.unwrap();
        assert_eq!(answer, text(word));
    }
    server.shutdown().await;
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mebibyte_travels_both_ways_over_tcp_and_quic() {
    let key = SecretKey::generate(&mut OsRng);
    let listen = vec![
        "/ip4/127.0.0.1/tcp/0".parse().unwrap(),
        "/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap(),
    ];
    let server = start(&key, listen, Limits::default()).await;
    serve_echo(&server);
    let addresses = server.listen_addrs().await;
    assert_eq!(addresses.len(), 2);
    let large = "x".repeat(1024 * 1024);
    for address in addresses {
        let client = client().await;
        let to = PeerAddr {
            id: server.peer_id(),
            address,
        };
        let answer = client.call::<Echo>(&to, text(&large)).await.unwrap();
        assert_eq!(answer.0.len(), large.len());
        client.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handler_sees_the_key_that_noise_proved() {
    let server = server(Limits::default()).await;
    let key = SecretKey::generate(&mut OsRng);
    let client = start(&key, Vec::new(), Limits::default()).await;
    let expected = client.peer_id();
    server.serve::<Echo, _, _>(
        |_| true,
        move |peer, _| async move {
            assert_eq!(peer.id, expected);
            let key = peer.key.ok_or_else(|| Refused::because("no key"))?;
            Ok(Text(format!("{key} {}", peer.address)))
        },
    );
    let to = server.peer_address().unwrap();
    let answer = client.call::<Echo>(&to, text("who am I?")).await.unwrap();
    let (found, address) = answer.0.split_once(' ').unwrap();
    assert_eq!(found, key.public().to_string());
    assert!(address.starts_with("/ip4/127.0.0.1/tcp/"), "{address}");
}

#[tokio::test(flavor = "multi_thread")]
async fn forbidden_absent_malformed_and_refused_look_alike() {
    let server = server(Limits::default()).await;
    let (member, stranger) = (SecretKey::generate(&mut OsRng), client().await);
    let allowed = member.public();
    let member = start(&member, Vec::new(), Limits::default()).await;
    server.serve::<Echo, _, _>(
        move |peer| peer.holds(&allowed),
        |_, request| async move {
            if request.0 == "nothing of the kind" {
                return Err(Refused::because("no such thing"));
            }
            Ok(request)
        },
    );
    let to = server.peer_address().unwrap();
    let hello = member.call::<Echo>(&to, text("hello")).await.unwrap();
    assert_eq!(hello, text("hello"));
    let seen = [
        stranger.call::<Echo>(&to, text("hello")).await,
        stranger.call::<Unknown>(&to, text("hello")).await,
        member.call::<Echo>(&to, text("nothing of the kind")).await,
    ];
    for outcome in &seen {
        assert_eq!(outcome, &Err(CallError::Refused));
    }
    assert_eq!(seen.len(), 3);
    // On the wire: a forbidden, a malformed, a known but unserved one; each ends without a byte.
    let mut ends = 0;
    for (service, name, body) in [
        (&stranger, Echo::PROTOCOL, vec![2, 0, 0, 0, b'h', b'i']),
        (&member, Echo::PROTOCOL, vec![0xff; 64]),
        (&member, crate::exchange::PROTOCOLS[0], vec![0; 64]),
    ] {
        let mut control = service.inner.control.clone();
        let mut stream = control
            .open_stream(to.id, StreamProtocol::new(name))
            .await
            .unwrap();
        // The other side may have ended the stream already.
        let _ = frame::write(&mut stream, &body).await;
        let end = frame::read(&mut stream, 1024).await.unwrap_err();
        assert!(matches!(end, ReadError::Closed), "{end:?}");
        ends += 1;
    }
    assert_eq!(ends, 3);
    let still = member.call::<Echo>(&to, text("still")).await.unwrap();
    assert_eq!(still, text("still"));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_messages_are_refused_on_both_sides() {
    let (server, client) = (server(Limits::default()).await, client().await);
    serve_echo(&server);
    let to = server.peer_address().unwrap();
    let large = "x".repeat(3 * 1024 * 1024);
    // Our own limit, before anything is sent.
    let error = client.call::<Echo>(&to, text(&large)).await.unwrap_err();
    assert_eq!(
        error,
        CallError::TooLarge {
            limit: Echo::MAX_REQUEST,
            found: large.len() + 4
        }
    );
    // The callee's limit: it reads the length and no more.
    let error = client.call::<LargeEcho>(&to, text(&large)).await;
    assert_eq!(error.unwrap_err(), CallError::Refused);
    // The caller's limit on the response.
    let error = client
        .call::<SmallEcho>(&to, text("twenty characters..."))
        .await;
    assert_eq!(
        error.unwrap_err(),
        CallError::TooLarge {
            limit: 16,
            found: 24
        }
    );
    // A length that no memory holds.
    let mut control = client.inner.control.clone();
    let mut stream = control
        .open_stream(to.id, StreamProtocol::new(Echo::PROTOCOL))
        .await
        .unwrap();
    futures::AsyncWriteExt::write_all(&mut stream, &u32::MAX.to_le_bytes())
        .await
        .unwrap();
    futures::AsyncWriteExt::flush(&mut stream).await.unwrap();
    let end = frame::read(&mut stream, 1024).await.unwrap_err();
    assert!(matches!(end, ReadError::Closed), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_peer_is_unreachable_in_time() {
    let client = client().await;
    let to = {
        let gone = server(Limits::default()).await;
        let to = gone.peer_address().unwrap();
        gone.shutdown().await;
        to
    };
    let started = Instant::now();
    let error = client.call::<Echo>(&to, text("hello")).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Unreachable { peer, .. } if *peer == to),
        "{error:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(11));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_at_the_address_is_unreachable() {
    let (server, client) = (server(Limits::default()).await, client().await);
    serve_echo(&server);
    let impostor = PeerAddr {
        id: peer::peer_id(&SecretKey::generate(&mut OsRng).public()),
        address: server.peer_address().unwrap().address,
    };
    let error = client.call::<Echo>(&impostor, text("hello")).await;
    assert!(matches!(error.unwrap_err(), CallError::Unreachable { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_dies_is_unreachable_and_back_after_its_restart() {
    let key = SecretKey::generate(&mut OsRng);
    let client = client().await;
    let first = start(&key, loopback(), Limits::default()).await;
    serve_echo(&first);
    let to = first.peer_address().unwrap();
    client.call::<Echo>(&to, text("hello")).await.unwrap();
    first.shutdown().await;
    let error = client.call::<Echo>(&to, text("hello")).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error:?}");
    // Same key, same address: one call is enough.
    let second = start(&key, vec![to.address.clone()], Limits::default()).await;
    serve_echo(&second);
    // On a busy machine the new service may still decline the first stream.
    let mut answer = client.call::<Echo>(&to, text("again")).await;
    if matches!(answer, Err(CallError::Refused)) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        answer = client.call::<Echo>(&to, text("again")).await;
    }
    assert_eq!(answer.unwrap(), text("again"));
    // Restarted between two calls: the dead connection is noticed and replaced within the call.
    second.shutdown().await;
    let third = start(&key, vec![to.address.clone()], Limits::default()).await;
    serve_echo(&third);
    let answer = client.call::<Echo>(&to, text("thrice")).await.unwrap();
    assert_eq!(answer, text("thrice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_handler_times_out_for_the_caller_only() {
    let (server, client) = (server(Limits::default()).await, client().await);
    let finished = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&finished);
    server.serve::<Echo, _, _>(
        |_| true,
        move |_, request| {
            let counter = Arc::clone(&counter);
            async move {
                tokio::time::sleep(Duration::from_millis(800)).await;
                counter.fetch_add(1, Ordering::SeqCst);
                Ok(request)
            }
        },
    );
    let to = server.peer_address().unwrap();
    let started = Instant::now();
    let error = client.call::<HastyEcho>(&to, text("quick")).await;
    assert_eq!(error.unwrap_err(), CallError::Timeout);
    assert!(started.elapsed() < Duration::from_secs(3));
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(
        finished.load(Ordering::SeqCst),
        1,
        "handlers run to their end"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_over_its_rate_is_refused_and_another_is_not() {
    let limits = Limits {
        requests_per_second: NonZeroU32::new(1).unwrap(),
        burst: NonZeroU32::new(5).unwrap(),
        patience: Duration::ZERO,
        ..Limits::default()
    };
    let server = server(limits).await;
    serve_echo(&server);
    let to = server.peer_address().unwrap();
    let (loud, quiet) = (client().await, client().await);
    let (mut served, mut refused) = (0, 0);
    for _ in 0..20 {
        match loud.call::<Echo>(&to, text("again")).await {
            Ok(_) => served += 1,
            Err(CallError::Refused) => refused += 1,
            Err(other) => panic!("unexpected {other:?}"),
        }
    }
    assert!((5..=10).contains(&served), "{served} served");
    assert_eq!(served + refused, 20);
    quiet.call::<Echo>(&to, text("once")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_streams_do_not_keep_others_from_a_handler() {
    let limits = Limits {
        streams_at_once: 1,
        ..Limits::default()
    };
    let server = server(limits).await;
    serve_echo(&server);
    let to = server.peer_address().unwrap();
    let (silent, client) = (client().await, client().await);
    silent.call::<Echo>(&to, text("hello")).await.unwrap();
    let mut control = silent.inner.control.clone();
    let mut streams = Vec::new();
    // One says half of a length, one a length and nothing of its body.
    for beginning in [&[9u8, 0][..], &[9u8, 0, 0, 0][..]] {
        let mut stream = control
            .open_stream(to.id, StreamProtocol::new(Echo::PROTOCOL))
            .await
            .unwrap();
        futures::AsyncWriteExt::write_all(&mut stream, beginning)
            .await
            .unwrap();
        futures::AsyncWriteExt::flush(&mut stream).await.unwrap();
        streams.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    let answer = client.call::<Echo>(&to, text("meanwhile")).await.unwrap();
    assert_eq!(answer, text("meanwhile"));
    assert!(started.elapsed() < Duration::from_secs(3));
    // Their time is over long before the exchange's.
    for mut stream in streams {
        let end = frame::read(&mut stream, 1024).await.unwrap_err();
        assert!(matches!(end, ReadError::Closed), "{end:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_honest_callers_is_served_in_full() {
    const CALLERS: usize = 12;
    const CALLS: usize = 40;
    let server = server(Limits::default()).await;
    serve_echo(&server);
    let to = server.peer_address().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let client = client().await;
        for number in 0..CALLS {
            let (client, to) = (client.clone(), to.clone());
            tasks.spawn(async move {
                let word = number.to_string();
                let answer = client.call::<Echo>(&to, text(&word)).await;
                assert_eq!(answer, Ok(text(&word)));
            });
        }
    }
    let mut done = 0;
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap();
        done += 1;
    }
    assert_eq!(done, CALLERS * CALLS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_listened_on_is_named() {
    let key = SecretKey::generate(&mut OsRng);
    let address: Multiaddr = "/dns4/example.org/tcp/0".parse().unwrap();
    let error = Service::start(ServiceConfig {
        key: &key,
        listen: vec![address.clone()],
        limits: Limits::default(),
    })
    .await
    .err()
    .unwrap();
    assert!(
        matches!(&error, StartError::Listen { address: named, .. } if *named == address),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "served twice")]
async fn one_exchange_has_one_handler() {
    let service = client().await;
    serve_echo(&service);
    serve_echo(&service);
}

/// Counts, on streams that are kept.
struct KeptEcho;

impl Exchange for KeptEcho {
    const PROTOCOL: &'static str = "/caduceus/test-kept/1";
    type Request = Text;
    type Response = Text;
    const KEPT: bool = true;
    const MAX_REQUEST: usize = 1024;
    const MAX_RESPONSE: usize = 1024;
    const TIMEOUT: Duration = Duration::from_secs(10);
}

/// Answers with the text it got, but refuses "no".
fn serve_kept(service: &Service) -> Arc<AtomicUsize> {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    service.serve::<KeptEcho, _, _>(
        |_| true,
        move |_, request| {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                match request.0.as_str() {
                    "no" => Err(Refused::because("no")),
                    _ => Ok(request),
                }
            }
        },
    );
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_stream_serves_the_next_request_and_outlives_no_refusal() {
    let (server, client) = (server(Limits::default()).await, client().await);
    let seen = serve_kept(&server);
    let to = server.peer_address().unwrap();
    let mark = || client.inner.links.mark(&to.id);
    for word in ["", "one", "two"] {
        let answer = client.call::<KeptEcho>(&to, text(word)).await.unwrap();
        assert_eq!(answer, text(word));
    }
    let name = KeptEcho::PROTOCOL;
    let kept = client.inner.kept.take(to.id, name, mark()).unwrap();
    let more = client.inner.kept.take(to.id, name, mark());
    assert!(more.is_none(), "three requests took one stream");
    assert_eq!(seen.load(Ordering::SeqCst), 3);
    client.inner.kept.keep(to.id, name, kept, mark());
    let refused = client.call::<KeptEcho>(&to, text("no")).await;
    assert_eq!(refused, Err(CallError::Refused));
    let again = client.call::<KeptEcho>(&to, text("three")).await;
    assert_eq!(again, Ok(text("three")));
    let large = client.call::<KeptEcho>(&to, text(&"x".repeat(2000))).await;
    assert!(matches!(large, Err(CallError::TooLarge { .. })));
    server.shutdown().await;
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_stream_of_a_server_that_restarted_is_replaced() {
    let key = SecretKey::generate(&mut OsRng);
    let first = start(&key, loopback(), Limits::default()).await;
    serve_kept(&first);
    let to = first.peer_address().unwrap();
    let client = client().await;
    client.call::<KeptEcho>(&to, text("one")).await.unwrap();
    first.shutdown().await;
    let second = start(&key, vec![to.address.clone()], Limits::default()).await;
    let seen = serve_kept(&second);
    let answer = client.call::<KeptEcho>(&to, text("two")).await;
    assert_eq!(answer, Ok(text("two")));
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    second.shutdown().await;
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_on_kept_streams_each_get_their_own_answer() {
    let (server, client) = (server(Limits::default()).await, client().await);
    serve_kept(&server);
    let to = server.peer_address().unwrap();
    let calls = (0..32).map(|caller| {
        let (client, to) = (client.clone(), to.clone());
        tokio::spawn(async move {
            for n in 0..10 {
                let word = format!("{caller} {n}");
                let answer = client.call::<KeptEcho>(&to, text(&word)).await;
                assert_eq!(answer, Ok(text(&word)));
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    server.shutdown().await;
    client.shutdown().await;
}
