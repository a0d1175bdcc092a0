//! Boolean queries over trapdoors, and their bounds (DESIGN 3.4), checked before anything is executed.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::index::scan::Test;
use crate::index::{
    Cover, CoverNode, PaeksTrapdoor, PeksTrapdoor, PreparedPaeks, PreparedPeks, QuarterCover,
    SchemeId, TREE_DEPTH,
};
use crate::pairing::BadPoint;
use crate::time::{Epoch, Quarter};

/// Most clauses of a query.
pub const MAX_CLAUSES: usize = 8;
/// Most slots of a query.
pub const MAX_SLOTS: usize = 64;
/// Most nodes of a slot's cover, over all its quarters.
pub const MAX_NODES_PER_SLOT: usize = 64;
/// Most days that a query's covers expand to, over all slots.
pub const MAX_LEAVES: u64 = 65_536;
/// Bytes within which every admissible query encodes.
pub const MAX_QUERY_BYTES: usize = 4
    + MAX_CLAUSES * (1 + 4 + MAX_SLOTS)
    + 1
    + 4
    + MAX_SLOTS * (4 + MAX_NODES_PER_SLOT * (2 + 16 + 4 + 18));

/// An alternative of slots, or the exclusion of each of them.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Clause {
    /// False: the record matches one of the slots at least. True: it matches none.
    pub negative: bool,
    /// Indices into the query's slots, each once.
    pub slots: Vec<u8>,
}

/// A query in conjunctive normal form, as it travels: nothing is checked.
///
/// # Leakage
/// Its form: which slots stand in which clause. See [`crate::index`], [`crate::index::peks`] and
/// [`crate::index::paeks`] for what each trapdoor tells.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Query {
    /// All must hold.
    pub clauses: Vec<Clause>,
    /// What the clauses name by index.
    pub slots: Slots,
}

/// One trapdoor a slot, all of one scheme. On the wire the scheme's byte, then the trapdoors.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Slots {
    /// One cover each.
    Tags(Vec<Cover>),
    /// Trapdoors of [`crate::index::peks`].
    Peks(Scan<PeksTrapdoor>),
    /// Trapdoors of [`crate::index::paeks`].
    Paeks(Scan<PaeksTrapdoor>),
}

/// Trapdoors that are tested on records one by one, and the days of anchoring that count, both included.
///
/// # Leakage
/// The days are a wish: with the trapdoors, every member can test all records, past and future.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Scan<T> {
    /// The first day.
    pub first: Epoch,
    /// The last day.
    pub last: Epoch,
    /// One a slot.
    pub trapdoors: Vec<T>,
}

impl Slots {
    /// The scheme of the trapdoors.
    pub const fn scheme(&self) -> SchemeId {
        match self {
            Slots::Tags(_) => SchemeId::Tags,
            Slots::Peks(_) => SchemeId::Peks,
            Slots::Paeks(_) => SchemeId::Paeks,
        }
    }

    /// Number of slots.
    pub const fn len(&self) -> usize {
        match self {
            Slots::Tags(covers) => covers.len(),
            Slots::Peks(scan) => scan.trapdoors.len(),
            Slots::Paeks(scan) => scan.trapdoors.len(),
        }
    }

    /// Whether there are none, which no admissible query has.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a query is refused. One variant, one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Not the scheme of the chain.
    #[error("the query is for the index scheme {found}, {expected} expected")]
    Scheme {
        /// The chain's scheme.
        expected: SchemeId,
        /// The scheme found.
        found: SchemeId,
    },
    /// The searchable range holds no day.
    #[error("the range from {first} to {today} is empty")]
    EmptyRange {
        /// First searchable day.
        first: Epoch,
        /// Last searchable day.
        today: Epoch,
    },
    /// No clause at all.
    #[error("a query needs at least one clause")]
    NoClauses,
    /// Over [`MAX_CLAUSES`].
    #[error("{found} clauses, at most {limit} allowed")]
    TooManyClauses {
        /// The limit.
        limit: usize,
        /// Clauses found.
        found: usize,
    },
    /// Over [`MAX_SLOTS`].
    #[error("{found} slots, at most {limit} allowed")]
    TooManySlots {
        /// The limit.
        limit: usize,
        /// Slots found.
        found: usize,
    },
    /// A clause without slots.
    #[error("clause {clause} is empty")]
    EmptyClause {
        /// Index of the clause.
        clause: usize,
    },
    /// A clause names a slot that does not exist.
    #[error("clause {clause} names slot {slot}, which does not exist")]
    UnknownSlot {
        /// Index of the clause.
        clause: usize,
        /// The slot named.
        slot: u8,
    },
    /// A clause names a slot twice.
    #[error("clause {clause} names slot {slot} twice")]
    RepeatedSlot {
        /// Index of the clause.
        clause: usize,
        /// The slot named.
        slot: u8,
    },
    /// No clause names the slot.
    #[error("slot {slot} is used by no clause")]
    UnusedSlot {
        /// Index of the slot.
        slot: usize,
    },
    /// All clauses exclude.
    #[error("at least one clause must be positive")]
    NoPositiveClause,
    /// A cover, or a quarter of it, without nodes.
    #[error("slot {slot} covers nothing")]
    EmptyCover {
        /// Index of the slot.
        slot: usize,
    },
    /// Over [`MAX_NODES_PER_SLOT`].
    #[error("slot {slot} has {found} nodes, at most {limit} allowed")]
    TooManyNodes {
        /// Index of the slot.
        slot: usize,
        /// The limit.
        limit: usize,
        /// Nodes found.
        found: usize,
    },
    /// A depth over [`TREE_DEPTH`], or a position outside its level.
    #[error("slot {slot} has a node at depth {depth}, position {position}, which no tree has")]
    NoSuchNode {
        /// Index of the slot.
        slot: usize,
        /// The depth found.
        depth: u8,
        /// The position found.
        position: u8,
    },
    /// Quarters or nodes not in ascending order.
    #[error("the cover of slot {slot} is out of order")]
    Unordered {
        /// Index of the slot.
        slot: usize,
    },
    /// A quarter twice, or two nodes that share a day.
    #[error("the cover of slot {slot} overlaps itself")]
    Overlapping {
        /// Index of the slot.
        slot: usize,
    },
    /// A node without any day of the searchable range, or a scan without one (which names its first slot).
    #[error("slot {slot} reaches outside the searchable days")]
    OutsideRange {
        /// Index of the slot.
        slot: usize,
    },
    /// Over [`MAX_LEAVES`].
    #[error("the covers expand to {found} days or more, at most {limit} allowed")]
    TooManyLeaves {
        /// The limit.
        limit: u64,
        /// Days counted when the limit was passed.
        found: u64,
    },
    /// The last day of a scan is before its first.
    #[error("the scan from {first} to {last} holds no day")]
    ScanRange {
        /// First day asked for.
        first: Epoch,
        /// Last day asked for.
        last: Epoch,
    },
    /// The trapdoor does not decode, lies outside its group, or is the identity.
    #[error("the trapdoor of slot {slot} is malformed")]
    BadTrapdoor {
        /// Index of the slot.
        slot: usize,
    },
}

/// A query within all bounds, together with the searchable days that it was checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedQuery {
    pub(super) query: Query,
    pub(super) first: Epoch,
    pub(super) today: Epoch,
    leaves: u64,
}

impl CheckedQuery {
    /// Days that the covers expand to, over all slots: what a search by tags is charged for. 0 for a scan, which is
    /// charged for its tests.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The query.
    pub fn query(&self) -> &Query {
        &self.query
    }
}

impl Query {
    /// Checks every bound. `scheme` is the chain's, `first` the hospital's first searchable day, `today` the last.
    ///
    /// A node may cover days outside that range, or beyond the quarter's end, as long as it covers one inside, and
    /// so may the days of a scan; the others are skipped.
    ///
    /// # Errors
    /// [`QueryError`] names the first rule broken.
    pub fn verify(
        self,
        scheme: SchemeId,
        first: Epoch,
        today: Epoch,
    ) -> Result<CheckedQuery, QueryError> {
        let found = self.slots.scheme();
        if found != scheme {
            return Err(QueryError::Scheme {
                expected: scheme,
                found,
            });
        }
        if first > today {
            return Err(QueryError::EmptyRange { first, today });
        }
        self.check_counts()?;
        self.check_clauses()?;
        let mut leaves = 0u64;
        match &self.slots {
            Slots::Tags(covers) => {
                for (slot, cover) in covers.iter().enumerate() {
                    check_cover(slot, cover, first, today, &mut leaves)?;
                }
            }
            Slots::Peks(scan) => check_scan::<PreparedPeks>(scan, first, today)?,
            Slots::Paeks(scan) => check_scan::<PreparedPaeks>(scan, first, today)?,
        }
        Ok(CheckedQuery {
            query: self,
            first,
            today,
            leaves,
        })
    }

    fn check_counts(&self) -> Result<(), QueryError> {
        if self.clauses.is_empty() {
            return Err(QueryError::NoClauses);
        }
        if self.clauses.len() > MAX_CLAUSES {
            return Err(QueryError::TooManyClauses {
                limit: MAX_CLAUSES,
                found: self.clauses.len(),
            });
        }
        if self.slots.len() > MAX_SLOTS {
            return Err(QueryError::TooManySlots {
                limit: MAX_SLOTS,
                found: self.slots.len(),
            });
        }
        Ok(())
    }

    fn check_clauses(&self) -> Result<(), QueryError> {
        // 64 slots at most, so a bit each.
        let mut used_by_any = 0u64;
        for (clause, content) in self.clauses.iter().enumerate() {
            if content.slots.is_empty() {
                return Err(QueryError::EmptyClause { clause });
            }
            let mut used = 0u64;
            for slot in content.slots.iter().copied() {
                if usize::from(slot) >= self.slots.len() {
                    return Err(QueryError::UnknownSlot { clause, slot });
                }
                let bit = 1u64 << slot;
                if used & bit != 0 {
                    return Err(QueryError::RepeatedSlot { clause, slot });
                }
                used |= bit;
            }
            used_by_any |= used;
        }
        if let Some(slot) = (0..self.slots.len()).find(|slot| (used_by_any >> slot) & 1 == 0) {
            return Err(QueryError::UnusedSlot { slot });
        }
        if self.clauses.iter().all(|clause| clause.negative) {
            return Err(QueryError::NoPositiveClause);
        }
        Ok(())
    }
}

fn check_scan<T: Test>(
    scan: &Scan<T::Trapdoor>,
    first: Epoch,
    today: Epoch,
) -> Result<(), QueryError> {
    if scan.first > scan.last {
        return Err(QueryError::ScanRange {
            first: scan.first,
            last: scan.last,
        });
    }
    if scan.last < first || scan.first > today {
        return Err(QueryError::OutsideRange { slot: 0 });
    }
    for (slot, trapdoor) in scan.trapdoors.iter().enumerate() {
        T::prepare(trapdoor).map_err(|BadPoint| QueryError::BadTrapdoor { slot })?;
    }
    Ok(())
}

fn check_cover(
    slot: usize,
    cover: &Cover,
    first: Epoch,
    today: Epoch,
    leaves: &mut u64,
) -> Result<(), QueryError> {
    if cover.quarters.is_empty() {
        return Err(QueryError::EmptyCover { slot });
    }
    let found: usize = cover
        .quarters
        .iter()
        .map(|quarter| quarter.nodes.len())
        .sum();
    if found > MAX_NODES_PER_SLOT {
        return Err(QueryError::TooManyNodes {
            slot,
            limit: MAX_NODES_PER_SLOT,
            found,
        });
    }
    let mut before: Option<Quarter> = None;
    for quarter in &cover.quarters {
        match before {
            Some(before) if quarter.quarter < before => return Err(QueryError::Unordered { slot }),
            Some(before) if quarter.quarter == before => {
                return Err(QueryError::Overlapping { slot });
            }
            _ => before = Some(quarter.quarter),
        }
        check_quarter(slot, quarter, first, today, leaves)?;
    }
    Ok(())
}

fn check_quarter(
    slot: usize,
    quarter: &QuarterCover,
    first: Epoch,
    today: Epoch,
    leaves: &mut u64,
) -> Result<(), QueryError> {
    if quarter.nodes.is_empty() {
        return Err(QueryError::EmptyCover { slot });
    }
    let (low, high) =
        days_in_range(quarter.quarter, first, today).ok_or(QueryError::OutsideRange { slot })?;
    let mut before: Option<(u8, u8)> = None;
    for node in &quarter.nodes {
        let (start, end) = node_days(node).ok_or(QueryError::NoSuchNode {
            slot,
            depth: node.depth,
            position: node.position,
        })?;
        match before {
            Some((before_start, _)) if end < before_start => {
                return Err(QueryError::Unordered { slot });
            }
            Some((_, before_end)) if start <= before_end => {
                return Err(QueryError::Overlapping { slot });
            }
            _ => before = Some((start, end)),
        }
        if end < low || start > high {
            return Err(QueryError::OutsideRange { slot });
        }
        *leaves += u64::from(end.min(high) - start.max(low)) + 1;
        if *leaves > MAX_LEAVES {
            return Err(QueryError::TooManyLeaves {
                limit: MAX_LEAVES,
                found: *leaves,
            });
        }
    }
    Ok(())
}

/// First and last day of a quarter, counted in the quarter, that lie in the range.
pub(super) fn days_in_range(quarter: Quarter, first: Epoch, today: Epoch) -> Option<(u8, u8)> {
    // Also keeps out quarters before 1970, which have no days of their own.
    if quarter < first.quarter() || quarter > today.quarter() {
        return None;
    }
    let start = quarter.first();
    let low = first.max(start).0.checked_sub(start.0)?;
    let high = today.min(quarter.last()).0.checked_sub(start.0)?;
    Some((u8::try_from(low).ok()?, u8::try_from(high).ok()?))
}

/// First and last leaf below a node; none if the tree has no such node.
fn node_days(node: &CoverNode) -> Option<(u8, u8)> {
    let shift = TREE_DEPTH.checked_sub(node.depth)?;
    let start = u32::from(node.position) << shift;
    let end = start + (1u32 << shift) - 1;
    if end >> TREE_DEPTH != 0 {
        return None;
    }
    Some((u8::try_from(start).ok()?, u8::try_from(end).ok()?))
}
