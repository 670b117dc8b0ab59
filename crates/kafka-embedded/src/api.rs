//! The requests that are served, one file per API key; what is not listed here is not advertised.

#[path = "api/18_api_versions.rs"]
pub(crate) mod api_versions;
#[path = "api/60_describe_cluster.rs"]
mod describe_cluster;
#[path = "api/75_describe_topic_partitions.rs"]
mod describe_topic_partitions;
#[path = "api/03_metadata.rs"]
mod metadata;

#[path = "api/21_delete_records.rs"]
mod delete_records;
#[path = "api/01_fetch.rs"]
mod fetch;
#[path = "api/02_list_offsets.rs"]
mod list_offsets;
#[path = "api/23_offset_for_leader_epoch.rs"]
mod offset_for_leader_epoch;
#[path = "api/00_produce.rs"]
mod produce;

#[path = "api/33_alter_configs.rs"]
mod alter_configs;
#[path = "api/37_create_partitions.rs"]
mod create_partitions;
#[path = "api/19_create_topics.rs"]
mod create_topics;
#[path = "api/20_delete_topics.rs"]
mod delete_topics;
#[path = "api/32_describe_configs.rs"]
mod describe_configs;
#[path = "api/44_incremental_alter_configs.rs"]
mod incremental_alter_configs;

#[path = "api/42_delete_groups.rs"]
mod delete_groups;
#[path = "api/15_describe_groups.rs"]
mod describe_groups;
#[path = "api/10_find_coordinator.rs"]
mod find_coordinator;
#[path = "api/12_heartbeat.rs"]
mod heartbeat;
#[path = "api/11_join_group.rs"]
mod join_group;
#[path = "api/13_leave_group.rs"]
mod leave_group;
#[path = "api/16_list_groups.rs"]
mod list_groups;
#[path = "api/08_offset_commit.rs"]
mod offset_commit;
#[path = "api/47_offset_delete.rs"]
mod offset_delete;
#[path = "api/09_offset_fetch.rs"]
mod offset_fetch;
#[path = "api/14_sync_group.rs"]
mod sync_group;

#[path = "api/25_add_offsets_to_txn.rs"]
mod add_offsets_to_txn;
#[path = "api/24_add_partitions_to_txn.rs"]
mod add_partitions_to_txn;
#[path = "api/26_end_txn.rs"]
mod end_txn;
#[path = "api/22_init_producer_id.rs"]
mod init_producer_id;
#[path = "api/28_txn_offset_commit.rs"]
mod txn_offset_commit;

#[path = "api/30_create_acls.rs"]
mod create_acls;
#[path = "api/31_delete_acls.rs"]
mod delete_acls;
#[path = "api/29_describe_acls.rs"]
mod describe_acls;

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use crate::node::Context;

/// An API and the versions of it that are advertised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Supported {
    pub(crate) api_key: ApiKey,
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl Supported {
    pub(crate) fn decodes(&self, version: i16) -> bool {
        // Kafka 4 advertises Produce from 0, for old librdkafka's sake, and refuses what is below 3.
        let min = if self.api_key == ApiKey::Produce { 3 } else { self.min };
        (min..=self.max).contains(&version)
    }
}

/// What becomes of a request that was handled.
pub(crate) enum Outcome {
    Reply(Box<ResponseKind>),
    NoReply,
    HangUp,
}

/// Who asks, when and in which version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) context: &'a Context,
    pub(crate) client_id: &'a str,
    pub(crate) version: i16,
    pub(crate) now: Instant,
}

impl Call<'_> {
    fn node_id(&self) -> i32 {
        self.context.node_id
    }

    fn log_changed(&self) {
        self.context.shared.log_changed.notify_waiters();
    }

    fn deadline_changed(&self) {
        self.context.shared.deadline_changed.notify_one();
    }
}

/// The tables of what is served: the versions, then who answers and who makes an error of it.
macro_rules! apis {
    (
        at_once { $($sync:ident $sync_module:ident $sync_min:literal..=$sync_max:literal,)* }
        later { $($async:ident $async_module:ident $async_min:literal..=$async_max:literal,)* }
    ) => {
        /// Every API that is served.
        pub(crate) const SUPPORTED: &[Supported] = &[
            $(Supported { api_key: ApiKey::$sync, min: $sync_min, max: $sync_max },)*
            $(Supported { api_key: ApiKey::$async, min: $async_min, max: $async_max },)*
            Supported { api_key: ApiKey::Produce, min: 0, max: 13 },
        ];

        pub(crate) async fn handle(context: &Context, client_id: &str, version: i16, request: RequestKind) -> Outcome {
            let call = Call { context, client_id, version, now: Instant::now() };
            let response = match request {
                RequestKind::Produce(request) => return produce::handle(&call, request),
                $(RequestKind::$sync(request) => {
                    let mut state = context.shared.state();
                    ResponseKind::$sync($sync_module::handle(&mut state, &call, request))
                })*
                $(RequestKind::$async(request) => ResponseKind::$async($async_module::handle(&call, request).await),)*
                _ => return Outcome::HangUp,
            };
            Outcome::Reply(Box::new(response))
        }

        /// The answer that carries this error wherever an answer to this request can.
        pub(crate) fn refuse(request: RequestKind, error: E) -> ResponseKind {
            match request {
                RequestKind::Produce(request) => ResponseKind::Produce(produce::refuse(request, error)),
                $(RequestKind::$sync(request) => ResponseKind::$sync($sync_module::refuse(request, error)),)*
                $(RequestKind::$async(request) => ResponseKind::$async($async_module::refuse(request, error)),)*
                _ => unreachable!("only supported requests are decoded"),
            }
        }
    };
}

apis! {
    at_once {
        ListOffsets list_offsets 1..=10,
        Metadata metadata 0..=13,
        OffsetCommit offset_commit 2..=9,
        OffsetFetch offset_fetch 1..=9,
        FindCoordinator find_coordinator 0..=6,
        Heartbeat heartbeat 0..=4,
        LeaveGroup leave_group 0..=5,
        DescribeGroups describe_groups 0..=6,
        ListGroups list_groups 0..=5,
        ApiVersions api_versions 0..=4,
        CreateTopics create_topics 2..=7,
        DeleteTopics delete_topics 1..=6,
        DeleteRecords delete_records 0..=2,
        InitProducerId init_producer_id 0..=5,
        OffsetForLeaderEpoch offset_for_leader_epoch 2..=4,
        AddPartitionsToTxn add_partitions_to_txn 0..=3,
        AddOffsetsToTxn add_offsets_to_txn 0..=4,
        EndTxn end_txn 0..=5,
        TxnOffsetCommit txn_offset_commit 0..=5,
        DescribeAcls describe_acls 1..=3,
        CreateAcls create_acls 1..=3,
        DeleteAcls delete_acls 1..=3,
        DescribeConfigs describe_configs 1..=4,
        AlterConfigs alter_configs 0..=2,
        CreatePartitions create_partitions 0..=3,
        DeleteGroups delete_groups 0..=2,
        IncrementalAlterConfigs incremental_alter_configs 0..=1,
        OffsetDelete offset_delete 0..=0,
        DescribeCluster describe_cluster 0..=2,
        DescribeTopicPartitions describe_topic_partitions 0..=0,
    }
    later {
        Fetch fetch 4..=17,
        JoinGroup join_group 0..=9,
        SyncGroup sync_group 0..=5,
    }
}

pub(crate) fn supported(code: i16) -> Option<&'static Supported> {
    SUPPORTED.iter().find(|supported| supported.api_key as i16 == code)
}

/// How large an answer will be, about: records are the only thing that is ever large.
pub(crate) fn size_hint(response: &ResponseKind) -> usize {
    const HEAD: usize = 256;
    let ResponseKind::Fetch(fetch) = response else {
        return HEAD;
    };
    let partitions = fetch.responses.iter().flat_map(|topic| &topic.partitions);
    let records = partitions.map(|partition| 64 + partition.records.as_ref().map_or(0, |records| records.len()));
    HEAD + records.sum::<usize>()
}

fn code<T>(result: &Result<T, E>) -> i16 {
    result.as_ref().err().map_or(0, E::code)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Operations that Kafka lists when it does not know who asks.
const OPERATIONS_UNKNOWN: i32 = i32::MIN;
