//! Every mistake of a person and every failure of a machine ends in two lines on standard error, what happened
//! and what to do, in the right exit code, and in nothing half done. Shown with the real programs, run as people
//! run them, against a network in this process. Each group has controls that succeed: else a refusal shows
//! nothing.

mod amendments;
mod cards;
mod documents;
mod grants;
mod keystores;
mod networks;
mod program;
mod quorum;
mod searches;
mod services;
mod simulator;
mod table;
mod verify;
mod world;

use caduceus_node::home::EngineKind;
use table::Table;
use world::World;
pub use world::files_below;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mistakes_are_told_in_two_lines_and_leave_nothing_behind() {
    let mut world = World::start(EngineKind::Solo).await;
    let mut table = Table::default();
    documents::run(&world, &mut table).await;
    cards::run(&world, &mut table).await;
    networks::run(&world, &mut table).await;
    keystores::run(&world, &mut table).await;
    amendments::run(&world, &mut table).await;
    searches::run(&world, &mut table).await;
    verify::run(&world, &mut table).await;
    grants::run(&world, &mut table).await;
    services::run(&mut world, &mut table).await;
    world.stop().await;
    table.finish(380);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_quorum_the_programs_say_so_in_time_and_nothing_is_half_done() {
    let mut world = World::start(EngineKind::Bft).await;
    let mut table = Table::default();
    quorum::run(&world, &mut table).await;
    world.stop().await;
    table.finish(6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mistakes_in_the_simulator_and_at_a_node_need_no_network_to_be_told() {
    let mut table = Table::default();
    simulator::run(&mut table).await;
    table.finish(45);
}
