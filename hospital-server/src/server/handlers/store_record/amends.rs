//! A record may replace one that this server holds for the same patient. That nothing replaced it before is for the
//! chain to say.
//!
//! # Leakage
//! The server learns which record replaces which; it knows already that both are of one patient.

use crate::database::blocking;
use crate::server::audit_log::deed::Deed;
use crate::server::context::{Context, Turned};
use crate::server::register::{CardNo, Register, RegisterError};
use caduceus_crypto::{Hash, HospitalId};
use caduceus_network::Peer;
use caduceus_network::exchange::Finish;
use private_chain::policy::{RecordState, Relation, Resource};

/// What the register knows of the record to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replaced {
    /// Of the patient whose card was presented.
    Hers,
    /// Of somebody else.
    Others,
    /// Not stored here.
    Unknown,
}

/// The record to be replaced, as policies judge it. One that is unknown here, or somebody else's, is judged as if the
/// caller's claim were true: it is denied in any case, by the rule that says what is wrong with it.
pub(super) async fn resource(
    ctx: &Context,
    peer: &Peer,
    card: &CardNo,
    record: Hash,
) -> Result<Resource, Turned> {
    let (register, card, hospital) = (ctx.register.clone(), *card, ctx.map.hospital);
    let found = blocking(move || {
        Ok::<_, RegisterError>((
            replaced(&register, &card, &record, &hospital)?,
            register.state(&record)?,
            register.record(&record)?,
        ))
    });
    let (replaced, state, row) = match found.await {
        Ok(found) => found,
        // The check that follows enters it.
        Err(RegisterError::CardUnknown) => (Replaced::Unknown, RecordState::Absent, None),
        Err(error) => return Err(Turned::later(error)),
    };
    let (Replaced::Hers, Some(row)) = (replaced, row) else {
        let claimed = Resource::record(record, RecordState::Current, Relation::Treating);
        return Ok(claimed);
    };
    let anchor = ctx.chain.anchor(row.height, row.position).await;
    let anchor = anchor.map_err(Turned::later)?;
    // A node's word: if it lies, the chain judges by the truth.
    let wrote = anchor.body.record_hash == record && peer.key == Some(anchor.author);
    let relation = if wrote {
        Relation::Own
    } else {
        Relation::Treating
    };
    Ok(Resource::record(record, state, relation))
}

/// Denies a replacement of a record that is unknown here or somebody else's.
pub(super) async fn check(ctx: &Context, deed: &Deed, finish: &Finish) -> Result<(), Turned> {
    let Some(record) = finish.amends else {
        return Ok(());
    };
    let (register, card, hospital) = (ctx.register.clone(), finish.card, ctx.map.hospital);
    let found = blocking(move || replaced(&register, &card, &record, &hospital)).await;
    let (rule, detail) = match found {
        Ok(Replaced::Hers) => return Ok(()),
        Ok(Replaced::Others) => (
            "amends_other_patient",
            format!("record {record} is not of this card's patient"),
        ),
        Ok(Replaced::Unknown) => (
            "amend_unknown_record",
            format!("record {record} is not stored here"),
        ),
        Err(error) => return Err(ctx.register_refusal(deed.clone(), error).await),
    };
    Err(ctx.deny(deed.clone(), rule, detail).await)
}

fn replaced(
    register: &Register,
    card: &CardNo,
    record: &Hash,
    hospital: &HospitalId,
) -> Result<Replaced, RegisterError> {
    let Some(row) = register.record(record)? else {
        return Ok(Replaced::Unknown);
    };
    Ok(if register.is_of_holder(card, &row.card, hospital)? {
        Replaced::Hers
    } else {
        Replaced::Others
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::server::register::{RecordRow, card_hash};
    use caduceus_crypto::{MetaAddress, Pseudonym, PublicKey, SecretKey, TimeMillis};
    use rand_core::OsRng;

    const NOW: TimeMillis = TimeMillis(1_715_000_000_000);
    const HOSPITAL: HospitalId = HospitalId([1; 32]);
    const RECORD: Hash = Hash([2; 32]);

    fn key() -> PublicKey {
        SecretKey::generate(&mut OsRng).public()
    }

    #[test]
    fn only_a_record_of_the_same_patient_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let register = Register::open(&home.path().join("register.redb")).unwrap();
        let (hers, others): (CardNo, CardNo) = ([1; 16], [2; 16]);
        for card in [hers, others] {
            let meta = MetaAddress::new(key(), key());
            register.add_card(&card, &[5; 5], meta, NOW).unwrap();
        }
        let look =
            |card: &CardNo, record: &Hash| replaced(&register, card, record, &HOSPITAL).unwrap();
        assert_eq!(look(&hers, &RECORD), Replaced::Unknown);
        let row = RecordRow {
            card: card_hash(&hers, &HOSPITAL),
            pseudonym: Pseudonym {
                point: key(),
                ephemeral: key(),
                view_tag: 3,
            },
            height: 7,
            position: 0,
            block_hash: Hash([6; 32]),
            stored_bytes: 20_000,
            receipt: vec![1],
        };
        register.finish(&[4; 16], &hers, &RECORD, &row).unwrap();
        assert_eq!(look(&hers, &RECORD), Replaced::Hers);
        assert_eq!(look(&others, &RECORD), Replaced::Others);
        assert_eq!(look(&hers, &Hash([3; 32])), Replaced::Unknown);
    }
}
