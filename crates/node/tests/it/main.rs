//! Nodes in one process, over real sockets and real files.
#![allow(clippy::unwrap_used, missing_docs)]

mod a_block_from_the_future_is_refused;
mod a_damaged_log_stops_nobody;
mod a_damaged_snapshot_is_refused;
mod a_fifth_validator_joins_and_one_leaves_under_load;
mod a_full_disk_stops_signing_and_reads_go_on;
mod a_mined_chain_goes_on_after_a_kill;
mod a_node_from_an_old_copy_of_its_home_signs_nothing_twice;
mod a_node_says_whom_it_does_not_hear;
mod a_wiped_node_joins_by_a_snapshot;
mod all_validators_killed_under_load_go_on_by_themselves;
mod four_validators_decide_on_demand;
mod light_blocks_show_who_voted;
mod signatures_are_written_down;
mod solo_chain_survives_a_restart;
mod support;
mod validation_names_the_first_bad_height_and_the_transaction;
mod wire_snapshots;
