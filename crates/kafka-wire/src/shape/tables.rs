//! Written by `scripts/message-shapes` from the message definitions of Apache Kafka 4.3.1, which are under the Apache
//! License 2.0. Do not edit.

use super::Kind::{Array, Bytes, Fixed, PlainString, String, Struct};
use super::{LAST, Message, field, fields};

pub(super) fn request(api_key: i16) -> Option<&'static Message> {
    Some(match api_key {
        0 => &PRODUCE_REQUEST,
        1 => &FETCH_REQUEST,
        2 => &LIST_OFFSETS_REQUEST,
        3 => &METADATA_REQUEST,
        8 => &OFFSET_COMMIT_REQUEST,
        9 => &OFFSET_FETCH_REQUEST,
        10 => &FIND_COORDINATOR_REQUEST,
        11 => &JOIN_GROUP_REQUEST,
        12 => &HEARTBEAT_REQUEST,
        13 => &LEAVE_GROUP_REQUEST,
        14 => &SYNC_GROUP_REQUEST,
        15 => &DESCRIBE_GROUPS_REQUEST,
        16 => &LIST_GROUPS_REQUEST,
        17 => &SASL_HANDSHAKE_REQUEST,
        18 => &API_VERSIONS_REQUEST,
        19 => &CREATE_TOPICS_REQUEST,
        20 => &DELETE_TOPICS_REQUEST,
        21 => &DELETE_RECORDS_REQUEST,
        22 => &INIT_PRODUCER_ID_REQUEST,
        23 => &OFFSET_FOR_LEADER_EPOCH_REQUEST,
        24 => &ADD_PARTITIONS_TO_TXN_REQUEST,
        25 => &ADD_OFFSETS_TO_TXN_REQUEST,
        26 => &END_TXN_REQUEST,
        28 => &TXN_OFFSET_COMMIT_REQUEST,
        29 => &DESCRIBE_ACLS_REQUEST,
        30 => &CREATE_ACLS_REQUEST,
        31 => &DELETE_ACLS_REQUEST,
        32 => &DESCRIBE_CONFIGS_REQUEST,
        33 => &ALTER_CONFIGS_REQUEST,
        36 => &SASL_AUTHENTICATE_REQUEST,
        37 => &CREATE_PARTITIONS_REQUEST,
        42 => &DELETE_GROUPS_REQUEST,
        44 => &INCREMENTAL_ALTER_CONFIGS_REQUEST,
        47 => &OFFSET_DELETE_REQUEST,
        60 => &DESCRIBE_CLUSTER_REQUEST,
        61 => &DESCRIBE_PRODUCERS_REQUEST,
        65 => &DESCRIBE_TRANSACTIONS_REQUEST,
        66 => &LIST_TRANSACTIONS_REQUEST,
        68 => &CONSUMER_GROUP_HEARTBEAT_REQUEST,
        69 => &CONSUMER_GROUP_DESCRIBE_REQUEST,
        75 => &DESCRIBE_TOPIC_PARTITIONS_REQUEST,
        _ => return None,
    })
}

pub(super) fn response(api_key: i16) -> Option<&'static Message> {
    Some(match api_key {
        0 => &PRODUCE_RESPONSE,
        1 => &FETCH_RESPONSE,
        2 => &LIST_OFFSETS_RESPONSE,
        3 => &METADATA_RESPONSE,
        8 => &OFFSET_COMMIT_RESPONSE,
        9 => &OFFSET_FETCH_RESPONSE,
        10 => &FIND_COORDINATOR_RESPONSE,
        11 => &JOIN_GROUP_RESPONSE,
        12 => &HEARTBEAT_RESPONSE,
        13 => &LEAVE_GROUP_RESPONSE,
        14 => &SYNC_GROUP_RESPONSE,
        15 => &DESCRIBE_GROUPS_RESPONSE,
        16 => &LIST_GROUPS_RESPONSE,
        17 => &SASL_HANDSHAKE_RESPONSE,
        18 => &API_VERSIONS_RESPONSE,
        19 => &CREATE_TOPICS_RESPONSE,
        20 => &DELETE_TOPICS_RESPONSE,
        21 => &DELETE_RECORDS_RESPONSE,
        22 => &INIT_PRODUCER_ID_RESPONSE,
        23 => &OFFSET_FOR_LEADER_EPOCH_RESPONSE,
        24 => &ADD_PARTITIONS_TO_TXN_RESPONSE,
        25 => &ADD_OFFSETS_TO_TXN_RESPONSE,
        26 => &END_TXN_RESPONSE,
        28 => &TXN_OFFSET_COMMIT_RESPONSE,
        29 => &DESCRIBE_ACLS_RESPONSE,
        30 => &CREATE_ACLS_RESPONSE,
        31 => &DELETE_ACLS_RESPONSE,
        32 => &DESCRIBE_CONFIGS_RESPONSE,
        33 => &ALTER_CONFIGS_RESPONSE,
        36 => &SASL_AUTHENTICATE_RESPONSE,
        37 => &CREATE_PARTITIONS_RESPONSE,
        42 => &DELETE_GROUPS_RESPONSE,
        44 => &INCREMENTAL_ALTER_CONFIGS_RESPONSE,
        47 => &OFFSET_DELETE_RESPONSE,
        60 => &DESCRIBE_CLUSTER_RESPONSE,
        61 => &DESCRIBE_PRODUCERS_RESPONSE,
        65 => &DESCRIBE_TRANSACTIONS_RESPONSE,
        66 => &LIST_TRANSACTIONS_RESPONSE,
        68 => &CONSUMER_GROUP_HEARTBEAT_RESPONSE,
        69 => &CONSUMER_GROUP_DESCRIBE_RESPONSE,
        75 => &DESCRIBE_TOPIC_PARTITIONS_RESPONSE,
        _ => return None,
    })
}

pub(super) static PRODUCE_REQUEST: Message = Message {
    name: "ProduceRequest",
    flexible: 9,
    fields: fields(88, &[
        field("TransactionalId", 3, LAST, String).null(3),
        field("Acks", 0, LAST, Fixed(2)),
        field("TimeoutMs", 0, LAST, Fixed(4)),
        field("TopicData", 0, LAST, Array(&Struct(&fields(96, &[
            field("Name", 0, 12, String),
            field("TopicId", 13, LAST, Fixed(16)),
            field("PartitionData", 0, LAST, Array(&Struct(&fields(64, &[
                field("Index", 0, LAST, Fixed(4)),
                field("Records", 0, LAST, Bytes).null(0),
            ])))),
        ])))),
    ]),
};

pub(super) static FETCH_REQUEST: Message = Message {
    name: "FetchRequest",
    flexible: 12,
    fields: fields(208, &[
        field("ClusterId", 12, LAST, String).null(12).tag(0),
        field("ReplicaId", 0, 14, Fixed(4)),
        field("ReplicaState", 15, LAST, Struct(&fields(40, &[
            field("ReplicaId", 15, LAST, Fixed(4)),
            field("ReplicaEpoch", 15, LAST, Fixed(8)),
        ]))).tag(1),
        field("MaxWaitMs", 0, LAST, Fixed(4)),
        field("MinBytes", 0, LAST, Fixed(4)),
        field("MaxBytes", 3, LAST, Fixed(4)),
        field("IsolationLevel", 4, LAST, Fixed(1)),
        field("SessionId", 7, LAST, Fixed(4)),
        field("SessionEpoch", 7, LAST, Fixed(4)),
        field("Topics", 0, LAST, Array(&Struct(&fields(96, &[
            field("Topic", 0, 12, String),
            field("TopicId", 13, LAST, Fixed(16)),
            field("Partitions", 0, LAST, Array(&Struct(&fields(80, &[
                field("Partition", 0, LAST, Fixed(4)),
                field("CurrentLeaderEpoch", 9, LAST, Fixed(4)),
                field("FetchOffset", 0, LAST, Fixed(8)),
                field("LastFetchedEpoch", 12, LAST, Fixed(4)),
                field("LogStartOffset", 5, LAST, Fixed(8)),
                field("PartitionMaxBytes", 0, LAST, Fixed(4)),
                field("ReplicaDirectoryId", 17, LAST, Fixed(16)).tag(0),
                field("HighWatermark", 18, LAST, Fixed(8)).tag(1),
            ])))),
        ])))),
        field("ForgottenTopicsData", 7, LAST, Array(&Struct(&fields(96, &[
            field("Topic", 7, 12, String),
            field("TopicId", 13, LAST, Fixed(16)),
            field("Partitions", 7, LAST, Array(&Fixed(4))),
        ])))),
        field("RackId", 11, LAST, String),
    ]),
};

pub(super) static LIST_OFFSETS_REQUEST: Message = Message {
    name: "ListOffsetsRequest",
    flexible: 6,
    fields: fields(64, &[
        field("ReplicaId", 0, LAST, Fixed(4)),
        field("IsolationLevel", 2, LAST, Fixed(1)),
        field("Topics", 0, LAST, Array(&Struct(&fields(80, &[
            field("Name", 0, LAST, String),
            field("Partitions", 0, LAST, Array(&Struct(&fields(40, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("CurrentLeaderEpoch", 4, LAST, Fixed(4)),
                field("Timestamp", 0, LAST, Fixed(8)),
            ])))),
        ])))),
        field("TimeoutMs", 10, LAST, Fixed(4)),
    ]),
};

pub(super) static METADATA_REQUEST: Message = Message {
    name: "MetadataRequest",
    flexible: 9,
    fields: fields(56, &[
        field("Topics", 0, LAST, Array(&Struct(&fields(72, &[
            field("TopicId", 10, LAST, Fixed(16)),
            field("Name", 0, LAST, String).null(10),
        ])))).null(1),
        field("AllowAutoTopicCreation", 4, LAST, Fixed(1)),
        field("IncludeClusterAuthorizedOperations", 8, 10, Fixed(1)),
        field("IncludeTopicAuthorizedOperations", 8, LAST, Fixed(1)),
    ]),
};

pub(super) static OFFSET_COMMIT_REQUEST: Message = Message {
    name: "OffsetCommitRequest",
    flexible: 8,
    fields: fields(160, &[
        field("GroupId", 0, LAST, String),
        field("GenerationIdOrMemberEpoch", 1, LAST, Fixed(4)),
        field("MemberId", 1, LAST, String),
        field("GroupInstanceId", 7, LAST, String).null(7),
        field("RetentionTimeMs", 2, 4, Fixed(8)),
        field("Topics", 0, LAST, Array(&Struct(&fields(96, &[
            field("Name", 0, 9, String),
            field("TopicId", 10, LAST, Fixed(16)),
            field("Partitions", 0, LAST, Array(&Struct(&fields(72, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("CommittedOffset", 0, LAST, Fixed(8)),
                field("CommittedLeaderEpoch", 6, LAST, Fixed(4)),
                field("CommittedMetadata", 0, LAST, String).null(0),
            ])))),
        ])))),
    ]),
};

pub(super) static OFFSET_FETCH_REQUEST: Message = Message {
    name: "OffsetFetchRequest",
    flexible: 6,
    fields: fields(112, &[
        field("GroupId", 0, 7, String),
        field("Topics", 0, 7, Array(&Struct(&fields(80, &[
            field("Name", 0, 7, String),
            field("PartitionIndexes", 0, 7, Array(&Fixed(4))),
        ])))).null(2),
        field("Groups", 8, LAST, Array(&Struct(&fields(120, &[
            field("GroupId", 8, LAST, String),
            field("MemberId", 9, LAST, String).null(9),
            field("MemberEpoch", 9, LAST, Fixed(4)),
            field("Topics", 8, LAST, Array(&Struct(&fields(96, &[
                field("Name", 8, 9, String),
                field("TopicId", 10, LAST, Fixed(16)),
                field("PartitionIndexes", 8, LAST, Array(&Fixed(4))),
            ])))).null(8),
        ])))),
        field("RequireStable", 7, LAST, Fixed(1)),
    ]),
};

pub(super) static FIND_COORDINATOR_REQUEST: Message = Message {
    name: "FindCoordinatorRequest",
    flexible: 3,
    fields: fields(88, &[
        field("Key", 0, 3, String),
        field("KeyType", 1, LAST, Fixed(1)),
        field("CoordinatorKeys", 4, LAST, Array(&String)),
    ]),
};

pub(super) static JOIN_GROUP_REQUEST: Message = Message {
    name: "JoinGroupRequest",
    flexible: 6,
    fields: fields(216, &[
        field("GroupId", 0, LAST, String),
        field("SessionTimeoutMs", 0, LAST, Fixed(4)),
        field("RebalanceTimeoutMs", 1, LAST, Fixed(4)),
        field("MemberId", 0, LAST, String),
        field("GroupInstanceId", 5, LAST, String).null(5),
        field("ProtocolType", 0, LAST, String),
        field("Protocols", 0, LAST, Array(&Struct(&fields(88, &[
            field("Name", 0, LAST, String),
            field("Metadata", 0, LAST, Bytes),
        ])))),
        field("Reason", 8, LAST, String).null(8),
    ]),
};

pub(super) static HEARTBEAT_REQUEST: Message = Message {
    name: "HeartbeatRequest",
    flexible: 4,
    fields: fields(128, &[
        field("GroupId", 0, LAST, String),
        field("GenerationId", 0, LAST, Fixed(4)),
        field("MemberId", 0, LAST, String),
        field("GroupInstanceId", 3, LAST, String).null(3),
    ]),
};

pub(super) static LEAVE_GROUP_REQUEST: Message = Message {
    name: "LeaveGroupRequest",
    flexible: 4,
    fields: fields(112, &[
        field("GroupId", 0, LAST, String),
        field("MemberId", 0, 2, String),
        field("Members", 3, LAST, Array(&Struct(&fields(120, &[
            field("MemberId", 3, LAST, String),
            field("GroupInstanceId", 3, LAST, String).null(3),
            field("Reason", 5, LAST, String).null(5),
        ])))),
    ]),
};

pub(super) static SYNC_GROUP_REQUEST: Message = Message {
    name: "SyncGroupRequest",
    flexible: 4,
    fields: fields(216, &[
        field("GroupId", 0, LAST, String),
        field("GenerationId", 0, LAST, Fixed(4)),
        field("MemberId", 0, LAST, String),
        field("GroupInstanceId", 3, LAST, String).null(3),
        field("ProtocolType", 5, LAST, String).null(5),
        field("ProtocolName", 5, LAST, String).null(5),
        field("Assignments", 0, LAST, Array(&Struct(&fields(88, &[
            field("MemberId", 0, LAST, String),
            field("Assignment", 0, LAST, Bytes),
        ])))),
    ]),
};

pub(super) static DESCRIBE_GROUPS_REQUEST: Message = Message {
    name: "DescribeGroupsRequest",
    flexible: 5,
    fields: fields(56, &[
        field("Groups", 0, LAST, Array(&String)),
        field("IncludeAuthorizedOperations", 3, LAST, Fixed(1)),
    ]),
};

pub(super) static LIST_GROUPS_REQUEST: Message = Message {
    name: "ListGroupsRequest",
    flexible: 3,
    fields: fields(72, &[
        field("StatesFilter", 4, LAST, Array(&String)),
        field("TypesFilter", 5, LAST, Array(&String)),
    ]),
};

pub(super) static SASL_HANDSHAKE_REQUEST: Message = Message {
    name: "SaslHandshakeRequest",
    flexible: LAST,
    fields: fields(56, &[
        field("Mechanism", 0, LAST, String),
    ]),
};

pub(super) static API_VERSIONS_REQUEST: Message = Message {
    name: "ApiVersionsRequest",
    flexible: 3,
    fields: fields(88, &[
        field("ClientSoftwareName", 3, LAST, String),
        field("ClientSoftwareVersion", 3, LAST, String),
    ]),
};

pub(super) static CREATE_TOPICS_REQUEST: Message = Message {
    name: "CreateTopicsRequest",
    flexible: 5,
    fields: fields(56, &[
        field("Topics", 0, LAST, Array(&Struct(&fields(112, &[
            field("Name", 0, LAST, String),
            field("NumPartitions", 0, LAST, Fixed(4)),
            field("ReplicationFactor", 0, LAST, Fixed(2)),
            field("Assignments", 0, LAST, Array(&Struct(&fields(56, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("BrokerIds", 0, LAST, Array(&Fixed(4))),
            ])))),
            field("Configs", 0, LAST, Array(&Struct(&fields(88, &[
                field("Name", 0, LAST, String),
                field("Value", 0, LAST, String).null(0),
            ])))),
        ])))),
        field("timeoutMs", 0, LAST, Fixed(4)),
        field("validateOnly", 1, LAST, Fixed(1)),
    ]),
};

pub(super) static DELETE_TOPICS_REQUEST: Message = Message {
    name: "DeleteTopicsRequest",
    flexible: 4,
    fields: fields(80, &[
        field("Topics", 6, LAST, Array(&Struct(&fields(72, &[
            field("Name", 6, LAST, String).null(6),
            field("TopicId", 6, LAST, Fixed(16)),
        ])))),
        field("TopicNames", 0, 5, Array(&String)),
        field("TimeoutMs", 0, LAST, Fixed(4)),
    ]),
};

pub(super) static DELETE_RECORDS_REQUEST: Message = Message {
    name: "DeleteRecordsRequest",
    flexible: 2,
    fields: fields(56, &[
        field("Topics", 0, LAST, Array(&Struct(&fields(80, &[
            field("Name", 0, LAST, String),
            field("Partitions", 0, LAST, Array(&Struct(&fields(40, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("Offset", 0, LAST, Fixed(8)),
            ])))),
        ])))),
        field("TimeoutMs", 0, LAST, Fixed(4)),
    ]),
};

pub(super) static INIT_PRODUCER_ID_REQUEST: Message = Message {
    name: "InitProducerIdRequest",
    flexible: 2,
    fields: fields(72, &[
        field("TransactionalId", 0, LAST, String).null(0),
        field("TransactionTimeoutMs", 0, LAST, Fixed(4)),
        field("ProducerId", 3, LAST, Fixed(8)),
        field("ProducerEpoch", 3, LAST, Fixed(2)),
        field("Enable2Pc", 6, LAST, Fixed(1)),
        field("KeepPreparedTxn", 6, LAST, Fixed(1)),
    ]),
};

pub(super) static OFFSET_FOR_LEADER_EPOCH_REQUEST: Message = Message {
    name: "OffsetForLeaderEpochRequest",
    flexible: 4,
    fields: fields(56, &[
        field("ReplicaId", 3, LAST, Fixed(4)),
        field("Topics", 0, LAST, Array(&Struct(&fields(80, &[
            field("Topic", 0, LAST, String),
            field("Partitions", 0, LAST, Array(&Struct(&fields(40, &[
                field("Partition", 0, LAST, Fixed(4)),
                field("CurrentLeaderEpoch", 2, LAST, Fixed(4)),
                field("LeaderEpoch", 0, LAST, Fixed(4)),
            ])))),
        ])))),
    ]),
};

pub(super) static ADD_PARTITIONS_TO_TXN_REQUEST: Message = Message {
    name: "AddPartitionsToTxnRequest",
    flexible: 3,
    fields: fields(120, &[
        field("Transactions", 4, LAST, Array(&Struct(&fields(96, &[
            field("TransactionalId", 4, LAST, String),
            field("ProducerId", 4, LAST, Fixed(8)),
            field("ProducerEpoch", 4, LAST, Fixed(2)),
            field("VerifyOnly", 4, LAST, Fixed(1)),
            field("Topics", 4, LAST, Array(&Struct(&fields(80, &[
                field("Name", 0, LAST, String),
                field("Partitions", 0, LAST, Array(&Fixed(4))),
            ])))),
        ])))),
        field("V3AndBelowTransactionalId", 0, 3, String),
        field("V3AndBelowProducerId", 0, 3, Fixed(8)),
        field("V3AndBelowProducerEpoch", 0, 3, Fixed(2)),
        field("V3AndBelowTopics", 0, 3, Array(&Struct(&fields(80, &[
            field("Name", 0, LAST, String),
            field("Partitions", 0, LAST, Array(&Fixed(4))),
        ])))),
    ]),
};

pub(super) static ADD_OFFSETS_TO_TXN_REQUEST: Message = Message {
    name: "AddOffsetsToTxnRequest",
    flexible: 3,
    fields: fields(104, &[
        field("TransactionalId", 0, LAST, String),
        field("ProducerId", 0, LAST, Fixed(8)),
        field("ProducerEpoch", 0, LAST, Fixed(2)),
        field("GroupId", 0, LAST, String),
    ]),
};

pub(super) static END_TXN_REQUEST: Message = Message {
    name: "EndTxnRequest",
    flexible: 3,
    fields: fields(72, &[
        field("TransactionalId", 0, LAST, String),
        field("ProducerId", 0, LAST, Fixed(8)),
        field("ProducerEpoch", 0, LAST, Fixed(2)),
        field("Committed", 0, LAST, Fixed(1)),
    ]),
};

pub(super) static TXN_OFFSET_COMMIT_REQUEST: Message = Message {
    name: "TxnOffsetCommitRequest",
    flexible: 3,
    fields: fields(192, &[
        field("TransactionalId", 0, LAST, String),
        field("GroupId", 0, LAST, String),
        field("ProducerId", 0, LAST, Fixed(8)),
        field("ProducerEpoch", 0, LAST, Fixed(2)),
        field("GenerationId", 3, LAST, Fixed(4)),
        field("MemberId", 3, LAST, String),
        field("GroupInstanceId", 3, LAST, String).null(3),
        field("Topics", 0, LAST, Array(&Struct(&fields(80, &[
            field("Name", 0, LAST, String),
            field("Partitions", 0, LAST, Array(&Struct(&fields(72, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("CommittedOffset", 0, LAST, Fixed(8)),
                field("CommittedLeaderEpoch", 2, LAST, Fixed(4)),
                field("CommittedMetadata", 0, LAST, String).null(0),
            ])))),
        ])))),
    ]),
};

pub(super) static DESCRIBE_ACLS_REQUEST: Message = Message {
    name: "DescribeAclsRequest",
    flexible: 2,
    fields: fields(128, &[
        field("ResourceTypeFilter", 0, LAST, Fixed(1)),
        field("ResourceNameFilter", 0, LAST, String).null(0),
        field("PatternTypeFilter", 1, LAST, Fixed(1)),
        field("PrincipalFilter", 0, LAST, String).null(0),
        field("HostFilter", 0, LAST, String).null(0),
        field("Operation", 0, LAST, Fixed(1)),
        field("PermissionType", 0, LAST, Fixed(1)),
    ]),
};

pub(super) static CREATE_ACLS_REQUEST: Message = Message {
    name: "CreateAclsRequest",
    flexible: 2,
    fields: fields(48, &[
        field("Creations", 0, LAST, Array(&Struct(&fields(128, &[
            field("ResourceType", 0, LAST, Fixed(1)),
            field("ResourceName", 0, LAST, String),
            field("ResourcePatternType", 1, LAST, Fixed(1)),
            field("Principal", 0, LAST, String),
            field("Host", 0, LAST, String),
            field("Operation", 0, LAST, Fixed(1)),
            field("PermissionType", 0, LAST, Fixed(1)),
        ])))),
    ]),
};

pub(super) static DELETE_ACLS_REQUEST: Message = Message {
    name: "DeleteAclsRequest",
    flexible: 2,
    fields: fields(48, &[
        field("Filters", 0, LAST, Array(&Struct(&fields(128, &[
            field("ResourceTypeFilter", 0, LAST, Fixed(1)),
            field("ResourceNameFilter", 0, LAST, String).null(0),
            field("PatternTypeFilter", 1, LAST, Fixed(1)),
            field("PrincipalFilter", 0, LAST, String).null(0),
            field("HostFilter", 0, LAST, String).null(0),
            field("Operation", 0, LAST, Fixed(1)),
            field("PermissionType", 0, LAST, Fixed(1)),
        ])))),
    ]),
};

pub(super) static DESCRIBE_CONFIGS_REQUEST: Message = Message {
    name: "DescribeConfigsRequest",
    flexible: 4,
    fields: fields(56, &[
        field("Resources", 0, LAST, Array(&Struct(&fields(88, &[
            field("ResourceType", 0, LAST, Fixed(1)),
            field("ResourceName", 0, LAST, String),
            field("ConfigurationKeys", 0, LAST, Array(&String)).null(0),
        ])))),
        field("IncludeSynonyms", 1, LAST, Fixed(1)),
        field("IncludeDocumentation", 3, LAST, Fixed(1)),
    ]),
};

pub(super) static ALTER_CONFIGS_REQUEST: Message = Message {
    name: "AlterConfigsRequest",
    flexible: 2,
    fields: fields(56, &[
        field("Resources", 0, LAST, Array(&Struct(&fields(88, &[
            field("ResourceType", 0, LAST, Fixed(1)),
            field("ResourceName", 0, LAST, String),
            field("Configs", 0, LAST, Array(&Struct(&fields(88, &[
                field("Name", 0, LAST, String),
                field("Value", 0, LAST, String).null(0),
            ])))),
        ])))),
        field("ValidateOnly", 0, LAST, Fixed(1)),
    ]),
};

pub(super) static SASL_AUTHENTICATE_REQUEST: Message = Message {
    name: "SaslAuthenticateRequest",
    flexible: 2,
    fields: fields(56, &[
        field("AuthBytes", 0, LAST, Bytes),
    ]),
};

pub(super) static CREATE_PARTITIONS_REQUEST: Message = Message {
    name: "CreatePartitionsRequest",
    flexible: 2,
    fields: fields(56, &[
        field("Topics", 0, LAST, Array(&Struct(&fields(88, &[
            field("Name", 0, LAST, String),
            field("Count", 0, LAST, Fixed(4)),
            field("Assignments", 0, LAST, Array(&Struct(&fields(48, &[
                field("BrokerIds", 0, LAST, Array(&Fixed(4))),
            ])))).null(0),
        ])))),
        field("TimeoutMs", 0, LAST, Fixed(4)),
        field("ValidateOnly", 0, LAST, Fixed(1)),
    ]),
};

pub(super) static DELETE_GROUPS_REQUEST: Message = Message {
    name: "DeleteGroupsRequest",
    flexible: 2,
    fields: fields(48, &[
        field("GroupsNames", 0, LAST, Array(&String)),
    ]),
};

pub(super) static INCREMENTAL_ALTER_CONFIGS_REQUEST: Message = Message {
    name: "IncrementalAlterConfigsRequest",
    flexible: 1,
    fields: fields(56, &[
        field("Resources", 0, LAST, Array(&Struct(&fields(88, &[
            field("ResourceType", 0, LAST, Fixed(1)),
            field("ResourceName", 0, LAST, String),
            field("Configs", 0, LAST, Array(&Struct(&fields(96, &[
                field("Name", 0, LAST, String),
                field("ConfigOperation", 0, LAST, Fixed(1)),
                field("Value", 0, LAST, String).null(0),
            ])))),
        ])))),
        field("ValidateOnly", 0, LAST, Fixed(1)),
    ]),
};

pub(super) static OFFSET_DELETE_REQUEST: Message = Message {
    name: "OffsetDeleteRequest",
    flexible: LAST,
    fields: fields(80, &[
        field("GroupId", 0, LAST, String),
        field("Topics", 0, LAST, Array(&Struct(&fields(80, &[
            field("Name", 0, LAST, String),
            field("Partitions", 0, LAST, Array(&Struct(&fields(32, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
            ])))),
        ])))),
    ]),
};

pub(super) static DESCRIBE_CLUSTER_REQUEST: Message = Message {
    name: "DescribeClusterRequest",
    flexible: 0,
    fields: fields(32, &[
        field("IncludeClusterAuthorizedOperations", 0, LAST, Fixed(1)),
        field("EndpointType", 1, LAST, Fixed(1)),
        field("IncludeFencedBrokers", 2, LAST, Fixed(1)),
    ]),
};

pub(super) static DESCRIBE_PRODUCERS_REQUEST: Message = Message {
    name: "DescribeProducersRequest",
    flexible: 0,
    fields: fields(48, &[
        field("Topics", 0, LAST, Array(&Struct(&fields(80, &[
            field("Name", 0, LAST, String),
            field("PartitionIndexes", 0, LAST, Array(&Fixed(4))),
        ])))),
    ]),
};

pub(super) static DESCRIBE_TRANSACTIONS_REQUEST: Message = Message {
    name: "DescribeTransactionsRequest",
    flexible: 0,
    fields: fields(48, &[
        field("TransactionalIds", 0, LAST, Array(&String)),
    ]),
};

pub(super) static LIST_TRANSACTIONS_REQUEST: Message = Message {
    name: "ListTransactionsRequest",
    flexible: 0,
    fields: fields(112, &[
        field("StateFilters", 0, LAST, Array(&String)),
        field("ProducerIdFilters", 0, LAST, Array(&Fixed(8))),
        field("DurationFilter", 1, LAST, Fixed(8)),
        field("TransactionalIdPattern", 2, LAST, String).null(2),
    ]),
};

pub(super) static CONSUMER_GROUP_HEARTBEAT_REQUEST: Message = Message {
    name: "ConsumerGroupHeartbeatRequest",
    flexible: 0,
    fields: fields(272, &[
        field("GroupId", 0, LAST, String),
        field("MemberId", 0, LAST, String),
        field("MemberEpoch", 0, LAST, Fixed(4)),
        field("InstanceId", 0, LAST, String).null(0),
        field("RackId", 0, LAST, String).null(0),
        field("RebalanceTimeoutMs", 0, LAST, Fixed(4)),
        field("SubscribedTopicNames", 0, LAST, Array(&String)).null(0),
        field("SubscribedTopicRegex", 1, LAST, String).null(1),
        field("ServerAssignor", 0, LAST, String).null(0),
        field("TopicPartitions", 0, LAST, Array(&Struct(&fields(64, &[
            field("TopicId", 0, LAST, Fixed(16)),
            field("Partitions", 0, LAST, Array(&Fixed(4))),
        ])))).null(0),
    ]),
};

pub(super) static CONSUMER_GROUP_DESCRIBE_REQUEST: Message = Message {
    name: "ConsumerGroupDescribeRequest",
    flexible: 0,
    fields: fields(56, &[
        field("GroupIds", 0, LAST, Array(&String)),
        field("IncludeAuthorizedOperations", 0, LAST, Fixed(1)),
    ]),
};

pub(super) static DESCRIBE_TOPIC_PARTITIONS_REQUEST: Message = Message {
    name: "DescribeTopicPartitionsRequest",
    flexible: 0,
    fields: fields(128, &[
        field("Topics", 0, LAST, Array(&Struct(&fields(56, &[
            field("Name", 0, LAST, String),
        ])))),
        field("ResponsePartitionLimit", 0, LAST, Fixed(4)),
        field("Cursor", 0, LAST, Struct(&fields(64, &[
            field("TopicName", 0, LAST, String),
            field("PartitionIndex", 0, LAST, Fixed(4)),
        ]))).null(0),
    ]),
};

pub(super) static PRODUCE_RESPONSE: Message = Message {
    name: "ProduceResponse",
    flexible: 9,
    fields: fields(80, &[
        field("Responses", 0, LAST, Array(&Struct(&fields(96, &[
            field("Name", 0, 12, String),
            field("TopicId", 13, LAST, Fixed(16)),
            field("PartitionResponses", 0, LAST, Array(&Struct(&fields(144, &[
                field("Index", 0, LAST, Fixed(4)),
                field("ErrorCode", 0, LAST, Fixed(2)),
                field("BaseOffset", 0, LAST, Fixed(8)),
                field("LogAppendTimeMs", 2, LAST, Fixed(8)),
                field("LogStartOffset", 5, LAST, Fixed(8)),
                field("RecordErrors", 8, LAST, Array(&Struct(&fields(64, &[
                    field("BatchIndex", 8, LAST, Fixed(4)),
                    field("BatchIndexErrorMessage", 8, LAST, String).null(8),
                ])))),
                field("ErrorMessage", 8, LAST, String).null(8),
                field("CurrentLeader", 10, LAST, Struct(&fields(32, &[
                    field("LeaderId", 10, LAST, Fixed(4)),
                    field("LeaderEpoch", 10, LAST, Fixed(4)),
                ]))).tag(0),
            ])))),
        ])))),
        field("ThrottleTimeMs", 1, LAST, Fixed(4)),
        field("NodeEndpoints", 10, LAST, Array(&Struct(&fields(96, &[
            field("NodeId", 10, LAST, Fixed(4)),
            field("Host", 10, LAST, String),
            field("Port", 10, LAST, Fixed(4)),
            field("Rack", 10, LAST, String).null(10),
        ])))).tag(0),
    ]),
};

pub(super) static FETCH_RESPONSE: Message = Message {
    name: "FetchResponse",
    flexible: 12,
    fields: fields(88, &[
        field("ThrottleTimeMs", 1, LAST, Fixed(4)),
        field("ErrorCode", 7, LAST, Fixed(2)),
        field("SessionId", 7, LAST, Fixed(4)),
        field("Responses", 0, LAST, Array(&Struct(&fields(96, &[
            field("Topic", 0, 12, String),
            field("TopicId", 13, LAST, Fixed(16)),
            field("Partitions", 0, LAST, Array(&Struct(&fields(232, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("ErrorCode", 0, LAST, Fixed(2)),
                field("HighWatermark", 0, LAST, Fixed(8)),
                field("LastStableOffset", 4, LAST, Fixed(8)),
                field("LogStartOffset", 5, LAST, Fixed(8)),
                field("DivergingEpoch", 12, LAST, Struct(&fields(40, &[
                    field("Epoch", 12, LAST, Fixed(4)),
                    field("EndOffset", 12, LAST, Fixed(8)),
                ]))).tag(0),
                field("CurrentLeader", 12, LAST, Struct(&fields(32, &[
                    field("LeaderId", 12, LAST, Fixed(4)),
                    field("LeaderEpoch", 12, LAST, Fixed(4)),
                ]))).tag(1),
                field("SnapshotId", 12, LAST, Struct(&fields(40, &[
                    field("EndOffset", 0, LAST, Fixed(8)),
                    field("Epoch", 0, LAST, Fixed(4)),
                ]))).tag(2),
                field("AbortedTransactions", 4, LAST, Array(&Struct(&fields(40, &[
                    field("ProducerId", 4, LAST, Fixed(8)),
                    field("FirstOffset", 4, LAST, Fixed(8)),
                ])))).null(4),
                field("PreferredReadReplica", 11, LAST, Fixed(4)),
                field("Records", 0, LAST, Bytes).null(0),
            ])))),
        ])))),
        field("NodeEndpoints", 16, LAST, Array(&Struct(&fields(96, &[
            field("NodeId", 16, LAST, Fixed(4)),
            field("Host", 16, LAST, String),
            field("Port", 16, LAST, Fixed(4)),
            field("Rack", 16, LAST, String).null(16),
        ])))).tag(0),
    ]),
};

pub(super) static LIST_OFFSETS_RESPONSE: Message = Message {
    name: "ListOffsetsResponse",
    flexible: 6,
    fields: fields(56, &[
        field("ThrottleTimeMs", 2, LAST, Fixed(4)),
        field("Topics", 0, LAST, Array(&Struct(&fields(80, &[
            field("Name", 0, LAST, String),
            field("Partitions", 0, LAST, Array(&Struct(&fields(56, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("ErrorCode", 0, LAST, Fixed(2)),
                field("Timestamp", 1, LAST, Fixed(8)),
                field("Offset", 1, LAST, Fixed(8)),
                field("LeaderEpoch", 4, LAST, Fixed(4)),
            ])))),
        ])))),
    ]),
};

pub(super) static METADATA_RESPONSE: Message = Message {
    name: "MetadataResponse",
    flexible: 9,
    fields: fields(120, &[
        field("ThrottleTimeMs", 3, LAST, Fixed(4)),
        field("Brokers", 0, LAST, Array(&Struct(&fields(96, &[
            field("NodeId", 0, LAST, Fixed(4)),
            field("Host", 0, LAST, String),
            field("Port", 0, LAST, Fixed(4)),
            field("Rack", 1, LAST, String).null(1),
        ])))),
        field("ClusterId", 2, LAST, String).null(2),
        field("ControllerId", 1, LAST, Fixed(4)),
        field("Topics", 0, LAST, Array(&Struct(&fields(104, &[
            field("ErrorCode", 0, LAST, Fixed(2)),
            field("Name", 0, LAST, String).null(12),
            field("TopicId", 10, LAST, Fixed(16)),
            field("IsInternal", 1, LAST, Fixed(1)),
            field("Partitions", 0, LAST, Array(&Struct(&fields(112, &[
                field("ErrorCode", 0, LAST, Fixed(2)),
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("LeaderId", 0, LAST, Fixed(4)),
                field("LeaderEpoch", 7, LAST, Fixed(4)),
                field("ReplicaNodes", 0, LAST, Array(&Fixed(4))),
                field("IsrNodes", 0, LAST, Array(&Fixed(4))),
                field("OfflineReplicas", 5, LAST, Array(&Fixed(4))),
            ])))),
            field("TopicAuthorizedOperations", 8, LAST, Fixed(4)),
        ])))),
        field("ClusterAuthorizedOperations", 8, 10, Fixed(4)),
        field("ErrorCode", 13, LAST, Fixed(2)),
    ]),
};

pub(super) static OFFSET_COMMIT_RESPONSE: Message = Message {
    name: "OffsetCommitResponse",
    flexible: 8,
    fields: fields(56, &[
        field("ThrottleTimeMs", 3, LAST, Fixed(4)),
        field("Topics", 0, LAST, Array(&Struct(&fields(96, &[
            field("Name", 0, 9, String),
            field("TopicId", 10, LAST, Fixed(16)),
            field("Partitions", 0, LAST, Array(&Struct(&fields(32, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("ErrorCode", 0, LAST, Fixed(2)),
            ])))),
        ])))),
    ]),
};

pub(super) static OFFSET_FETCH_RESPONSE: Message = Message {
    name: "OffsetFetchResponse",
    flexible: 6,
    fields: fields(80, &[
        field("ThrottleTimeMs", 3, LAST, Fixed(4)),
        field("Topics", 0, 7, Array(&Struct(&fields(80, &[
            field("Name", 0, 7, String),
            field("Partitions", 0, 7, Array(&Struct(&fields(80, &[
                field("PartitionIndex", 0, 7, Fixed(4)),
                field("CommittedOffset", 0, 7, Fixed(8)),
                field("CommittedLeaderEpoch", 5, 7, Fixed(4)),
                field("Metadata", 0, 7, String).null(0),
                field("ErrorCode", 0, 7, Fixed(2)),
            ])))),
        ])))),
        field("ErrorCode", 2, 7, Fixed(2)),
        field("Groups", 8, LAST, Array(&Struct(&fields(88, &[
            field("GroupId", 8, LAST, String),
            field("Topics", 8, LAST, Array(&Struct(&fields(96, &[
                field("Name", 8, 9, String),
                field("TopicId", 10, LAST, Fixed(16)),
                field("Partitions", 8, LAST, Array(&Struct(&fields(80, &[
                    field("PartitionIndex", 8, LAST, Fixed(4)),
                    field("CommittedOffset", 8, LAST, Fixed(8)),
                    field("CommittedLeaderEpoch", 8, LAST, Fixed(4)),
                    field("Metadata", 8, LAST, String).null(8),
                    field("ErrorCode", 8, LAST, Fixed(2)),
                ])))),
            ])))),
            field("ErrorCode", 8, LAST, Fixed(2)),
        ])))),
    ]),
};

pub(super) static FIND_COORDINATOR_RESPONSE: Message = Message {
    name: "FindCoordinatorResponse",
    flexible: 3,
    fields: fields(128, &[
        field("ThrottleTimeMs", 1, LAST, Fixed(4)),
        field("ErrorCode", 0, 3, Fixed(2)),
        field("ErrorMessage", 1, 3, String).null(1),
        field("NodeId", 0, 3, Fixed(4)),
        field("Host", 0, 3, String),
        field("Port", 0, 3, Fixed(4)),
        field("Coordinators", 4, LAST, Array(&Struct(&fields(136, &[
            field("Key", 4, LAST, String),
            field("NodeId", 4, LAST, Fixed(4)),
            field("Host", 4, LAST, String),
            field("Port", 4, LAST, Fixed(4)),
            field("ErrorCode", 4, LAST, Fixed(2)),
            field("ErrorMessage", 4, LAST, String).null(4),
        ])))),
    ]),
};

pub(super) static JOIN_GROUP_RESPONSE: Message = Message {
    name: "JoinGroupResponse",
    flexible: 6,
    fields: fields(192, &[
        field("ThrottleTimeMs", 2, LAST, Fixed(4)),
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("GenerationId", 0, LAST, Fixed(4)),
        field("ProtocolType", 7, LAST, String).null(7),
        field("ProtocolName", 0, LAST, String).null(7),
        field("Leader", 0, LAST, String),
        field("SkipAssignment", 9, LAST, Fixed(1)),
        field("MemberId", 0, LAST, String),
        field("Members", 0, LAST, Array(&Struct(&fields(120, &[
            field("MemberId", 0, LAST, String),
            field("GroupInstanceId", 5, LAST, String).null(5),
            field("Metadata", 0, LAST, Bytes),
        ])))),
    ]),
};

pub(super) static HEARTBEAT_RESPONSE: Message = Message {
    name: "HeartbeatResponse",
    flexible: 4,
    fields: fields(32, &[
        field("ThrottleTimeMs", 1, LAST, Fixed(4)),
        field("ErrorCode", 0, LAST, Fixed(2)),
    ]),
};

pub(super) static LEAVE_GROUP_RESPONSE: Message = Message {
    name: "LeaveGroupResponse",
    flexible: 4,
    fields: fields(56, &[
        field("ThrottleTimeMs", 1, LAST, Fixed(4)),
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("Members", 3, LAST, Array(&Struct(&fields(96, &[
            field("MemberId", 3, LAST, String),
            field("GroupInstanceId", 3, LAST, String).null(3),
            field("ErrorCode", 3, LAST, Fixed(2)),
        ])))),
    ]),
};

pub(super) static SYNC_GROUP_RESPONSE: Message = Message {
    name: "SyncGroupResponse",
    flexible: 4,
    fields: fields(128, &[
        field("ThrottleTimeMs", 1, LAST, Fixed(4)),
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("ProtocolType", 5, LAST, String).null(5),
        field("ProtocolName", 5, LAST, String).null(5),
        field("Assignment", 0, LAST, Bytes),
    ]),
};

pub(super) static DESCRIBE_GROUPS_RESPONSE: Message = Message {
    name: "DescribeGroupsResponse",
    flexible: 5,
    fields: fields(56, &[
        field("ThrottleTimeMs", 1, LAST, Fixed(4)),
        field("Groups", 0, LAST, Array(&Struct(&fields(216, &[
            field("ErrorCode", 0, LAST, Fixed(2)),
            field("ErrorMessage", 6, LAST, String).null(6),
            field("GroupId", 0, LAST, String),
            field("GroupState", 0, LAST, String),
            field("ProtocolType", 0, LAST, String),
            field("ProtocolData", 0, LAST, String),
            field("Members", 0, LAST, Array(&Struct(&fields(216, &[
                field("MemberId", 0, LAST, String),
                field("GroupInstanceId", 4, LAST, String).null(4),
                field("ClientId", 0, LAST, String),
                field("ClientHost", 0, LAST, String),
                field("MemberMetadata", 0, LAST, Bytes),
                field("MemberAssignment", 0, LAST, Bytes),
            ])))),
            field("AuthorizedOperations", 3, LAST, Fixed(4)),
        ])))),
    ]),
};

pub(super) static LIST_GROUPS_RESPONSE: Message = Message {
    name: "ListGroupsResponse",
    flexible: 3,
    fields: fields(56, &[
        field("ThrottleTimeMs", 1, LAST, Fixed(4)),
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("Groups", 0, LAST, Array(&Struct(&fields(152, &[
            field("GroupId", 0, LAST, String),
            field("ProtocolType", 0, LAST, String),
            field("GroupState", 4, LAST, String),
            field("GroupType", 5, LAST, String),
        ])))),
    ]),
};

pub(super) static SASL_HANDSHAKE_RESPONSE: Message = Message {
    name: "SaslHandshakeResponse",
    flexible: LAST,
    fields: fields(56, &[
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("Mechanisms", 0, LAST, Array(&String)),
    ]),
};

pub(super) static API_VERSIONS_RESPONSE: Message = Message {
    name: "ApiVersionsResponse",
    flexible: 3,
    fields: fields(112, &[
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("ApiKeys", 0, LAST, Array(&Struct(&fields(32, &[
            field("ApiKey", 0, LAST, Fixed(2)),
            field("MinVersion", 0, LAST, Fixed(2)),
            field("MaxVersion", 0, LAST, Fixed(2)),
        ])))),
        field("ThrottleTimeMs", 1, LAST, Fixed(4)),
        field("SupportedFeatures", 3, LAST, Array(&Struct(&fields(64, &[
            field("Name", 3, LAST, String),
            field("MinVersion", 3, LAST, Fixed(2)),
            field("MaxVersion", 3, LAST, Fixed(2)),
        ])))).tag(0),
        field("FinalizedFeaturesEpoch", 3, LAST, Fixed(8)).tag(1),
        field("FinalizedFeatures", 3, LAST, Array(&Struct(&fields(64, &[
            field("Name", 3, LAST, String),
            field("MaxVersionLevel", 3, LAST, Fixed(2)),
            field("MinVersionLevel", 3, LAST, Fixed(2)),
        ])))).tag(2),
        field("ZkMigrationReady", 3, LAST, Fixed(1)).tag(3),
    ]),
};

pub(super) static CREATE_TOPICS_RESPONSE: Message = Message {
    name: "CreateTopicsResponse",
    flexible: 5,
    fields: fields(56, &[
        field("ThrottleTimeMs", 2, LAST, Fixed(4)),
        field("Topics", 0, LAST, Array(&Struct(&fields(144, &[
            field("Name", 0, LAST, String),
            field("TopicId", 7, LAST, Fixed(16)),
            field("ErrorCode", 0, LAST, Fixed(2)),
            field("ErrorMessage", 1, LAST, String).null(0),
            field("TopicConfigErrorCode", 5, LAST, Fixed(2)).tag(0),
            field("NumPartitions", 5, LAST, Fixed(4)),
            field("ReplicationFactor", 5, LAST, Fixed(2)),
            field("Configs", 5, LAST, Array(&Struct(&fields(96, &[
                field("Name", 5, LAST, String),
                field("Value", 5, LAST, String).null(5),
                field("ReadOnly", 5, LAST, Fixed(1)),
                field("ConfigSource", 5, LAST, Fixed(1)),
                field("IsSensitive", 5, LAST, Fixed(1)),
            ])))).null(5),
        ])))),
    ]),
};

pub(super) static DELETE_TOPICS_RESPONSE: Message = Message {
    name: "DeleteTopicsResponse",
    flexible: 4,
    fields: fields(56, &[
        field("ThrottleTimeMs", 1, LAST, Fixed(4)),
        field("Responses", 0, LAST, Array(&Struct(&fields(112, &[
            field("Name", 0, LAST, String).null(6),
            field("TopicId", 6, LAST, Fixed(16)),
            field("ErrorCode", 0, LAST, Fixed(2)),
            field("ErrorMessage", 5, LAST, String).null(5),
        ])))),
    ]),
};

pub(super) static DELETE_RECORDS_RESPONSE: Message = Message {
    name: "DeleteRecordsResponse",
    flexible: 2,
    fields: fields(56, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("Topics", 0, LAST, Array(&Struct(&fields(80, &[
            field("Name", 0, LAST, String),
            field("Partitions", 0, LAST, Array(&Struct(&fields(40, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("LowWatermark", 0, LAST, Fixed(8)),
                field("ErrorCode", 0, LAST, Fixed(2)),
            ])))),
        ])))),
    ]),
};

pub(super) static INIT_PRODUCER_ID_RESPONSE: Message = Message {
    name: "InitProducerIdResponse",
    flexible: 2,
    fields: fields(56, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("ProducerId", 0, LAST, Fixed(8)),
        field("ProducerEpoch", 0, LAST, Fixed(2)),
        field("OngoingTxnProducerId", 6, LAST, Fixed(8)),
        field("OngoingTxnProducerEpoch", 6, LAST, Fixed(2)),
    ]),
};

pub(super) static OFFSET_FOR_LEADER_EPOCH_RESPONSE: Message = Message {
    name: "OffsetForLeaderEpochResponse",
    flexible: 4,
    fields: fields(56, &[
        field("ThrottleTimeMs", 2, LAST, Fixed(4)),
        field("Topics", 0, LAST, Array(&Struct(&fields(80, &[
            field("Topic", 0, LAST, String),
            field("Partitions", 0, LAST, Array(&Struct(&fields(48, &[
                field("ErrorCode", 0, LAST, Fixed(2)),
                field("Partition", 0, LAST, Fixed(4)),
                field("LeaderEpoch", 1, LAST, Fixed(4)),
                field("EndOffset", 0, LAST, Fixed(8)),
            ])))),
        ])))),
    ]),
};

pub(super) static ADD_PARTITIONS_TO_TXN_RESPONSE: Message = Message {
    name: "AddPartitionsToTxnResponse",
    flexible: 3,
    fields: fields(80, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("ErrorCode", 4, LAST, Fixed(2)),
        field("ResultsByTransaction", 4, LAST, Array(&Struct(&fields(80, &[
            field("TransactionalId", 4, LAST, String),
            field("TopicResults", 4, LAST, Array(&Struct(&fields(80, &[
                field("Name", 0, LAST, String),
                field("ResultsByPartition", 0, LAST, Array(&Struct(&fields(32, &[
                    field("PartitionIndex", 0, LAST, Fixed(4)),
                    field("PartitionErrorCode", 0, LAST, Fixed(2)),
                ])))),
            ])))),
        ])))),
        field("ResultsByTopicV3AndBelow", 0, 3, Array(&Struct(&fields(80, &[
            field("Name", 0, LAST, String),
            field("ResultsByPartition", 0, LAST, Array(&Struct(&fields(32, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("PartitionErrorCode", 0, LAST, Fixed(2)),
            ])))),
        ])))),
    ]),
};

pub(super) static ADD_OFFSETS_TO_TXN_RESPONSE: Message = Message {
    name: "AddOffsetsToTxnResponse",
    flexible: 3,
    fields: fields(32, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("ErrorCode", 0, LAST, Fixed(2)),
    ]),
};

pub(super) static END_TXN_RESPONSE: Message = Message {
    name: "EndTxnResponse",
    flexible: 3,
    fields: fields(40, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("ProducerId", 5, LAST, Fixed(8)),
        field("ProducerEpoch", 5, LAST, Fixed(2)),
    ]),
};

pub(super) static TXN_OFFSET_COMMIT_RESPONSE: Message = Message {
    name: "TxnOffsetCommitResponse",
    flexible: 3,
    fields: fields(56, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("Topics", 0, LAST, Array(&Struct(&fields(80, &[
            field("Name", 0, LAST, String),
            field("Partitions", 0, LAST, Array(&Struct(&fields(32, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("ErrorCode", 0, LAST, Fixed(2)),
            ])))),
        ])))),
    ]),
};

pub(super) static DESCRIBE_ACLS_RESPONSE: Message = Message {
    name: "DescribeAclsResponse",
    flexible: 2,
    fields: fields(88, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("ErrorMessage", 0, LAST, String).null(0),
        field("Resources", 0, LAST, Array(&Struct(&fields(88, &[
            field("ResourceType", 0, LAST, Fixed(1)),
            field("ResourceName", 0, LAST, String),
            field("PatternType", 1, LAST, Fixed(1)),
            field("Acls", 0, LAST, Array(&Struct(&fields(96, &[
                field("Principal", 0, LAST, String),
                field("Host", 0, LAST, String),
                field("Operation", 0, LAST, Fixed(1)),
                field("PermissionType", 0, LAST, Fixed(1)),
            ])))),
        ])))),
    ]),
};

pub(super) static CREATE_ACLS_RESPONSE: Message = Message {
    name: "CreateAclsResponse",
    flexible: 2,
    fields: fields(56, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("Results", 0, LAST, Array(&Struct(&fields(64, &[
            field("ErrorCode", 0, LAST, Fixed(2)),
            field("ErrorMessage", 0, LAST, String).null(0),
        ])))),
    ]),
};

pub(super) static DELETE_ACLS_RESPONSE: Message = Message {
    name: "DeleteAclsResponse",
    flexible: 2,
    fields: fields(56, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("FilterResults", 0, LAST, Array(&Struct(&fields(88, &[
            field("ErrorCode", 0, LAST, Fixed(2)),
            field("ErrorMessage", 0, LAST, String).null(0),
            field("MatchingAcls", 0, LAST, Array(&Struct(&fields(160, &[
                field("ErrorCode", 0, LAST, Fixed(2)),
                field("ErrorMessage", 0, LAST, String).null(0),
                field("ResourceType", 0, LAST, Fixed(1)),
                field("ResourceName", 0, LAST, String),
                field("PatternType", 1, LAST, Fixed(1)),
                field("Principal", 0, LAST, String),
                field("Host", 0, LAST, String),
                field("Operation", 0, LAST, Fixed(1)),
                field("PermissionType", 0, LAST, Fixed(1)),
            ])))),
        ])))),
    ]),
};

pub(super) static DESCRIBE_CONFIGS_RESPONSE: Message = Message {
    name: "DescribeConfigsResponse",
    flexible: 4,
    fields: fields(56, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("Results", 0, LAST, Array(&Struct(&fields(120, &[
            field("ErrorCode", 0, LAST, Fixed(2)),
            field("ErrorMessage", 0, LAST, String).null(0),
            field("ResourceType", 0, LAST, Fixed(1)),
            field("ResourceName", 0, LAST, String),
            field("Configs", 0, LAST, Array(&Struct(&fields(152, &[
                field("Name", 0, LAST, String),
                field("Value", 0, LAST, String).null(0),
                field("ReadOnly", 0, LAST, Fixed(1)),
                field("ConfigSource", 1, LAST, Fixed(1)),
                field("IsSensitive", 0, LAST, Fixed(1)),
                field("Synonyms", 1, LAST, Array(&Struct(&fields(96, &[
                    field("Name", 1, LAST, String),
                    field("Value", 1, LAST, String).null(0),
                    field("Source", 1, LAST, Fixed(1)),
                ])))),
                field("ConfigType", 3, LAST, Fixed(1)),
                field("Documentation", 3, LAST, String).null(0),
            ])))),
        ])))),
    ]),
};

pub(super) static ALTER_CONFIGS_RESPONSE: Message = Message {
    name: "AlterConfigsResponse",
    flexible: 2,
    fields: fields(56, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("Responses", 0, LAST, Array(&Struct(&fields(96, &[
            field("ErrorCode", 0, LAST, Fixed(2)),
            field("ErrorMessage", 0, LAST, String).null(0),
            field("ResourceType", 0, LAST, Fixed(1)),
            field("ResourceName", 0, LAST, String),
        ])))),
    ]),
};

pub(super) static SASL_AUTHENTICATE_RESPONSE: Message = Message {
    name: "SaslAuthenticateResponse",
    flexible: 2,
    fields: fields(104, &[
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("ErrorMessage", 0, LAST, String).null(0),
        field("AuthBytes", 0, LAST, Bytes),
        field("SessionLifetimeMs", 1, LAST, Fixed(8)),
    ]),
};

pub(super) static CREATE_PARTITIONS_RESPONSE: Message = Message {
    name: "CreatePartitionsResponse",
    flexible: 2,
    fields: fields(56, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("Results", 0, LAST, Array(&Struct(&fields(96, &[
            field("Name", 0, LAST, String),
            field("ErrorCode", 0, LAST, Fixed(2)),
            field("ErrorMessage", 0, LAST, String).null(0),
        ])))),
    ]),
};

pub(super) static DELETE_GROUPS_RESPONSE: Message = Message {
    name: "DeleteGroupsResponse",
    flexible: 2,
    fields: fields(56, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("Results", 0, LAST, Array(&Struct(&fields(64, &[
            field("GroupId", 0, LAST, String),
            field("ErrorCode", 0, LAST, Fixed(2)),
        ])))),
    ]),
};

pub(super) static INCREMENTAL_ALTER_CONFIGS_RESPONSE: Message = Message {
    name: "IncrementalAlterConfigsResponse",
    flexible: 1,
    fields: fields(56, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("Responses", 0, LAST, Array(&Struct(&fields(96, &[
            field("ErrorCode", 0, LAST, Fixed(2)),
            field("ErrorMessage", 0, LAST, String).null(0),
            field("ResourceType", 0, LAST, Fixed(1)),
            field("ResourceName", 0, LAST, String),
        ])))),
    ]),
};

pub(super) static OFFSET_DELETE_RESPONSE: Message = Message {
    name: "OffsetDeleteResponse",
    flexible: LAST,
    fields: fields(56, &[
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("Topics", 0, LAST, Array(&Struct(&fields(80, &[
            field("Name", 0, LAST, String),
            field("Partitions", 0, LAST, Array(&Struct(&fields(32, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("ErrorCode", 0, LAST, Fixed(2)),
            ])))),
        ])))),
    ]),
};

pub(super) static DESCRIBE_CLUSTER_RESPONSE: Message = Message {
    name: "DescribeClusterResponse",
    flexible: 0,
    fields: fields(128, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("ErrorMessage", 0, LAST, String).null(0),
        field("EndpointType", 1, LAST, Fixed(1)),
        field("ClusterId", 0, LAST, String),
        field("ControllerId", 0, LAST, Fixed(4)),
        field("Brokers", 0, LAST, Array(&Struct(&fields(104, &[
            field("BrokerId", 0, LAST, Fixed(4)),
            field("Host", 0, LAST, String),
            field("Port", 0, LAST, Fixed(4)),
            field("Rack", 0, LAST, String).null(0),
            field("IsFenced", 2, LAST, Fixed(1)),
        ])))),
        field("ClusterAuthorizedOperations", 0, LAST, Fixed(4)),
    ]),
};

pub(super) static DESCRIBE_PRODUCERS_RESPONSE: Message = Message {
    name: "DescribeProducersResponse",
    flexible: 0,
    fields: fields(56, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("Topics", 0, LAST, Array(&Struct(&fields(80, &[
            field("Name", 0, LAST, String),
            field("Partitions", 0, LAST, Array(&Struct(&fields(88, &[
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("ErrorCode", 0, LAST, Fixed(2)),
                field("ErrorMessage", 0, LAST, String).null(0),
                field("ActiveProducers", 0, LAST, Array(&Struct(&fields(64, &[
                    field("ProducerId", 0, LAST, Fixed(8)),
                    field("ProducerEpoch", 0, LAST, Fixed(4)),
                    field("LastSequence", 0, LAST, Fixed(4)),
                    field("LastTimestamp", 0, LAST, Fixed(8)),
                    field("CoordinatorEpoch", 0, LAST, Fixed(4)),
                    field("CurrentTxnStartOffset", 0, LAST, Fixed(8)),
                ])))),
            ])))),
        ])))),
    ]),
};

pub(super) static DESCRIBE_TRANSACTIONS_RESPONSE: Message = Message {
    name: "DescribeTransactionsResponse",
    flexible: 0,
    fields: fields(56, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("TransactionStates", 0, LAST, Array(&Struct(&fields(136, &[
            field("ErrorCode", 0, LAST, Fixed(2)),
            field("TransactionalId", 0, LAST, String),
            field("TransactionState", 0, LAST, String),
            field("TransactionTimeoutMs", 0, LAST, Fixed(4)),
            field("TransactionStartTimeMs", 0, LAST, Fixed(8)),
            field("ProducerId", 0, LAST, Fixed(8)),
            field("ProducerEpoch", 0, LAST, Fixed(2)),
            field("Topics", 0, LAST, Array(&Struct(&fields(80, &[
                field("Topic", 0, LAST, String),
                field("Partitions", 0, LAST, Array(&Fixed(4))),
            ])))),
        ])))),
    ]),
};

pub(super) static LIST_TRANSACTIONS_RESPONSE: Message = Message {
    name: "ListTransactionsResponse",
    flexible: 0,
    fields: fields(80, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("UnknownStateFilters", 0, LAST, Array(&String)),
        field("TransactionStates", 0, LAST, Array(&Struct(&fields(96, &[
            field("TransactionalId", 0, LAST, String),
            field("ProducerId", 0, LAST, Fixed(8)),
            field("TransactionState", 0, LAST, String),
        ])))),
    ]),
};

pub(super) static CONSUMER_GROUP_HEARTBEAT_RESPONSE: Message = Message {
    name: "ConsumerGroupHeartbeatResponse",
    flexible: 0,
    fields: fields(160, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("ErrorCode", 0, LAST, Fixed(2)),
        field("ErrorMessage", 0, LAST, String).null(0),
        field("MemberId", 0, LAST, String).null(0),
        field("MemberEpoch", 0, LAST, Fixed(4)),
        field("HeartbeatIntervalMs", 0, LAST, Fixed(4)),
        field("Assignment", 0, LAST, Struct(&fields(48, &[
            field("TopicPartitions", 0, LAST, Array(&Struct(&fields(64, &[
                field("TopicId", 0, LAST, Fixed(16)),
                field("Partitions", 0, LAST, Array(&Fixed(4))),
            ])))),
        ]))).null(0),
    ]),
};

pub(super) static CONSUMER_GROUP_DESCRIBE_RESPONSE: Message = Message {
    name: "ConsumerGroupDescribeResponse",
    flexible: 0,
    fields: fields(56, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("Groups", 0, LAST, Array(&Struct(&fields(192, &[
            field("ErrorCode", 0, LAST, Fixed(2)),
            field("ErrorMessage", 0, LAST, String).null(0),
            field("GroupId", 0, LAST, String),
            field("GroupState", 0, LAST, String),
            field("GroupEpoch", 0, LAST, Fixed(4)),
            field("AssignmentEpoch", 0, LAST, Fixed(4)),
            field("AssignorName", 0, LAST, String),
            field("Members", 0, LAST, Array(&Struct(&fields(344, &[
                field("MemberId", 0, LAST, String),
                field("InstanceId", 0, LAST, String).null(0),
                field("RackId", 0, LAST, String).null(0),
                field("MemberEpoch", 0, LAST, Fixed(4)),
                field("ClientId", 0, LAST, String),
                field("ClientHost", 0, LAST, String),
                field("SubscribedTopicNames", 0, LAST, Array(&String)),
                field("SubscribedTopicRegex", 0, LAST, String).null(0),
                field("Assignment", 0, LAST, Struct(&fields(48, &[
                    field("TopicPartitions", 0, LAST, Array(&Struct(&fields(96, &[
                        field("TopicId", 0, LAST, Fixed(16)),
                        field("TopicName", 0, LAST, String),
                        field("Partitions", 0, LAST, Array(&Fixed(4))),
                    ])))),
                ]))),
                field("TargetAssignment", 0, LAST, Struct(&fields(48, &[
                    field("TopicPartitions", 0, LAST, Array(&Struct(&fields(96, &[
                        field("TopicId", 0, LAST, Fixed(16)),
                        field("TopicName", 0, LAST, String),
                        field("Partitions", 0, LAST, Array(&Fixed(4))),
                    ])))),
                ]))),
                field("MemberType", 1, LAST, Fixed(1)),
            ])))),
            field("AuthorizedOperations", 0, LAST, Fixed(4)),
        ])))),
    ]),
};

pub(super) static DESCRIBE_TOPIC_PARTITIONS_RESPONSE: Message = Message {
    name: "DescribeTopicPartitionsResponse",
    flexible: 0,
    fields: fields(128, &[
        field("ThrottleTimeMs", 0, LAST, Fixed(4)),
        field("Topics", 0, LAST, Array(&Struct(&fields(104, &[
            field("ErrorCode", 0, LAST, Fixed(2)),
            field("Name", 0, LAST, String).null(0),
            field("TopicId", 0, LAST, Fixed(16)),
            field("IsInternal", 0, LAST, Fixed(1)),
            field("Partitions", 0, LAST, Array(&Struct(&fields(160, &[
                field("ErrorCode", 0, LAST, Fixed(2)),
                field("PartitionIndex", 0, LAST, Fixed(4)),
                field("LeaderId", 0, LAST, Fixed(4)),
                field("LeaderEpoch", 0, LAST, Fixed(4)),
                field("ReplicaNodes", 0, LAST, Array(&Fixed(4))),
                field("IsrNodes", 0, LAST, Array(&Fixed(4))),
                field("EligibleLeaderReplicas", 0, LAST, Array(&Fixed(4))).null(0),
                field("LastKnownElr", 0, LAST, Array(&Fixed(4))).null(0),
                field("OfflineReplicas", 0, LAST, Array(&Fixed(4))),
            ])))),
            field("TopicAuthorizedOperations", 0, LAST, Fixed(4)),
        ])))),
        field("NextCursor", 0, LAST, Struct(&fields(64, &[
            field("TopicName", 0, LAST, String),
            field("PartitionIndex", 0, LAST, Fixed(4)),
        ]))).null(0),
    ]),
};

pub(super) static REQUEST_HEADER: Message = Message {
    name: "RequestHeader",
    flexible: 2,
    fields: fields(64, &[
        field("RequestApiKey", 0, LAST, Fixed(2)),
        field("RequestApiVersion", 0, LAST, Fixed(2)),
        field("CorrelationId", 0, LAST, Fixed(4)),
        field("ClientId", 1, LAST, PlainString).null(1),
    ]),
};

pub(super) static CONSUMER_PROTOCOL_SUBSCRIPTION: Message = Message {
    name: "ConsumerProtocolSubscription",
    flexible: LAST,
    fields: fields(144, &[
        field("Topics", 0, LAST, Array(&String)),
        field("UserData", 0, LAST, Bytes).null(0),
        field("OwnedPartitions", 1, LAST, Array(&Struct(&fields(80, &[
            field("Topic", 1, LAST, String),
            field("Partitions", 1, LAST, Array(&Fixed(4))),
        ])))),
        field("GenerationId", 2, LAST, Fixed(4)),
        field("RackId", 3, LAST, String).null(3),
    ]),
};

pub(super) static CONSUMER_PROTOCOL_ASSIGNMENT: Message = Message {
    name: "ConsumerProtocolAssignment",
    flexible: LAST,
    fields: fields(80, &[
        field("AssignedPartitions", 0, LAST, Array(&Struct(&fields(80, &[
            field("Topic", 0, LAST, String),
            field("Partitions", 0, LAST, Array(&Fixed(4))),
        ])))),
        field("UserData", 0, LAST, Bytes).null(0),
    ]),
};

