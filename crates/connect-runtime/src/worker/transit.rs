use std::collections::HashMap;

use connect_api::Refusal;
use kafka_wire::TopicPartition;

/// Batches that do not go to the target as they came from the task: as one piece that lacks records, or as several.
/// They have one outcome, once each piece has its own.
#[derive(Debug, Default)]
pub(crate) struct Transits(HashMap<u64, Transit>);

/// The pieces of one batch.
#[derive(Debug)]
pub(crate) struct Transit {
    pub(crate) pieces: Vec<PieceInTransit>,
    /// Neighbours in the source may not be neighbours in the target: no offset in it stands for the batch.
    pub(crate) scatters: bool,
}

#[derive(Debug)]
pub(crate) struct PieceInTransit {
    pub(crate) target: TopicPartition,
    /// Runs of first and count.
    pub(crate) records: Vec<(u32, u32)>,
    pub(crate) size_bytes: u64,
    pub(crate) outcome: Option<PieceOutcome>,
}

/// What became of a piece or a whole batch.
#[derive(Debug)]
pub(crate) enum PieceOutcome {
    Written(Option<i64>),
    /// The target will not have it, and `errors.tolerance` is `all`.
    Skipped,
    Refused(Refusal),
}

/// What became of a batch: where it was written, and which of its records.
pub(crate) type Arrival = (Result<Option<i64>, Refusal>, Option<Vec<(u32, u32)>>);

impl PieceInTransit {
    pub(crate) fn record_count(&self) -> u64 {
        self.records.iter().map(|(_, count)| u64::from(*count)).sum()
    }
}

impl Transits {
    pub(crate) fn begin(&mut self, sequence: u64, transit: Transit) {
        self.0.insert(sequence, transit);
    }

    /// The piece of a batch that went to `target`; `None` if the batch went as it was.
    pub(crate) fn piece(&self, sequence: u64, target: &TopicPartition) -> Option<&PieceInTransit> {
        let transit = self.0.get(&sequence)?;
        transit.pieces.iter().find(|piece| piece.target == *target)
    }

    /// Whether no batch on its way is in several pieces.
    pub(crate) fn are_whole(&self) -> bool {
        self.0.values().all(|transit| transit.pieces.len() == 1)
    }

    /// Notes what became of a piece. `None` while others of the batch are on their way.
    pub(crate) fn settle(&mut self, sequence: u64, target: &TopicPartition, outcome: PieceOutcome) -> Option<Arrival> {
        let Some(transit) = self.0.get_mut(&sequence) else {
            return Some(match outcome {
                PieceOutcome::Written(base) => (Ok(base), None),
                PieceOutcome::Skipped => (Ok(None), Some(Vec::new())),
                PieceOutcome::Refused(refusal) => (Err(refusal), None),
            });
        };
        if let Some(piece) = transit.pieces.iter_mut().find(|piece| piece.target == *target) {
            piece.outcome = Some(outcome);
        }
        if transit.pieces.iter().any(|piece| piece.outcome.is_none()) {
            return None;
        }
        self.0.remove(&sequence).map(Transit::arrival)
    }
}

impl Transit {
    fn arrival(self) -> Arrival {
        let mut records = Vec::new();
        let mut base = None;
        let is_one = self.pieces.len() == 1 && !self.scatters;
        for piece in self.pieces {
            match piece.outcome {
                Some(PieceOutcome::Written(at)) => {
                    records.extend(piece.records);
                    base = at.filter(|_| is_one);
                }
                Some(PieceOutcome::Refused(refusal)) => return (Err(refusal), None),
                Some(PieceOutcome::Skipped) | None => {}
            }
        }
        records.sort_unstable();
        (Ok(base), Some(records))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transits(targets: &[(&str, &[(u32, u32)])], scatters: bool) -> Transits {
        let piece = |(topic, records): &(&str, &[(u32, u32)])| PieceInTransit {
            target: TopicPartition::new(*topic, 0),
            records: records.to_vec(),
            size_bytes: 1,
            outcome: None,
        };
        let mut transits = Transits::default();
        let pieces = targets.iter().map(piece).collect();
        transits.begin(7, Transit { pieces, scatters });
        transits
    }

    fn to(topic: &str) -> TopicPartition {
        TopicPartition::new(topic, 0)
    }

    fn refused() -> PieceOutcome {
        PieceOutcome::Refused(Refusal {
            reason: "no".to_owned(),
            code: None,
        })
    }

    #[test]
    fn a_batch_that_lacks_records_says_which_it_has() {
        let mut transits = transits(&[("a", &[(0, 2), (3, 1)])], false);
        assert_eq!(transits.piece(7, &to("a")).map(PieceInTransit::record_count), Some(3));
        let (result, records) = transits
            .settle(7, &to("a"), PieceOutcome::Written(Some(40)))
            .expect("the only piece");
        assert_eq!(
            (result.expect("written"), records),
            (Some(40), Some(vec![(0, 2), (3, 1)]))
        );
        assert!(transits.piece(7, &to("a")).is_none());
    }

    #[test]
    fn several_pieces_are_one_outcome_without_a_place() {
        let mut transits = transits(&[("a", &[(1, 1)]), ("b", &[(0, 1)])], true);
        assert!(transits.settle(7, &to("a"), PieceOutcome::Written(Some(40))).is_none());
        let (result, records) = transits
            .settle(7, &to("b"), PieceOutcome::Written(Some(3)))
            .expect("all pieces");
        assert_eq!((result.expect("written"), records), (None, Some(vec![(0, 1), (1, 1)])));
    }

    #[test]
    fn a_refused_piece_refuses_the_batch_once_all_are_settled() {
        let mut transits = transits(&[("a", &[(1, 1)]), ("b", &[(0, 1)])], true);
        assert!(transits.settle(7, &to("a"), refused()).is_none());
        let (result, _) = transits
            .settle(7, &to("b"), PieceOutcome::Written(Some(3)))
            .expect("all pieces");
        assert_eq!(result.expect_err("refused").reason, "no");
    }

    #[test]
    fn a_skipped_piece_takes_its_records_with_it() {
        let mut transits = transits(&[("a", &[(1, 1)]), ("b", &[(0, 1)])], true);
        assert!(transits.settle(7, &to("a"), PieceOutcome::Skipped).is_none());
        let (result, records) = transits
            .settle(7, &to("b"), PieceOutcome::Written(Some(3)))
            .expect("all pieces");
        assert_eq!((result.expect("handled"), records), (None, Some(vec![(0, 1)])));
        let (result, records) = transits
            .settle(8, &to("a"), PieceOutcome::Skipped)
            .expect("a whole batch");
        assert_eq!((result.expect("handled"), records), (None, Some(vec![])));
    }
}
