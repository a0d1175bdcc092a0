//! Cards: who holds them, how they are registered, how many tokens they took today.

use super::{AUDIT_KEYS, CARDS, CardNo, PSEUDONYMS, Register, RegisterError, card_hash};
use crate::database::decode;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{
    Epoch, Hash, HospitalId, MetaAddress, PublicKey, TimeMillis, domain, encode, hash,
};
use redb::{ReadableDatabase, ReadableTable};

/// Wrong desk codes after which a card is useless.
pub const MAX_DESK_TRIES: u8 = 8;

/// Search tokens that a card gets in a day (UTC).
pub const TOKENS_A_DAY: u32 = 256;

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct CardRow {
    /// Its holder's two public keys.
    pub(crate) meta: MetaAddress,
    /// Hash of the one-time desk code.
    desk: Hash,
    /// Wrong desk codes so far.
    tries: u8,
    /// The holder's audit key, once her client has registered: the desk code is used then.
    pub(crate) audit_key: Option<PublicKey>,
    /// When the card was made.
    pub(crate) since: TimeMillis,
    /// The day that `tokens` counts for.
    day: Epoch,
    /// Tokens issued on that day.
    tokens: u32,
}

/// What became of a desk code that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It is right and unused.
    Fresh,
    /// It is right, and was used by this very audit key: the answer got lost.
    Again,
}

fn desk_hash(card: &CardNo, code: &[u8; 5]) -> Hash {
    hash(domain::DESK_CODE, &[&card[..], &code[..]])
}

impl CardRow {
    fn show(
        &self,
        meta: &MetaAddress,
        desk: &Hash,
        audit_key: &PublicKey,
    ) -> Result<Shown, RegisterError> {
        if self.meta != *meta {
            return Err(RegisterError::OtherHolder);
        }
        if self.tries >= MAX_DESK_TRIES {
            return Err(RegisterError::DeskCodeLocked);
        }
        if self.desk != *desk {
            let left = MAX_DESK_TRIES - self.tries - 1;
            return Err(RegisterError::DeskCodeWrong { left });
        }
        match &self.audit_key {
            None => Ok(Shown::Fresh),
            Some(key) if key == audit_key => Ok(Shown::Again),
            Some(_) => Err(RegisterError::DeskCodeUsed),
        }
    }

    fn tokens_on(&self, today: Epoch) -> u32 {
        if self.day == today { self.tokens } else { 0 }
    }
}

impl Register {
    /// Enters a fresh card.
    pub(crate) fn add_card(
        &self,
        card: &CardNo,
        code: &[u8; 5],
        meta: MetaAddress,
        since: TimeMillis,
    ) -> Result<(), RegisterError> {
        let row = CardRow {
            meta,
            desk: desk_hash(card, code),
            tries: 0,
            audit_key: None,
            since,
            day: since.epoch(),
            tokens: 0,
        };
        let txn = self.db.begin_write()?;
        let taken = txn
            .open_table(CARDS)?
            .insert(&card[..], encode(&row).as_slice())?
            .is_some();
        if taken {
            txn.abort()?;
            return Err(RegisterError::CardTaken);
        }
        txn.commit()?;
        Ok(())
    }

    /// A card.
    pub(crate) fn card(&self, card: &CardNo) -> Result<CardRow, RegisterError> {
        let bytes = self.value(CARDS, card)?.ok_or(RegisterError::CardUnknown)?;
        Ok(decode(&bytes, "card")?)
    }

    /// Whether a card hash is that of this card, or of another card that its holder was given here. Walks all
    /// cards in the second case, which is rare: she lost the first.
    pub(crate) fn is_of_holder(
        &self,
        card: &CardNo,
        hash: &Hash,
        hospital: &HospitalId,
    ) -> Result<bool, RegisterError> {
        if card_hash(card, hospital) == *hash {
            return Ok(true);
        }
        let holder = self.card(card)?.meta;
        let txn = self.db.begin_read()?;
        let table = txn.open_table(CARDS)?;
        for pair in table.iter()? {
            let (number, row) = pair?;
            let row: CardRow = decode(row.value(), "card")?;
            if row.meta != holder {
                continue;
            }
            let number: CardNo = decode(number.value(), "card number")?;
            if card_hash(&number, hospital) == *hash {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The card of an audit key.
    pub(crate) fn card_of(&self, audit_key: &PublicKey) -> Result<Option<CardNo>, RegisterError> {
        let Some(bytes) = self.value(AUDIT_KEYS, audit_key.as_bytes())? else {
            return Ok(None);
        };
        Ok(Some(decode(&bytes, "audit key")?))
    }

    fn change_card<T>(
        &self,
        card: &CardNo,
        change: impl FnOnce(&mut CardRow) -> Result<T, RegisterError>,
    ) -> Result<T, RegisterError> {
        let txn = self.db.begin_write()?;
        let outcome = {
            let mut cards = txn.open_table(CARDS)?;
            let found = cards.get(&card[..])?.map(|value| value.value().to_vec());
            let mut row: CardRow = decode(&found.ok_or(RegisterError::CardUnknown)?, "card")?;
            // A refusal may change the row too: it counts the tries.
            let outcome = change(&mut row);
            cards.insert(&card[..], encode(&row).as_slice())?;
            outcome
        };
        txn.commit()?;
        outcome
    }

    /// Judges a desk code and counts it if it is wrong. Registers nothing.
    pub(crate) fn show_code(
        &self,
        card: &CardNo,
        code: &[u8; 5],
        meta: &MetaAddress,
        audit_key: &PublicKey,
    ) -> Result<Shown, RegisterError> {
        let desk = desk_hash(card, code);
        if let Some(other) = self.card_of(audit_key)?
            && other != *card
        {
            return Err(RegisterError::AuditKeyTaken);
        }
        self.change_card(card, |row| {
            let shown = row.show(meta, &desk, audit_key);
            if matches!(shown, Err(RegisterError::DeskCodeWrong { .. })) {
                row.tries += 1;
            }
            shown
        })
    }

    /// Uses up the desk code: from now on the audit key speaks for the card. Only the first key does.
    pub(crate) fn register(
        &self,
        card: &CardNo,
        code: &[u8; 5],
        meta: &MetaAddress,
        audit_key: &PublicKey,
    ) -> Result<(), RegisterError> {
        let desk = desk_hash(card, code);
        let txn = self.db.begin_write()?;
        {
            let mut cards = txn.open_table(CARDS)?;
            let mut keys = txn.open_table(AUDIT_KEYS)?;
            let found = cards.get(&card[..])?.map(|value| value.value().to_vec());
            let mut row: CardRow = decode(&found.ok_or(RegisterError::CardUnknown)?, "card")?;
            row.show(meta, &desk, audit_key)?;
            let taken = keys
                .get(&audit_key.as_bytes()[..])?
                .map(|value| value.value().to_vec());
            if taken.is_some_and(|other| other != card[..]) {
                return Err(RegisterError::AuditKeyTaken);
            }
            row.audit_key = Some(*audit_key);
            cards.insert(&card[..], encode(&row).as_slice())?;
            keys.insert(&audit_key.as_bytes()[..], &card[..])?;
        }
        txn.commit()?;
        Ok(())
    }

    /// Counts tokens against today's allowance, all of them or none.
    pub(crate) fn take_tokens(
        &self,
        card: &CardNo,
        asked: u32,
        today: Epoch,
    ) -> Result<(), RegisterError> {
        self.change_card(card, |row| {
            if row.audit_key.is_none() {
                return Err(RegisterError::NotRegistered);
            }
            let used = row.tokens_on(today);
            let left = TOKENS_A_DAY.saturating_sub(used);
            if asked > left {
                return Err(RegisterError::TokensUsedUp { asked, left });
            }
            (row.day, row.tokens) = (today, used + asked);
            Ok(())
        })
    }

    /// Gives back tokens that were taken and not issued.
    pub(crate) fn return_tokens(
        &self,
        card: &CardNo,
        count: u32,
        today: Epoch,
    ) -> Result<(), RegisterError> {
        self.change_card(card, |row| {
            if row.day == today {
                row.tokens = row.tokens.saturating_sub(count);
            }
            Ok(())
        })
    }

    /// The pseudonym points of all records stored for a card.
    pub(crate) fn pseudonyms(&self, card: &CardNo) -> Result<Vec<PublicKey>, RegisterError> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(PSEUDONYMS)?;
        let mut points = Vec::new();
        for pair in table.range(&card[..]..)? {
            let (key, _) = pair?;
            let Some(point) = key.value().strip_prefix(&card[..]) else {
                break;
            };
            points.push(decode(point, "pseudonym")?);
        }
        Ok(points)
    }
}
