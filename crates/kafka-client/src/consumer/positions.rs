//! Where to begin: partitions whose position is not known, or no longer valid.

use std::collections::HashMap;

use kafka_wire::TopicPartition;
use tokio::time::Instant;

use super::partition::Position;
use super::start_offset::{self, Bounds, Found};
use super::{Consumer, ConsumerEvent, Event};
use crate::Error;

impl Consumer {
    /// Asks for the offsets of partitions whose position is not known.
    pub(super) fn look_up_offsets(&mut self, now: Instant) {
        let mut unknown: HashMap<i32, Vec<(usize, TopicPartition)>> = HashMap::new();
        for (at, partition) in self.partitions.iter().enumerate() {
            if matches!(partition.position, Position::Reset { .. })
                && partition.may_be_asked(now)
                && let Some(leader) = partition.leader
                && !self.looking_up.contains(&leader)
            {
                unknown.entry(leader).or_default().push((at, partition.name.clone()));
            }
        }
        // Each leader for itself: one that does not answer keeps only its own partitions waiting.
        for (leader, partitions) in unknown {
            self.looking_up.insert(leader);
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
            let name = self.partitions[at].name.clone();
            let Bounds { start, end } = found.bounds;
            let event = match wanted {
                // What is still there is read, whatever the policy: only what is gone is passed over.
                Some(from) if from < start => {
                    self.partitions[at].seek(Position::At(start));
                    ConsumerEvent::Gap {
                        partition: name,
                        from,
                        to: start,
                    }
                }
                // The end has moved past it meanwhile: it was never lost.
                Some(from) if from <= end => {
                    self.partitions[at].seek(Position::At(from));
                    self.delay(at, now);
                    continue;
                }
                _ => {
                    let Some(to) = found.by_policy else {
                        let error = Error::NoOffset {
                            partition: name,
                            wanted,
                        };
                        self.unavailable(at, error, now);
                        continue;
                    };
                    self.partitions[at].seek(Position::At(to));
                    match wanted {
                        Some(from) => ConsumerEvent::Rewound {
                            partition: name,
                            from,
                            to,
                        },
                        None => ConsumerEvent::Started { partition: name, to },
                    }
                }
            };
            self.recovered(at);
            self.polled.events.push(event);
        }
    }
}
