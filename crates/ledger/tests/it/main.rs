//! The ledger's rules from outside: sets, certificates, light client, blocks, state, execution, proofs, bytes.
#![allow(clippy::unwrap_used, missing_docs)]

mod a_certificate_counts_each_voter_of_its_chain_once;
mod a_header_commits_to_its_body_and_every_field;
mod a_light_client_believes_only_fresh_certified_heads;
mod a_proof_under_a_certified_header_survives_no_tampering;
mod a_replayed_block_gives_the_header_it_was_built_with;
mod a_state_proof_holds_for_its_key_value_and_root_alone;
mod a_transaction_is_committed_once;
mod a_validator_set_has_one_encoding_and_a_strict_quorum;
mod an_overlay_reads_as_if_its_changes_were_stored;
mod replay_names_the_rule_that_a_block_breaks;
mod support;
mod wire_snapshots;
