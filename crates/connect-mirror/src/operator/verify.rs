//! Compares source and target by content.
//!
//! A few partitions at a time, both sides are read side by side from where the offset syncs say that they meet; without
//! syncs, from where the target has the source's first record. What is in memory is one answer of a broker and a bounded
//! look ahead for each side of these.

use std::{
    cell::RefCell,
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use kafka_client::config::IsolationLevel;
use kafka_wire::TopicPartition;

use super::{
    Flow, OperatorError,
    comparison::{Comparison, Counts, Difference},
    destination::ranges_at,
    record_stream::{RecordStream, Seen},
};
use crate::{checkpoint::round::TopicKinds, client_props::Side, offset_runs::OffsetRuns, source::discovery::discover};

/// How often a target that is behind is asked for more.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Partitions that are compared at a time: enough to hide the way to a far cluster, few enough to hold in memory.
const PARTITIONS_AT_ONCE: usize = 8;

/// What of the source is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Everything that both sides still have.
    Beginning,
    /// Each partition from this source offset on.
    Offset(i64),
    /// So many records of each partition, at most.
    Last(i64),
}

/// What is found in a partition.
#[derive(Clone, Debug)]
pub struct PartitionReport {
    /// The partition on the source.
    pub source: TopicPartition,
    /// Its copy.
    pub target: TopicPartition,
    /// Where the comparison began, on both sides.
    pub from: (i64, i64),
    /// How far it has come on the source.
    pub next: i64,
    /// The source's end, as of now.
    pub end: i64,
    /// What there is.
    pub counts: Counts,
    /// Records at the source's end that the target does not have yet.
    pub pending: u64,
    /// The first difference.
    pub first: Option<Difference>,
    /// Compaction takes records on either side when it likes: what only one side has is no difference.
    pub is_compacted: bool,
    /// Why it could not be compared.
    pub error: Option<String>,
}

impl PartitionReport {
    /// Whether the copy is what the source is.
    pub fn is_same(&self, allow_repeats: bool) -> bool {
        let Counts {
            different,
            missing,
            extra,
            repeated,
            ..
        } = self.counts;
        let one_sided = missing + extra + if allow_repeats { 0 } else { repeated };
        different == 0 && self.pending == 0 && (one_sided == 0 || self.is_compacted)
    }
}

/// A comparison that can be gone on with. See the module.
#[derive(Debug)]
pub struct Verifier<'a> {
    flow: &'a Flow,
    partitions: Vec<PartitionVerifier>,
}

#[derive(Debug)]
struct PartitionVerifier {
    report: PartitionReport,
    comparison: Comparison,
    next_target: i64,
    /// The target is read on until it has the first record of the source.
    seeks: bool,
    ignores_timestamps: bool,
}

impl<'a> Verifier<'a> {
    /// Finds out what there is to compare. `topics`: names on the source; empty: all that the mirror copies.
    pub async fn start(flow: &'a Flow, topics: &[String], from: From) -> Result<Self, OperatorError> {
        let rules = &flow.copying.rules;
        let keep = |topic: &str| match topics {
            [] => rules.replicates(topic, flow.config.topic_filter.accepts(topic)),
            topics => topics.iter().any(|wanted| wanted == topic),
        };
        let none = Default::default();
        let found = discover(flow.source.client(), &none, keep);
        let found = flow.ask(Side::Source, "the list of topics", found).await?;
        let mut kinds = TopicKinds::default();
        kinds.learn(&flow.source, found.topics.keys().cloned().collect()).await;
        let pairs: BTreeSet<(TopicPartition, TopicPartition)> = found
            .topics
            .iter()
            .flat_map(|(topic, count)| {
                let remote: Arc<str> = rules.remote_topic(topic).into();
                (0..*count).map(move |partition| {
                    let name = |topic: &Arc<str>| TopicPartition::new(topic.clone(), partition);
                    (name(topic), name(&remote))
                })
            })
            .collect();
        // The target first: what it has before its end, the source had before its own.
        let targets = ranges_at(
            &flow.target,
            pairs.iter().map(|pair| pair.1.clone()),
            IsolationLevel::ReadCommitted,
        );
        let targets = flow.ask(Side::Target, "the partitions", targets).await?;
        let sources = ranges_at(
            &flow.source,
            pairs.iter().map(|pair| pair.0.clone()),
            flow.source_isolation(),
        );
        let sources = flow.ask(Side::Source, "the partitions", sources).await?;
        let syncs = match flow.read_syncs().await {
            Ok(syncs) => Some(syncs),
            Err(error) => {
                tracing::warn!(%error, "no offset syncs: partitions are aligned by their first records");
                None
            }
        };
        let mut partitions = Vec::new();
        for (source, target) in pairs {
            let Some(range) = sources.get(&source).copied() else {
                continue;
            };
            let may_join = kinds.may_join(&source.topic);
            let runs = syncs.as_ref().and_then(|syncs| syncs.runs(&source));
            let place = match targets.get(&target) {
                Some(there) => meet(runs, may_join, range, *there, from),
                None => (range.0, 0, false),
            };
            partitions.push(PartitionVerifier::new((source, target), place, range.1, !may_join));
        }
        for topic in topics.iter().filter(|topic| !found.topics.contains_key(topic.as_str())) {
            let name = TopicPartition::new(topic.as_str(), 0);
            let remote = TopicPartition::new(rules.remote_topic(topic), 0);
            let mut missing = PartitionVerifier::new((name, remote), (0, 0, false), 0, false);
            missing.report.error = Some(format!("cluster {} has no topic {topic}", flow.pair.source));
            partitions.push(missing);
        }
        Ok(Self { flow, partitions })
    }

    /// Compares what there is by now, from where the last pass ended. `wait`: how long a target that is behind is waited
    /// for. `is_last`: what it lacks then is reported as missing, not as pending. `tell` hears of each step.
    pub async fn pass(
        &mut self,
        wait: Duration,
        is_last: bool,
        tell: impl FnMut(&PartitionReport),
    ) -> Result<(), OperatorError> {
        let flow = self.flow;
        let names = |of: fn(&PartitionReport) -> &TopicPartition, all: &[PartitionVerifier]| -> Vec<TopicPartition> {
            all.iter().map(|one| of(&one.report).clone()).collect()
        };
        let targets = names(|report| &report.target, &self.partitions).into_iter();
        let targets = ranges_at(&flow.target, targets, IsolationLevel::ReadCommitted);
        let targets = flow.ask(Side::Target, "the partitions", targets).await?;
        let sources = names(|report| &report.source, &self.partitions).into_iter();
        let sources = ranges_at(&flow.source, sources, flow.source_isolation());
        let sources = flow.ask(Side::Source, "the partitions", sources).await?;
        let tell = RefCell::new(tell);
        let tell = &|report: &PartitionReport| (tell.borrow_mut())(report);
        let passes = self.partitions.iter_mut().map(|partition| {
            let target = targets.get(&partition.report.target).copied();
            let source = sources.get(&partition.report.source).copied();
            async move {
                if let Some((_, end)) = source {
                    partition.report.end = end;
                    partition.report.error = partition.pass(flow, target, wait, is_last, tell).await.err();
                }
                tell(&partition.report);
            }
        });
        stream::iter(passes)
            .for_each_concurrent(PARTITIONS_AT_ONCE, |pass| pass)
            .await;
        Ok(())
    }

    /// Where the target's broker stamps records (`message.timestamp.type=LogAppendTime`), times say nothing.
    pub fn ignoring_timestamps(mut self, ignores: bool) -> Self {
        for partition in &mut self.partitions {
            partition.ignores_timestamps = ignores;
        }
        self
    }

    /// What was found so far.
    pub fn reports(&self) -> impl Iterator<Item = &PartitionReport> {
        self.partitions.iter().map(|partition| &partition.report)
    }
}

/// Where the comparison begins on both sides, and whether the place on the target is only not behind it.
fn meet(
    runs: Option<&OffsetRuns>,
    may_join: bool,
    (source_start, source_end): (i64, i64),
    (target_start, _): (i64, i64),
    from: From,
) -> (i64, i64, bool) {
    let start = match from {
        From::Beginning => source_start,
        From::Offset(offset) => offset.clamp(source_start, source_end),
        From::Last(count) => source_end.saturating_sub(count).max(source_start),
    };
    let known = runs.and_then(|runs| Some((runs, runs.translate(start, may_join)?)));
    match known {
        None => (start, target_start, true),
        Some((runs, there)) if there >= target_start => (start, there, runs.behind(start, may_join) != Some(0)),
        // The target no longer has the first ones.
        Some((runs, _)) => match runs.translate_back(target_start, may_join) {
            Some((back, 0)) => (back.max(start), target_start, false),
            _ => (start, target_start, true),
        },
    }
}

impl PartitionVerifier {
    fn new(names: (TopicPartition, TopicPartition), place: (i64, i64, bool), end: i64, is_compacted: bool) -> Self {
        let (from_source, from_target, seeks) = place;
        Self {
            report: PartitionReport {
                source: names.0,
                target: names.1,
                from: (from_source, from_target),
                next: from_source,
                end,
                counts: Counts::default(),
                pending: 0,
                first: None,
                is_compacted,
                error: None,
            },
            comparison: Comparison::default(),
            next_target: from_target,
            seeks,
            ignores_timestamps: false,
        }
    }

    fn streams(&self, flow: &Flow, target_end: i64) -> (RecordStream, RecordStream) {
        let (client, config) = flow.consumer(&flow.copying.consumer);
        let place = (self.report.next, self.report.end);
        let source = self.report.source.clone();
        let source = RecordStream::new(client, &config, flow.source_isolation(), source, place, flow.timeout);
        let (client, config) = flow.consumer(&flow.config.checkpoints_consumer);
        let place = (self.next_target, target_end);
        let target = self.report.target.clone();
        let committed = IsolationLevel::ReadCommitted;
        let target = RecordStream::new(client, &config, committed, target, place, flow.timeout);
        let ignores = self.ignores_timestamps;
        (source.ignoring_timestamps(ignores), target.ignoring_timestamps(ignores))
    }

    async fn pass(
        &mut self,
        flow: &Flow,
        target: Option<(i64, i64)>,
        wait: Duration,
        is_last: bool,
        tell: &impl Fn(&PartitionReport),
    ) -> Result<(), String> {
        let is_empty = self.report.next >= self.report.end;
        let Some((_, target_end)) = target else {
            // A topic without records need not be there.
            return match is_empty {
                true => Ok(()),
                false => Err(format!("cluster {} has no {}", flow.pair.target, self.report.target)),
            };
        };
        if is_empty && self.next_target >= target_end {
            self.report.pending = 0;
            return Ok(());
        }
        let (mut source, mut target) = self.streams(flow, target_end);
        let compared = self
            .compare(flow, (&mut source, &mut target), wait, is_last, tell)
            .await;
        self.finish(&source, &target);
        compared
    }

    async fn compare(
        &mut self,
        flow: &Flow,
        (source, target): (&mut RecordStream, &mut RecordStream),
        wait: Duration,
        is_last: bool,
        tell: &impl Fn(&PartitionReport),
    ) -> Result<(), String> {
        let target_end = target.end();
        if self.seeks {
            self.seek(flow, source, target).await?;
        }
        let mut waited = Duration::ZERO;
        loop {
            let ended = (source.is_ended(), target.is_ended());
            self.comparison.advance(ended);
            self.report.counts = self.comparison.counts;
            let comparison = &mut self.comparison;
            if !ended.0 && Comparison::wants(&comparison.source) {
                source.read(&mut comparison.source).await?;
                tell(&self.progress());
            } else if !ended.1 && Comparison::wants(&comparison.target) {
                target.read(&mut comparison.target).await?;
            } else if comparison.source.is_empty() || waited >= wait {
                break;
            } else {
                let name = self.report.target.clone();
                let range = ranges_at(&flow.target, [name.clone()].into_iter(), IsolationLevel::ReadCommitted);
                let range = flow.ask(Side::Target, "a partition", range).await;
                let range = range.map_err(|error| super::failover::chain(&error))?;
                let end = range.get(&name).map_or(0, |range| range.1);
                if end > target.end() {
                    target.extend(end);
                    waited = Duration::ZERO;
                } else {
                    tokio::time::sleep(ASK_AGAIN_AFTER).await;
                    waited += ASK_AGAIN_AFTER;
                }
            }
        }
        if self.comparison.source.is_empty() {
            self.comparison.rest_of_target(target_end);
        } else if is_last {
            self.comparison.rest_of_source();
        }
        Ok(())
    }

    /// What is left is read again by the next pass; what was compared is not, though brokers answer beyond the end.
    fn finish(&mut self, source: &RecordStream, target: &RecordStream) {
        let comparison = &mut self.comparison;
        self.report.pending = comparison.source.len() as u64;
        self.report.next = comparison
            .source
            .front()
            .map_or(source.position(), |first| first.offset);
        self.next_target = comparison
            .target
            .front()
            .map_or(target.position(), |first| first.offset);
        self.report.counts = comparison.counts;
        self.report.first = comparison.first.clone();
        comparison.source.clear();
        comparison.target.clear();
    }

    fn progress(&self) -> PartitionReport {
        let mut report = self.report.clone();
        report.next = self
            .comparison
            .source
            .back()
            .map_or(report.next, |last| last.offset + 1);
        report
    }

    /// Reads the target up to the first record of the source. One that is not there at all is found missing later.
    async fn seek(&mut self, flow: &Flow, source: &mut RecordStream, target: &mut RecordStream) -> Result<(), String> {
        let comparison = &mut self.comparison;
        while comparison.source.is_empty() && !source.is_ended() {
            source.read(&mut comparison.source).await?;
        }
        let Some(first) = comparison.source.front().copied() else {
            return Ok(());
        };
        let mut found: VecDeque<Seen> = VecDeque::new();
        while !target.is_ended() {
            target.read(&mut found).await?;
            while found.front().is_some_and(|record| record.content() != first.content()) {
                found.pop_front();
            }
            if let Some(record) = found.front() {
                self.report.from.1 = record.offset;
                self.seeks = false;
                self.comparison.target = found;
                return Ok(());
            }
        }
        *target = self.streams(flow, target.end()).1;
        Ok(())
    }
}

/// What the mirror has copied and not said: behind the last run the two sides are the same for a while.
pub(super) async fn extend_runs(
    flow: &Flow,
    (source, target): (&TopicPartition, &TopicPartition),
    runs: &mut OffsetRuns,
    (source_end, target_end): (i64, i64),
) -> Result<(), String> {
    let Some(known) = runs.end() else { return Ok(()) };
    if known.upstream >= source_end || known.downstream >= target_end {
        return Ok(());
    }
    let place = (known.upstream, known.downstream, false);
    let names = (source.clone(), target.clone());
    let pair = PartitionVerifier::new(names, place, source_end, false);
    let (mut sources, mut targets) = pair.streams(flow, target_end);
    let (mut source, mut target) = (VecDeque::new(), VecDeque::new());
    loop {
        while let (Some(one), Some(other)) = (source.front().copied(), target.front().copied()) {
            let (one, other): (Seen, Seen) = (one, other);
            if one.content() != other.content() {
                return Ok(());
            }
            runs.acknowledged(crate::offset_sync_writer::Run {
                upstream: one.offset,
                downstream: other.offset,
                count: 1,
            });
            source.pop_front();
            target.pop_front();
        }
        if source.is_empty() && !sources.is_ended() {
            sources.read(&mut source).await?;
        } else if target.is_empty() && !targets.is_ended() {
            targets.read(&mut target).await?;
        } else {
            return Ok(());
        }
    }
}
