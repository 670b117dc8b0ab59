//! What depends on a record: a batch is read once and written anew, in as many pieces as its records go to topics.

use std::sync::Arc;

use kafka_wire::{BatchBuilder, Error, INFLATE_CAP_BYTES, OutgoingBatch, Record};

use crate::{
    chain::{Failure, Piece},
    step::{Action, Condition, Predicate, Step},
};

/// The wire's "no timestamp".
const NO_TIMESTAMP: i64 = -1;

/// See [`Transformed`](crate::Transformed).
pub(crate) struct Rebuilt {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) filtered: u32,
    pub(crate) failures: Vec<Failure>,
}

/// Applies `steps`, which begin at `topic`, to every record.
pub(crate) fn rebuild(
    steps: &[&Step],
    topic: &Arc<str>,
    batch: OutgoingBatch,
    give_up: bool,
) -> Result<Rebuilt, Error> {
    let records = batch.records(INFLATE_CAP_BYTES)?;
    let mut topics = Topics::new(steps.len(), topic);
    let mut pieces: Vec<Filling> = Vec::new();
    let mut rebuilt = Rebuilt {
        pieces: Vec::new(),
        filtered: 0,
        failures: Vec::new(),
    };
    let mut is_changed = false;
    for (index, record) in (0..).zip(&records) {
        let record = record?;
        match apply(steps, &mut topics, &record) {
            Ok(Some(Changed { topic, headers })) => {
                is_changed |= topic != 0 || headers.is_some();
                let at = pieces.iter().position(|piece| piece.topic == topic).unwrap_or_else(|| {
                    pieces.push(Filling::new(topic, &batch));
                    pieces.len() - 1
                });
                pieces[at].push(index, &record, headers.as_deref());
            }
            Ok(None) => rebuilt.filtered += 1,
            Err((class, reason)) => {
                rebuilt.failures.push(Failure {
                    class,
                    reason,
                    first: index,
                    count: 1,
                });
                if give_up {
                    return Ok(rebuilt);
                }
            }
        }
    }
    let is_whole = rebuilt.filtered == 0 && rebuilt.failures.is_empty();
    rebuilt.pieces = if is_whole && !is_changed {
        // Nothing came of it: the batch passes with its payload untouched.
        vec![Piece {
            topic: topic.clone(),
            batch,
            records: None,
        }]
    } else {
        let is_all = is_whole && pieces.len() == 1;
        pieces.into_iter().map(|piece| piece.build(&topics, is_all)).collect()
    };
    Ok(rebuilt)
}

/// A record on its way through the steps, if it is kept.
struct Changed<'a> {
    /// A number of [`Topics`].
    topic: usize,
    /// Instead of its own.
    headers: Option<Vec<Header<'a>>>,
}

type Header<'a> = (&'a [u8], Option<&'a [u8]>);

fn apply<'a>(
    steps: &[&'a Step],
    topics: &mut Topics,
    record: &Record<'a>,
) -> Result<Option<Changed<'a>>, (&'static str, String)> {
    let mut changed = Changed {
        topic: 0,
        headers: None,
    };
    for (at, step) in steps.iter().enumerate() {
        if !applies(step, at, topics, record, &changed) {
            continue;
        }
        let failed = |reason| (step.class, reason);
        match &step.action {
            Action::Drop => return Ok(None),
            Action::Rename(replacement) => {
                let renamed = topics.remember(at, changed.topic, None, |topic| {
                    replacement.apply(topic).map_err(|error| error.to_string())
                });
                changed.topic = renamed.map_err(failed)?;
            }
            Action::RenameByTimestamp(_) if record.timestamp == NO_TIMESTAMP => {
                return Err(failed("Timestamp missing on record".to_owned()));
            }
            Action::RenameByTimestamp(router) => {
                let formatted = router.format(record.timestamp);
                let renamed = topics.remember(at, changed.topic, Some(&formatted), |topic| {
                    Ok(Some(router.topic(topic, &formatted)))
                });
                changed.topic = renamed.map_err(failed)?;
            }
            Action::InsertHeader { key, value } => {
                let headers = changed.headers.get_or_insert_with(|| record.headers.collect());
                headers.push((key, value.as_deref()));
            }
            Action::DropHeaders(names) => {
                let is_dropped = |header: &Header<'_>| names.iter().any(|name| name == header.0);
                match &mut changed.headers {
                    Some(headers) => headers.retain(|header| !is_dropped(header)),
                    None if record.headers.clone().any(|header| is_dropped(&header)) => {
                        changed.headers = Some(record.headers.filter(|header| !is_dropped(header)).collect());
                    }
                    None => {}
                }
            }
        }
    }
    Ok(Some(changed))
}

fn applies(step: &Step, at: usize, topics: &mut Topics, record: &Record<'_>, changed: &Changed<'_>) -> bool {
    let Some(Condition { predicate, negate }) = &step.condition else {
        return true;
    };
    let holds = match predicate {
        Predicate::TopicMatches(pattern) => topics.matches(at, changed.topic, |topic| pattern.matches(topic)),
        Predicate::HasHeader(name) => match &changed.headers {
            Some(headers) => headers.iter().any(|header| header.0 == name),
            None => record.headers.clone().any(|header| header.0 == name),
        },
        Predicate::IsTombstone => record.value.is_none(),
    };
    holds != *negate
}

/// The topics that the records of a batch go to, numbered; the batch's own is 0. What a step has said of one is remembered,
/// so that patterns are matched once for each topic, not for each record.
struct Topics {
    names: Vec<Arc<str>>,
    /// For each step, the topics that it was asked about.
    renamed: Vec<Vec<Renamed>>,
    matched: Vec<Vec<(usize, bool)>>,
}

struct Renamed {
    from: usize,
    timestamp: Option<String>,
    to: Result<usize, String>,
}

impl Topics {
    fn new(steps: usize, topic: &Arc<str>) -> Self {
        Self {
            names: vec![topic.clone()],
            renamed: (0..steps).map(|_| Vec::new()).collect(),
            matched: vec![Vec::new(); steps],
        }
    }

    fn remember(
        &mut self,
        step: usize,
        from: usize,
        timestamp: Option<&str>,
        rename: impl FnOnce(&str) -> Result<Option<String>, String>,
    ) -> Result<usize, String> {
        let known = |entry: &&Renamed| entry.from == from && entry.timestamp.as_deref() == timestamp;
        if let Some(known) = self.renamed[step].iter().rev().find(known) {
            return known.to.clone();
        }
        let to = match rename(&self.names[from]) {
            Ok(Some(name)) => Ok(self.number(name)),
            Ok(None) => Ok(from),
            Err(reason) => Err(reason),
        };
        self.renamed[step].push(Renamed {
            from,
            timestamp: timestamp.map(str::to_owned),
            to: to.clone(),
        });
        to
    }

    fn matches(&mut self, step: usize, topic: usize, matches: impl FnOnce(&str) -> bool) -> bool {
        if let Some((_, answer)) = self.matched[step].iter().find(|(known, _)| *known == topic) {
            return *answer;
        }
        let answer = matches(&self.names[topic]);
        self.matched[step].push((topic, answer));
        answer
    }

    fn number(&mut self, name: String) -> usize {
        match self.names.iter().position(|known| **known == *name) {
            Some(number) => number,
            None => {
                self.names.push(name.into());
                self.names.len() - 1
            }
        }
    }
}

/// A piece that is being filled, with the codec of the batch that it comes from.
struct Filling {
    topic: usize,
    batch: BatchBuilder,
    records: Vec<(u32, u32)>,
}

impl Filling {
    fn new(topic: usize, from: &OutgoingBatch) -> Self {
        Self {
            topic,
            batch: BatchBuilder::new(from.compression()),
            records: Vec::new(),
        }
    }

    fn push(&mut self, index: u32, record: &Record<'_>, headers: Option<&[Header<'_>]>) {
        match headers {
            None => self.batch.push_record(record),
            Some(headers) => {
                let headers = headers.iter().copied();
                self.batch.push(record.timestamp, record.key, record.value, headers);
            }
        }
        match self.records.last_mut() {
            Some((first, count)) if *first + *count == index => *count += 1,
            _ => self.records.push((index, 1)),
        }
    }

    fn build(self, topics: &Topics, is_all: bool) -> Piece {
        Piece {
            topic: topics.names[self.topic].clone(),
            batch: self.batch.build(),
            records: (!is_all).then_some(self.records),
        }
    }
}
