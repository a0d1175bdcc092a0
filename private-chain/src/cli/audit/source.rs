//! Where the entries come from, a page at a time.

use caduceus_cli::CliError;
use caduceus_crypto::{decode_exact, encode};
use caduceus_network::exchange::{AuditRows, AuditRowsReply, AuditRowsRequest};
use caduceus_operator::OwnNode;
use private_chain::audit::{AuditRow, Bucket, Filter, Order, Page};
use private_chain::audit_log::unpack_rows;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Most entries asked for at once.
pub(super) const PAGE: u16 = 4096;
/// Most entries that one command takes in.
pub(super) const MAX_ROWS: usize = 1_000_000;

/// Something that has the log and answers filters.
pub(super) trait RowSource {
    /// Up to `limit` entries that fit, from the cursor on.
    async fn page(
        &self,
        filter: &Filter,
        order: Order,
        cursor: Option<u64>,
        limit: u16,
    ) -> Result<Page, CliError>;
}

/// The log as the operator's running node has it.
pub(super) struct NodeRows<'a> {
    node: &'a OwnNode,
    /// Buckets with entries that could fit and that the node cannot open.
    unread: Mutex<BTreeSet<Bucket>>,
}

impl<'a> NodeRows<'a> {
    pub(super) fn of(node: &'a OwnNode) -> Self {
        Self {
            node,
            unread: Mutex::default(),
        }
    }

    /// Says on standard error which buckets were not read, if any: who reads the answer must know.
    pub(super) fn say_unread(&self) {
        let unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        if !unread.is_empty() {
            let names: Vec<String> = unread.iter().map(Bucket::to_string).collect();
            eprintln!(
                "not read, since their keys were destroyed or are not here: {}",
                names.join(", ")
            );
        }
    }
}

impl RowSource for NodeRows<'_> {
    async fn page(
        &self,
        filter: &Filter,
        order: Order,
        cursor: Option<u64>,
        limit: u16,
    ) -> Result<Page, CliError> {
        let nonsense = |what: String| {
            CliError::verification_failed(
                format!("the node's answer does not hold: {what}"),
                "check its store: private-chain validate --home DIR",
            )
        };
        let request = AuditRowsRequest {
            filter: encode(filter),
            newest_first: order == Order::NewestFirst,
            cursor,
            limit: u32::from(limit),
        };
        let (packed, next, unread) = match self.node.call::<AuditRows>(request).await? {
            AuditRowsReply::Rows { rows, next, unread } => (rows, next, unread),
            AuditRowsReply::Behind => {
                return Err(CliError::unreachable(
                    "the node is still reading what is on the chain",
                    "again in a moment; private-chain status --home DIR shows how it does",
                ));
            }
        };
        let mut rows =
            unpack_rows(&packed, usize::from(limit)).map_err(|e| nonsense(e.to_string()))?;
        if order == Order::NewestFirst {
            rows.reverse();
        }
        let mut all = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        for name in unread {
            let bucket = decode_exact(&name, name.len()).map_err(|e| nonsense(e.to_string()))?;
            all.insert(bucket);
        }
        Ok(Page { rows, next })
    }
}

/// Up to `limit` entries from a cursor on, over as many pages as it takes.
pub(super) async fn some(
    source: &impl RowSource,
    filter: &Filter,
    order: Order,
    cursor: Option<u64>,
    limit: usize,
) -> Result<Page, CliError> {
    let mut found = Page {
        rows: Vec::new(),
        next: cursor,
    };
    loop {
        let room = limit - found.rows.len();
        let ask = u16::try_from(room.min(usize::from(PAGE))).unwrap_or(PAGE);
        let page = source.page(filter, order, found.next, ask).await?;
        let before = found.next;
        found.rows.extend(page.rows);
        found.next = page.next;
        if found.next.is_none() || found.rows.len() >= limit {
            return Ok(found);
        }
        if found.next == before {
            return Err(CliError::failure(
                "the node goes on at the same place for ever",
                "look at it: private-chain status --home DIR",
            ));
        }
    }
}

/// All entries that fit, in the order of the chain.
pub(super) async fn all(
    source: &impl RowSource,
    filter: &Filter,
) -> Result<Vec<AuditRow>, CliError> {
    let found = some(source, filter, Order::OldestFirst, None, MAX_ROWS).await?;
    if found.next.is_some() {
        return Err(CliError::failure(
            format!("more than {MAX_ROWS} entries fit"),
            "ask for less at once: --from and --until",
        ));
    }
    Ok(found.rows)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;
    use caduceus_crypto::{Hash, HospitalId, TimeMillis};
    use private_chain::audit::Place;
    use private_chain::{Action, ActionClass, Actor, AuditEntry, Outcome};
    use std::sync::Arc;

    /// Rows in memory, looked through as a node would: a few a page, and pages without any.
    struct Memory(Vec<AuditRow>);

    impl RowSource for Memory {
        async fn page(
            &self,
            filter: &Filter,
            order: Order,
            cursor: Option<u64>,
            limit: u16,
        ) -> Result<Page, CliError> {
            let mut rows: Vec<&AuditRow> = self.0.iter().collect();
            if order == Order::NewestFirst {
                rows.reverse();
            }
            let at = rows
                .iter()
                .position(|row| Some(row.sequence) == cursor)
                .unwrap_or(0);
            let looked = rows.len().min(at + 4);
            let mut page = Page::default();
            for (n, row) in rows.iter().enumerate().take(looked).skip(at) {
                if page.rows.len() == usize::from(limit) {
                    page.next = Some(rows[n].sequence);
                    return Ok(page);
                }
                if filter.fits(row.class, &row.entry) {
                    page.rows.push((*row).clone());
                }
            }
            page.next = rows.get(looked).map(|row| row.sequence);
            Ok(page)
        }
    }

    /// A node that never gets on.
    struct Stuck;

    impl RowSource for Stuck {
        async fn page(
            &self,
            _: &Filter,
            _: Order,
            _: Option<u64>,
            _: u16,
        ) -> Result<Page, CliError> {
            Ok(Page {
                rows: Vec::new(),
                next: Some(7),
            })
        }
    }

    fn row(sequence: u64) -> AuditRow {
        AuditRow {
            sequence,
            class: ActionClass::ClinicalRead,
            place: Arc::new(Place {
                height: 1,
                block_hash: Hash::ZERO,
                block_time: TimeMillis(1),
                tx: Hash::ZERO,
                batch: [0; 32],
                first: 0,
            }),
            entry: Arc::new(AuditEntry {
                time: TimeMillis(sequence),
                actor: Actor::Named((sequence % 9).to_string().as_str().into()),
                role: None,
                organisation: HospitalId([0; 32]),
                action: Action::Read,
                subtype: "".into(),
                outcome: Outcome::Success,
                reason: "".into(),
                patient: None,
                resource: None,
                purpose: "".into(),
                grant: None,
                source: "".into(),
                request: "".into(),
                reference: "".into(),
                statement: None,
            }),
        }
    }

    fn numbers(rows: &[AuditRow]) -> Vec<u64> {
        rows.iter().map(|row| row.sequence).collect()
    }

    #[tokio::test]
    async fn pages_are_put_together_and_a_cursor_goes_on() {
        let source = Memory((0..40).map(row).collect());
        let filter = Filter {
            actor: Some(Actor::Named("0".into())),
            ..Filter::default()
        };
        assert_eq!(
            numbers(&all(&source, &filter).await.unwrap()),
            [0, 9, 18, 27, 36]
        );
        let first = some(&source, &filter, Order::NewestFirst, None, 2)
            .await
            .unwrap();
        assert_eq!(numbers(&first.rows), [36, 27]);
        let rest = some(&source, &filter, Order::NewestFirst, first.next, 99)
            .await
            .unwrap();
        assert_eq!((numbers(&rest.rows), rest.next), (vec![18, 9, 0], None));
    }

    #[tokio::test]
    async fn a_node_that_never_gets_on_is_left() {
        let error = all(&Stuck, &Filter::default()).await.unwrap_err();
        assert_eq!(error.exit, ExitCode::Failure);
    }
}
