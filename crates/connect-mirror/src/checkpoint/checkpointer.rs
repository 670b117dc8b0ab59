//! The child of a task that does its work: it follows the offset syncs, asks for the groups' positions, hands new
//! checkpoints to the task, and writes the offsets of idle groups.
//!
//! Its loop never waits for a request: a round runs beside it, one of each kind at a time, and comes back as an event.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use kafka_client::{Admin, Client, Error};
use kafka_wire::TopicPartition;
use tokio::{sync::mpsc, time::Instant};

use super::{
    checkpoint_store::CheckpointStore,
    config::MirrorCheckpointTaskConfig,
    end_markers::{EndMarkers, Found, look_behind},
    group_offset_sync::{SyncedGroups, sync_group_offsets},
    loading::{load_checkpoints, open},
    round::{Gathered, TopicKinds, gather},
};
use crate::{
    environment::MirrorEnvironment,
    offset_sync_history,
    offset_sync_store::{OffsetSyncStore, Translation},
    records::Checkpoint,
    topic_reader::TopicReader,
    topic_watch::TopicWatch,
};

/// Never more often, whatever the interval.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// While there is no checkpoint at all, they are looked for so often.
const EMPTY_INTERVAL: Duration = Duration::from_secs(1);

/// New checkpoints of one round, with the time at which the groups were asked.
#[derive(Debug)]
pub(super) struct Emission {
    pub(super) checkpoints: Vec<Checkpoint>,
    pub(super) timestamp_ms: i64,
}

/// See the module.
pub(super) struct Checkpointer {
    task_id: String,
    config: Arc<MirrorCheckpointTaskConfig>,
    environment: MirrorEnvironment,
    groups: Arc<[Arc<str>]>,
    source: Admin,
    target: Admin,
    /// Reads copies at their ends.
    copies: Client,
    emissions: mpsc::Sender<Emission>,
    /// Checkpoints that the target refused.
    refused: mpsc::Receiver<Checkpoint>,
    checkpoints: CheckpointStore,
    kinds: TopicKinds,
    end_markers: EndMarkers,
    /// Names on the target of the topics that are replicated.
    remote_topics: HashMap<Arc<str>, Option<Arc<str>>>,
    /// Made, and not yet taken by the task.
    made: Option<Emission>,
    next_emission: Instant,
    next_group_sync: Option<Instant>,
    failed_rounds: u32,
    missing_syncs: MissingSyncs,
    group_sync_log: GroupSyncLog,
}

/// Positions, and what a look behind them has found.
type Looked = (
    Vec<(TopicPartition, i64)>,
    Result<HashMap<TopicPartition, Found>, Error>,
);

/// A round that runs beside the loop, if there is one.
type Round<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

impl Checkpointer {
    pub(super) fn new(
        task_id: String,
        config: MirrorCheckpointTaskConfig,
        environment: MirrorEnvironment,
        emissions: mpsc::Sender<Emission>,
        refused: mpsc::Receiver<Checkpoint>,
    ) -> Self {
        let now = Instant::now();
        Self {
            task_id,
            groups: config.assigned.iter().map(|group| Arc::from(&**group)).collect(),
            source: Admin::new(environment.client(&config.source_admin)),
            target: Admin::new(environment.client(&config.target_admin)),
            copies: environment.client(&config.checkpoints_consumer.client),
            next_group_sync: config.sync_group_offsets_interval.map(|_| now),
            config: Arc::new(config),
            environment,
            emissions,
            refused,
            checkpoints: CheckpointStore::default(),
            kinds: TopicKinds::default(),
            end_markers: EndMarkers::default(),
            remote_topics: HashMap::new(),
            made: None,
            next_emission: now,
            failed_rounds: 0,
            missing_syncs: MissingSyncs::default(),
            group_sync_log: GroupSyncLog::default(),
        }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        let config = self.config.clone();
        let checkpoints_client = self.environment.client(&config.checkpoints_consumer.client);
        let (checkpoints, is_complete) = load_checkpoints(
            &self.task_id,
            &checkpoints_client,
            &config.checkpoints_consumer,
            &config.checkpoints_topic,
            &config.assigned,
        )
        .await;
        checkpoints_client.close();
        self.checkpoints = checkpoints;
        let mut syncs = OffsetSyncStore::new(!is_complete);
        let Some(mut reader) = self.open_offset_syncs().await else {
            return;
        };
        while !reader.is_at_end() {
            read(&mut reader, &mut syncs).await;
        }
        syncs.reached_end();
        tracing::info!(
            task = self.task_id,
            groups = self.groups.len(),
            checkpoints = self.checkpoints.len(),
            partitions = syncs.len(),
            "translating positions of groups"
        );
        self.follow(reader, syncs).await;
    }

    async fn open_offset_syncs(&self) -> Option<TopicReader> {
        let config = &self.config;
        let client = self.environment.client(&config.offset_syncs_consumer.client);
        open(
            &self.task_id,
            &client,
            &config.offset_syncs_consumer,
            &config.offset_syncs_topic,
            None,
        )
        .await
    }

    async fn follow(mut self, mut reader: TopicReader, mut syncs: OffsetSyncStore) {
        let mut gathering: Round<Gathered> = None;
        let mut group_sync: Round<SyncedGroups> = None;
        let mut look: Round<Looked> = None;
        let emissions = self.emissions.clone();
        let mut watch = TopicWatch::new(self.copies.clone(), &self.config.checkpoints_topic);
        loop {
            let now = Instant::now();
            // Without a task that takes them no more checkpoints are made.
            if gathering.is_none() && self.made.is_none() && self.next_emission <= now {
                self.next_emission = now + self.emission_interval();
                gathering = Some(self.gather());
            }
            if group_sync.is_none() {
                group_sync = self.next_group_sync(now);
            }
            let emission = (gathering.is_none() && self.made.is_none()).then_some(self.next_emission);
            let sync = self.next_group_sync.filter(|_| group_sync.is_none());
            let due = [emission, sync].into_iter().flatten().min();
            tokio::select! {
                () = read(&mut reader, &mut syncs) => self.forget_copies(syncs.take_renewed()),
                gathered = ended(&mut gathering) => {
                    self.on_gathered(gathered, &syncs);
                    look = look.or_else(|| self.look_behind_ends());
                }
                looked = ended(&mut look) => self.on_looked(looked),
                synced = ended(&mut group_sync) => self.group_sync_log.tell(&self.task_id, &synced),
                permit = emissions.reserve(), if self.made.is_some() => match (permit, self.made.take()) {
                    (Ok(permit), Some(made)) => permit.send(made),
                    _ => return,
                },
                Some(refused) = self.refused.recv() => {
                    self.checkpoints.forget(&refused.group, &refused.topic_partition);
                }
                () = watch.renewed() => {
                    tracing::error!(
                        task = self.task_id, topic = self.config.checkpoints_topic, checkpoints = self.checkpoints.len(),
                        "the topic of checkpoints was deleted and made again: what is known is written again"
                    );
                    self.checkpoints.lose_topic();
                    self.next_emission = Instant::now();
                }
                () = tokio::time::sleep_until(due.unwrap_or(now)), if due.is_some() => {}
            }
        }
    }

    /// A round over the groups, if it is time for one. The first comes with the first checkpoints.
    fn next_group_sync(&mut self, now: Instant) -> Round<SyncedGroups> {
        let interval = self.config.sync_group_offsets_interval?;
        let groups = self
            .next_group_sync
            .filter(|due| *due <= now)
            .map(|_| self.checkpoints.groups())?;
        if groups.is_empty() {
            self.next_group_sync = Some(now + interval.min(EMPTY_INTERVAL));
            return None;
        }
        self.next_group_sync = Some(now + interval);
        let admin = self.target.clone();
        Some(Box::pin(async move { sync_group_offsets(&admin, groups).await }))
    }

    /// As in Kafka, the next multiple of the step in which a poll waits.
    fn emission_interval(&self) -> Duration {
        let interval = self.config.emit_checkpoints_interval.unwrap_or_default();
        let step = self.config.poll_step.max(Duration::from_millis(1));
        let steps = interval.as_millis().div_ceil(step.as_millis());
        step.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
            .max(SHORTEST_INTERVAL)
    }

    fn gather(&self) -> Pin<Box<dyn Future<Output = Gathered> + Send>> {
        let config = self.config.clone();
        let is_replicated = move |topic: &str| config.topic_filter.accepts(topic);
        let now_ms = self.environment.clock.now_ms();
        let gathered = gather(
            self.source.clone(),
            self.groups.clone(),
            self.kinds.clone(),
            now_ms,
            is_replicated,
        );
        Box::pin(gathered)
    }

    /// What was said of copies that are gone would send groups past the end of the new ones.
    fn forget_copies(&mut self, renewed: BTreeSet<TopicPartition>) {
        for source in renewed {
            let Some(remote) = self.config.remote_topic(&source.topic) else {
                continue;
            };
            let remote = TopicPartition::new(remote, source.partition);
            tracing::warn!(task = self.task_id, %remote, "the copy is not the one it was: groups are translated anew");
            self.checkpoints.forget_copy(&remote);
        }
    }

    fn look_behind_ends(&self) -> Round<Looked> {
        let ends = self.end_markers.to_look_at();
        if ends.is_empty() {
            return None;
        }
        let (client, config) = (self.copies.clone(), self.config.clone());
        Some(Box::pin(async move {
            let found = look_behind(&client, &config.checkpoints_consumer, ends.clone()).await;
            (ends, found)
        }))
    }

    fn on_looked(&mut self, (ends, found): Looked) {
        let found = found.unwrap_or_else(|error| {
            tracing::debug!(
                task = self.task_id,
                error = error.chain(),
                "the ends of copies cannot be read"
            );
            HashMap::new()
        });
        let mut is_news = false;
        for (remote, from) in ends {
            if let Some(found) = found.get(&remote) {
                is_news |= self.end_markers.found(&remote, from, *found);
            }
        }
        if is_news {
            self.next_emission = Instant::now();
        }
    }

    fn on_gathered(&mut self, gathered: Gathered, syncs: &OffsetSyncStore) {
        self.kinds = gathered.kinds;
        let committed = match gathered.committed {
            Ok(committed) => committed,
            Err(error) => return self.on_failed_groups(self.groups.len(), &error),
        };
        self.end_markers.begin_round();
        let (mut has_positions, mut has_syncs) = (false, false);
        let mut made = Vec::new();
        let mut failed: Option<(usize, kafka_client::Error)> = None;
        for (group, committed) in committed {
            let committed = match committed {
                Ok(committed) => committed,
                Err(error) => {
                    let (count, first) = failed.get_or_insert((0, error));
                    *count += 1;
                    tracing::debug!(task = self.task_id, %group, error = first.chain(), "a group cannot be asked");
                    continue;
                }
            };
            let (kinds, config, remote_topics) = (&self.kinds, &self.config, &mut self.remote_topics);
            let end_markers = &mut self.end_markers;
            let remote = |topic: &Arc<str>| match remote_topics.get(topic) {
                Some(known) => known.clone(),
                None => {
                    let remote = config.remote_topic(topic).map(Arc::from);
                    remote_topics.insert(topic.clone(), remote.clone());
                    remote
                }
            };
            made.extend(
                self.checkpoints
                    .advance(&group, &committed, remote, |partition, upstream, remote| {
                        let translation = syncs.translate(partition, upstream, kinds.may_join(&partition.topic));
                        has_positions |= upstream > 0;
                        has_syncs |= translation != Translation::Unknown;
                        match translation {
                            Translation::At(offset) if syncs.is_end(partition, offset) => {
                                Translation::At(end_markers.pass(remote.clone(), offset))
                            }
                            other => other,
                        }
                    }),
            );
        }
        if self.missing_syncs.is_news(has_positions, has_syncs) {
            tracing::warn!(
                task = self.task_id,
                topic = self.config.offset_syncs_topic,
                groups = self.groups.len(),
                "there is no offset sync of any topic that the groups read, and so no checkpoint: does the source connector run, and \
                 has it the same aliases, topics, offset-syncs.topic.location and replication.policy.*?"
            );
        }
        match failed {
            Some((count, error)) => self.on_failed_groups(count, &error),
            None => self.failed_rounds = 0,
        }
        if !made.is_empty() {
            tracing::debug!(task = self.task_id, checkpoints = made.len(), "new checkpoints");
            self.made = Some(Emission {
                checkpoints: made,
                timestamp_ms: gathered.asked_at_ms,
            });
        }
    }

    fn on_failed_groups(&mut self, groups: usize, error: &kafka_client::Error) {
        self.failed_rounds = self.failed_rounds.saturating_add(1);
        if self.failed_rounds.is_power_of_two() {
            tracing::warn!(
                task = self.task_id,
                groups,
                error = error.chain(),
                rounds = self.failed_rounds,
                "groups cannot be asked for their positions; trying again with the next round"
            );
        }
    }
}

/// The end of a round, which then is none; for ever when there is none. Cancel-safe.
async fn ended<T>(round: &mut Round<T>) -> T {
    match round {
        Some(running) => {
            let end = running.await;
            *round = None;
            end
        }
        None => std::future::pending().await,
    }
}

async fn read(reader: &mut TopicReader, syncs: &mut OffsetSyncStore) {
    reader
        .read(|record| offset_sync_history::take(syncs, record, |_| true))
        .await;
}

/// Known pitfall 21: connectors that do not fit together write and read different topics, and nobody says anything.
#[derive(Debug, Default)]
struct MissingSyncs {
    rounds: u32,
}

impl MissingSyncs {
    /// Copies begin with a sync, but not at once.
    const PATIENT_ROUNDS: u32 = 4;

    /// Whether a round with these findings is to be spoken of: ever more rarely.
    fn is_news(&mut self, has_positions: bool, has_syncs: bool) -> bool {
        self.rounds = match has_positions && !has_syncs {
            true => self.rounds.saturating_add(1),
            false => 0,
        };
        self.rounds >= Self::PATIENT_ROUNDS && self.rounds.is_power_of_two()
    }
}

/// Says what came of writing groups' offsets: what is new at once, what lasts ever more rarely.
#[derive(Debug, Default)]
struct GroupSyncLog {
    active: Vec<Arc<str>>,
    rounds_with_active: u32,
    rounds_with_failures: u32,
    rounds_past_end: u32,
}

impl GroupSyncLog {
    fn tell(&mut self, task: &str, synced: &SyncedGroups) {
        if !synced.written.is_empty() {
            tracing::debug!(
                task,
                groups = synced.written.len(),
                "wrote offsets of idle groups on the target"
            );
        }
        if synced.active != self.active {
            self.active.clone_from(&synced.active);
            self.rounds_with_active = 0;
        }
        if !synced.active.is_empty() {
            self.rounds_with_active = self.rounds_with_active.saturating_add(1);
            if self.rounds_with_active.is_power_of_two() {
                tracing::info!(
                    task, groups = synced.active.len(), first = %synced.active[0],
                    "groups are in use on the target: their offsets there are left as they are"
                );
            }
        }
        if let Some(first) = synced.past_end.first() {
            self.rounds_past_end = self.rounds_past_end.saturating_add(1);
            if self.rounds_past_end.is_power_of_two() {
                tracing::warn!(
                    task, offsets = synced.past_end.len(), group = %first.group, partition = %first.partition,
                    offset = first.offset, end = first.end,
                    "offsets are not written that are past the end of the copy: it is gone, lost records, or was made again"
                );
            }
        } else {
            self.rounds_past_end = 0;
        }
        let Some((first, error)) = synced.failed.first() else {
            self.rounds_with_failures = 0;
            return;
        };
        self.rounds_with_failures = self.rounds_with_failures.saturating_add(1);
        if self.rounds_with_failures.is_power_of_two() {
            let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
            for (_, error) in &synced.failed {
                *reasons
                    .entry(error.code().map_or_else(|| error.to_string(), |code| code.to_string()))
                    .or_default() += 1;
            }
            tracing::warn!(
                task, groups = synced.failed.len(), %first, error = error.chain(), ?reasons,
                rounds = self.rounds_with_failures,
                "offsets of groups cannot be written on the target; trying again with the next round"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_that_do_not_come_are_spoken_of_ever_more_rarely() {
        let mut missing = MissingSyncs::default();
        let spoken = |missing: &mut MissingSyncs, rounds: u32| {
            let rounds = 1..=rounds;
            rounds.filter(|_| missing.is_news(true, false)).count()
        };
        assert_eq!(spoken(&mut missing, 3), 0, "patience");
        assert_eq!(spoken(&mut missing, 1), 1);
        assert_eq!(spoken(&mut missing, 12), 2, "at 8 and 16");
        assert!(!missing.is_news(true, true));
        assert_eq!(spoken(&mut missing, 3), 0, "from the beginning");
        assert!(
            (0..9).all(|_| !missing.is_news(false, false)),
            "nobody has read anything"
        );
    }
}
