//! Every domain-separation tag of the workspace, in one place, so that no two uses share one.
//!
//! A tag names one purpose and one version of its input. It goes, length-prefixed, before the fields of a
//! hash, a derivation or a signature ([`crate::hash`]), so a value made for one purpose is worth nothing for
//! another. A change of meaning takes a new constant with the next version, never an edit. Tags are literals:
//! nothing outside this file can make one.

use std::fmt;

/// The name of one use of a hash, a derivation or a signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(&'static str);

impl Domain {
    /// The bytes that are hashed.
    pub const fn as_bytes(&self) -> &'static [u8] {
        self.0.as_bytes()
    }

    /// The text, for logs.
    pub const fn as_str(&self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.0)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! domains {
    ($($(#[$doc:meta])* $name:ident = $tag:literal;)+) => {
        $($(#[$doc])* pub const $name: Domain = Domain($tag);)+

        /// Every tag above, for the test that they are distinct.
        pub const ALL: &[Domain] = &[$($name),+];
    };
}

domains! {
    // Identities and keys (DESIGN 3.1)
    /// A hospital's identifier: hash of its identity key.
    HOSPITAL_ID = "caduceus/hospital-id/v1";
    /// A validator's address: hash of its key.
    ADDRESS = "caduceus/address/v1";
    /// A patient's view key, from the seed.
    VIEW_KEY = "caduceus/view-key/v1";
    /// A patient's spend key, from the seed.
    SPEND_KEY = "caduceus/spend-key/v1";
    /// The secret that a patient shares with one hospital's key service, from the seed.
    PAIR_SECRET = "caduceus/pair-secret/v1";
    /// A patient's key for her audit log at one hospital, from the seed.
    AUDIT_KEY = "caduceus/audit-key/v1";
    /// A patient's or data user's network identity, from its seed.
    NETWORK_KEY = "caduceus/network-key/v1";
    /// A data user's signing key, from its seed.
    DATA_USER_SIGNING_KEY = "caduceus/data-user-signing-key/v1";
    /// A data user's Umbral receiving key, from its seed.
    RECEIVING_KEY = "caduceus/receiving-key/v1";
    /// Checksum of a meta-address's text form.
    META_ADDRESS = "caduceus/meta-address/v1";

    // Keystore file (DESIGN 3.1)
    /// Encryption key and key check value of a keystore.
    KEYSTORE_KEY = "caduceus/keystore-key/v1";
    /// Key check value of a keystore, where it is derived apart.
    KEYSTORE_CHECK = "caduceus/keystore-check/v1";
    /// Unkeyed checksum of a keystore file.
    KEYSTORE_CHECKSUM = "caduceus/keystore-checksum/v1";
    /// A box encrypted to a public key (ephemeral Diffie-Hellman and AES-256-GCM).
    SECRET_BOX = "caduceus/secret-box/v1";
    /// The box in which a pair secret travels to the key service.
    PAIR_SECRET_BOX = "caduceus/pair-secret-box/v1";
    /// The box in which key fragments travel or rest.
    FRAGMENT_BOX = "caduceus/fragment-box/v1";
    /// Encryption at rest in a node's own store.
    STORE_KEY = "caduceus/store-key/v1";

    // Pseudonyms (DESIGN 3.2)
    /// The scalar z that turns a spend key into a one-time key.
    PSEUDONYM = "caduceus/pseudonym/v1";
    /// The first byte that lets a patient skip what isn't hers.
    VIEW_TAG = "caduceus/view-tag/v1";
    /// The delegating key of one record.
    DELEGATE = "caduceus/delegate/v1";
    /// Binds a card to a meta-address and a hospital.
    CARD_BINDING = "caduceus/card-binding/v1";
    /// What an audit entry says instead of a card number.
    CARD_HASH = "caduceus/card-hash/v1";
    /// What a register keeps instead of a desk code.
    DESK_CODE = "caduceus/desk-code/v1";

    // Sealed record (DESIGN 3.3)
    /// Hash of a record's header.
    RECORD_HEADER = "caduceus/record-header/v1";
    /// Body key of a record, from its data key.
    RECORD_BODY_KEY = "caduceus/record-body-key/v1";
    /// Key commitment of a record, from its data key.
    RECORD_KEY_COMMITMENT = "caduceus/record-key-commitment/v1";
    /// Nonce prefix of a record's segments.
    RECORD_NONCE = "caduceus/record-nonce/v1";

    // Keyword index (DESIGN 3.4)
    /// Shared index key of a hospital and a patient for a quarter.
    INDEX_KEY = "caduceus/index/v1";
    /// Key of one keyword, from the quarter's key.
    KEYWORD_KEY = "caduceus/index-keyword/v1";
    /// Salt of one keyword's tree, from the quarter's key.
    INDEX_SALT = "caduceus/index-salt/v1";
    /// Root seed of one keyword's tree, from the keyword's key.
    INDEX_ROOT = "caduceus/index-root/v1";
    /// Hash of a record's index entries.
    INDEX_ENTRIES = "caduceus/index-entries/v1";
    /// Chain of a hospital's linked blocks, on the alliance chain.
    INDEX_LINKED = "caduceus/linked/v1";
    /// A patient's secret of the PEKS index, from the seed.
    PEKS_KEY = "caduceus/peks-key/v1";
    /// Hash of a keyword to G2, in the PEKS index (the tag DST of RFC 9380).
    PEKS_H1_DST = "caduceus/peks-keyword-to-g2/v1";
    /// Hash of a pairing's value, in the PEKS index.
    PEKS_H2 = "caduceus/peks-value/v1";
    /// A patient's secret as receiver of the PAEKS index, from the seed.
    PAEKS_KEY = "caduceus/paeks-key/v1";
    /// The sender's secret of a hospital and a patient in the PAEKS index, from their agreement.
    PAEKS_SENDER = "caduceus/paeks-sender/v1";
    /// Hash of a keyword to G1, in the PAEKS index (the tag DST of RFC 9380).
    PAEKS_H_DST = "caduceus/paeks-keyword-to-g1/v1";

    // Evidence (DESIGN 3.5)
    /// The author's signature over an anchor.
    ANCHOR = "caduceus/anchor/v1";
    /// The vault's signature that it stores the bytes.
    VAULT_RECEIPT = "caduceus/vault-receipt/v1";
    /// The hospital's signature on the receipt that the patient keeps.
    RECEIPT = "caduceus/receipt/v1";
    /// The patient's signature that she was there.
    VISIT_TOKEN = "caduceus/visit-token/v1";
    /// What an anchor carries instead of a visit token.
    VISIT_COMMITMENT = "caduceus/visit-commitment/v1";
    /// Proof that a record doesn't open (discrete logarithm equality).
    DLEQ = "caduceus/dleq/v1";

    // Proxy re-encryption (DESIGN 3.6)
    /// Salted commitment to a key fragment, in a grant.
    FRAGMENT_COMMITMENT = "caduceus/fragment-commitment/v1";
    /// A proxy's signature that it keeps a fragment.
    FRAGMENT_RECEIPT = "caduceus/fragment-receipt/v1";
    /// A proxy's signature on what it disclosed.
    PROXY_DISCLOSURE = "caduceus/proxy-disclosure/v1";
    /// The hash that such a signature covers.
    DISCLOSURE_PAYLOAD = "caduceus/disclosure-payload/v1";
    /// A pseudonym's endorsement of a grant's Umbral signer.
    SIGNER_ENDORSEMENT = "caduceus/signer-endorsement/v1";
    /// Salted commitment to a purpose, in a grant.
    PURPOSE_COMMITMENT = "caduceus/purpose-commitment/v1";

    // Search tokens (DESIGN 2.1, RFC 9474)
    /// A token issuer's identifier: hash of its public key.
    ISSUER_ID = "caduceus/issuer-id/v1";
    /// Identifier under which a spent token is remembered.
    TOKEN_ID = "caduceus/token-id/v1";
    /// Side-channel blinding of a token issuer's private operation.
    TOKEN_BLINDING = "caduceus/token-blinding/v1";

    // Ledger (DESIGN 4)
    /// A genesis, hence a chain identifier.
    GENESIS = "caduceus/genesis/v1";
    /// A block header.
    HEADER = "caduceus/header/v1";
    /// A transaction, hence its identifier.
    TX = "caduceus/tx/v1";
    /// A validator set.
    VALIDATORS = "caduceus/validators/v1";
    /// Checksum of the trusted head that a client keeps.
    TRUSTED_HEAD = "caduceus/trusted-head/v1";
    /// A vote in consensus.
    VOTE = "caduceus/vote/v1";
    /// A proposal in consensus.
    PROPOSAL = "caduceus/proposal/v1";
    /// A part of a proposal in consensus.
    PROPOSAL_PART = "caduceus/proposal-part/v1";
    /// Check of an entry of the last-signed guard.
    GUARD = "caduceus/guard/v1";
    /// Check of the consensus log's header.
    VOTE_LOG = "caduceus/vote-log/v1";
    /// Check of an entry of the consensus log, over the check before it.
    VOTE_LOG_ENTRY = "caduceus/vote-log-entry/v1";
    /// A validator's proof that a peer identifier is its own.
    VALIDATOR_PROOF = "caduceus/validator-proof/v1";
    /// A vote extension in consensus.
    VOTE_EXTENSION = "caduceus/vote-extension/v1";
    /// A change of the validator set.
    VALIDATOR_UPDATE = "caduceus/validator-update/v1";
    /// A try of a miner, in the chain of the logging paper.
    POW = "caduceus/pow/v1";
    /// What all miners of one block have in common.
    POW_PUZZLE = "caduceus/pow-puzzle/v1";
    /// A validator's signature over a solved puzzle.
    POW_SEAL = "caduceus/pow-seal/v1";
    /// A proof exported as a signed note.
    SIGNED_NOTE = "caduceus/signed-note/v1";
    /// A snapshot of the state, hence its identifier.
    SNAPSHOT = "caduceus/snapshot/v1";
    /// A chunk of a snapshot.
    SNAPSHOT_CHUNK = "caduceus/snapshot-chunk/v1";
    /// A validator's signature that its own state gives a snapshot.
    SNAPSHOT_ATTESTATION = "caduceus/snapshot-attestation/v1";

    // Private chain (DESIGN 5)
    /// Enrolment of a member of staff.
    ENROL = "caduceus/enrol/v1";
    /// Suspension of a member of staff.
    SUSPEND = "caduceus/suspend/v1";
    /// A hospital names the validators of its chain.
    PRIVATE_VALIDATORS = "caduceus/private-validators/v1";
    /// A hospital changes its keys on its chain: the old identity key.
    ROTATE = "caduceus/rotate/v1";
    /// The same: each new key, which shows that somebody holds it.
    ROTATE_ACCEPT = "caduceus/rotate-accept/v1";
    /// A new policy set.
    POLICY = "caduceus/policy/v1";
    /// Hash of a policy set's text.
    POLICY_TEXT = "caduceus/policy-text/v1";
    /// An anchor that replaces an earlier one.
    AMEND = "caduceus/amend/v1";
    /// The destruction of a retention bucket's key.
    RETIRE = "caduceus/retire/v1";
    /// Attestation that a node no longer has a retired bucket's key.
    DESTROYED = "caduceus/destroyed/v1";
    /// Signature on a batch of audit entries.
    AUDIT_BATCH = "caduceus/audit-batch/v1";
    /// Encryption key of a bucket's entries in one batch, from the bucket's key.
    AUDIT_BATCH_KEY = "caduceus/audit-batch-key/v1";
    /// Encryption key of an audit entry, from its batch's key.
    AUDIT_ENTRY_KEY = "caduceus/audit-entry-key/v2";
    /// What a person signs of an action of hers.
    AUDIT_STATEMENT = "caduceus/audit-statement/v1";
    /// Index term of an audit entry, under its bucket's key.
    AUDIT_TERM = "caduceus/audit-term/v1";
    /// Merkle leaf or hash of a sealed audit entry.
    AUDIT_LEAF = "caduceus/audit-leaf/v1";
    /// Wrapping of a retention bucket's key.
    BUCKET_KEY = "caduceus/bucket-key/v1";
    /// Encryption of one run file of a bucket's index, from the bucket's key.
    AUDIT_RUN = "caduceus/audit-run/v1";
    /// Encryption of the list of run files, from the node's key.
    AUDIT_RUN_LIST = "caduceus/audit-run-list/v1";
    /// Encryption key of an operator's deeds that wait, from the node's key.
    NODE_DEED = "caduceus/node-deed/v1";
    /// Digest of the text of an exported proof.
    AUDIT_PROOF = "caduceus/audit-proof/v1";
    /// Identity under which a node's operator asks it on its own machine, from the node's key.
    NODE_OPERATOR = "caduceus/node-operator/v1";
    /// Signature on an audit query.
    AUDIT_QUERY = "caduceus/audit-query/v1";

    // Alliance chain (DESIGN 6)
    /// Governance of members.
    MEMBER = "caduceus/member/v1";
    /// A member's token key.
    ISSUER = "caduceus/issuer/v1";
    /// A data user's account.
    ACCOUNT = "caduceus/account/v1";
    /// A checkpoint of a private chain.
    CHECKPOINT = "caduceus/checkpoint/v1";
    /// A batch of links.
    LINK = "caduceus/link/v1";
    /// A search under a token's key.
    SEARCH = "caduceus/search/v1";
    /// A data user's request.
    REQUEST = "caduceus/request/v1";
    /// A grant under a pseudonym.
    GRANT = "caduceus/grant/v1";
    /// An access ticket of a data user.
    ACCESS = "caduceus/access/v1";
    /// A data user's word on how an access was served.
    ACKNOWLEDGE = "caduceus/acknowledge/v1";
    /// A revocation under a pseudonym.
    REVOKE = "caduceus/revoke/v1";
    /// A report of misbehaviour.
    REPORT = "caduceus/report/v1";

    // Exchanges between programs (DESIGN 7)
    /// A request for a record, under a pseudonym or a ticket.
    FETCH_RECORD = "caduceus/fetch-record/v1";
    /// A workstation's request to store a record.
    STORE_RECORD = "caduceus/store-record/v1";
    /// A patient's registration with a card and a desk code.
    REGISTER = "caduceus/register/v1";
    /// A request for blind signatures.
    ISSUE_TOKENS = "caduceus/issue-tokens/v1";
    /// A workstation's request for a quarter's index key.
    INDEX_KEY_REQUEST = "caduceus/index-key-request/v1";
    /// Delivery of key fragments to a proxy.
    DELIVER_FRAGMENTS = "caduceus/deliver-fragments/v1";
    /// A data user's request for a capsule fragment.
    REENCRYPT_REQUEST = "caduceus/reencrypt-request/v1";
    /// A patient's request for her access log.
    ACCESS_LOG = "caduceus/access-log/v1";
    /// A signed request of a member of staff.
    STAFF_REQUEST = "caduceus/staff-request/v1";
    /// Identifier of a request, to apply it once.
    REQUEST_ID = "caduceus/request-id/v1";

    // Emergencies (DESIGN 3.7)
    /// Identifier of an emergency key: hash of its commitments, officers and generation.
    EMERGENCY_KEY = "caduceus/emergency-key/v1";
    /// The second generator of an emergency wrap.
    EMERGENCY_GENERATOR = "caduceus/emergency-generator/v1";
    /// The key under which an emergency wrap holds a data key.
    EMERGENCY_WRAP = "caduceus/emergency-wrap/v1";
    /// Proof of whoever made an emergency wrap that she made it, for this record.
    EMERGENCY_WRAP_PROOF = "caduceus/emergency-wrap-proof/v1";
    /// Identifier of an emergency wrap.
    EMERGENCY_WRAP_ID = "caduceus/emergency-wrap-id/v1";
    /// Proof of an officer that a partial comes from her share.
    EMERGENCY_PARTIAL_PROOF = "caduceus/emergency-partial-proof/v1";
    /// The box in which an officer's share travels and rests.
    EMERGENCY_SHARE_BOX = "caduceus/emergency-share-box/v1";
    /// The box in which an officer's partial travels to the requester.
    EMERGENCY_PARTIAL_BOX = "caduceus/emergency-partial-box/v1";
    /// A hospital names its emergency key on its chain.
    EMERGENCY_KEY_SET = "caduceus/emergency-key-set/v1";
    /// A patient's word whether her records may be opened in an emergency.
    EMERGENCY_CONSENT = "caduceus/emergency-consent/v1";
    /// Identifier of a request to open records in an emergency.
    EMERGENCY_REQUEST_ID = "caduceus/emergency-request-id/v1";
    /// The requester's word that she opens the records now.
    EMERGENCY_OPEN = "caduceus/emergency-open/v1";
    /// A person's request to open records in an emergency.
    EMERGENCY_REQUEST = "caduceus/emergency-request/v1";
    /// An officer's approval of such a request.
    EMERGENCY_APPROVAL = "caduceus/emergency-approval/v1";

    // Simulation
    /// Seeds of a scenario's actors.
    SIM_SEED = "caduceus/sim-seed/v1";
    /// Hash of a scenario's trace.
    SIM_TRACE = "caduceus/sim-trace/v1";
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_tags_are_distinct() {
        let distinct: BTreeSet<&str> = ALL.iter().map(Domain::as_str).collect();
        assert_eq!(distinct.len(), ALL.len());
    }

    #[test]
    fn all_tags_are_versioned_and_printable() {
        for tag in ALL {
            let text = tag.as_str();
            let (name, version) = text
                .strip_prefix("caduceus/")
                .unwrap()
                .rsplit_once("/v")
                .unwrap();
            assert!(!name.is_empty());
            assert!(version.parse::<u8>().unwrap() >= 1, "{text}");
            let printable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.chars().all(printable), "{text}");
        }
    }
}
