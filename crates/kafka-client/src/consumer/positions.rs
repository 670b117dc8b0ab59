//! Where to begin: partitions whose position is not known, or no longer valid.

use tokio::time::Instant;

use super::partition::{FetchedEpoch, Position};
use super::start_offset::{self, Found, Unknown, Verdict};
use super::{Consumer, ConsumerEvent, Event};
use crate::Error;

impl Consumer {
    /// Asks for the offsets of partitions whose position is not known.
    pub(super) fn look_up_offsets(&mut self) {
        let waiting = self.nodes.iter_mut();
        let waiting = waiting.filter(|(_, node)| !node.looking_up && !node.unknown.is_empty());
        let mut asked = Vec::new();
        for (leader, node) in waiting {
            node.looking_up = true;
            asked.push((*leader, std::mem::take(&mut node.unknown)));
        }
        // Each leader for itself: one that does not answer keeps only its own partitions waiting.
        for (leader, partitions) in asked {
            let unknown = |at: usize| Unknown {
                at,
                name: self.partitions[at].name.clone(),
                last_fetched: self.partitions[at].last_fetched,
            };
            let partitions = partitions.into_iter().map(unknown).collect();
            let client = self.client.clone();
            let reset = self.config.auto_offset_reset;
            let isolation = self.config.isolation_level;
            self.work.push(Box::pin(async move {
                let found = start_offset::find(&client, leader, partitions, reset, isolation).await;
                Event::OffsetsFound { leader, found }
            }));
        }
    }

    pub(super) fn on_offsets_found(&mut self, found: Vec<(usize, Result<Found, Error>)>) {
        let now = Instant::now();
        for (at, result) in found {
            let Position::Reset { wanted } = self.partitions[at].position else {
                continue;
            };
            let found = match result {
                Ok(found) => found,
                Err(error) => {
                    self.metadata.want();
                    self.unavailable(at, error, now);
                    continue;
                }
            };
            match self.settle(at, wanted, found, now) {
                Ok(Some(event)) => {
                    self.recovered(at);
                    self.polled.events.push(event);
                }
                Ok(None) => {}
                Err(error) => self.unavailable(at, error, now),
            }
        }
    }

    /// Gives a partition its position, and says what that means.
    fn settle(
        &mut self,
        at: usize,
        wanted: Option<i64>,
        found: Found,
        now: Instant,
    ) -> Result<Option<ConsumerEvent>, Error> {
        let partition = self.partitions.change(at);
        let name = partition.name.clone();
        let by_policy = found.by_policy.ok_or(Error::NoOffset {
            partition: name.clone(),
            wanted,
        });
        let Some(from) = wanted else {
            let to = match std::mem::take(&mut partition.begins_at_start) {
                true => found.bounds.start,
                false => by_policy?,
            };
            partition.seek(Position::At(to));
            return Ok(Some(ConsumerEvent::Started { partition: name, to }));
        };
        match found.judge(from, partition.last_fetched, partition.leader_epoch) {
            // What is still there is read, whatever the policy: only what is gone is passed over.
            Verdict::Gone { to } => {
                partition.seek(Position::At(to));
                Ok(Some(ConsumerEvent::Gap {
                    partition: name,
                    from,
                    to,
                }))
            }
            Verdict::There => {
                partition.position = Position::At(from);
                let was_doubtful = partition.is_doubtful();
                partition.checked_epoch = partition.leader_epoch;
                if !was_doubtful {
                    self.delay(at, now); // the broker said otherwise a moment ago
                }
                Ok(None)
            }
            Verdict::Parted { to, epoch } => {
                by_policy?; // `none` wants a person to decide
                partition.seek(Position::At(to));
                partition.last_fetched = Some(FetchedEpoch { epoch, since: to });
                Ok(Some(ConsumerEvent::Rewound {
                    partition: name,
                    from,
                    to,
                }))
            }
            Verdict::Lost => {
                let to = by_policy?;
                partition.seek(Position::At(to));
                Ok(Some(ConsumerEvent::Rewound {
                    partition: name,
                    from,
                    to,
                }))
            }
        }
    }
}
