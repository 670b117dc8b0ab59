//! Which right a broker found missing: it only says that one is.

use kafka_wire::ErrorCode;

/// The ACL operation that each attempt needs, by the words with which it is told.
const NEEDED: &[(&str, &str)] = &[
    ("creating topic", "CREATE on the topic or on the cluster"),
    ("adding partitions to topic", "ALTER on the topic"),
    ("deleting topic", "DELETE on the topic"),
    ("deleting records", "DELETE on the topic"),
    ("describing topic", "DESCRIBE on the topic"),
    ("describing configs", "DESCRIBE_CONFIGS on the topic"),
    ("altering configs", "ALTER_CONFIGS on the topic"),
    ("describing ACLs", "DESCRIBE on the cluster"),
    ("creating an ACL", "ALTER on the cluster"),
    ("listing offsets", "DESCRIBE on the topic"),
    ("ListOffsets", "DESCRIBE on the topic"),
    ("fetch of", "READ on the topic"),
    ("produce to", "WRITE on the topic"),
    (
        "InitProducerId",
        "IDEMPOTENT_WRITE on the cluster, or WRITE on any topic",
    ),
    ("finding the coordinator", "DESCRIBE on the group"),
    ("describing group", "DESCRIBE on the group"),
    ("fetching offsets of group", "DESCRIBE on the group"),
    ("committing the offset of group", "READ on the group and the topic"),
    (
        "deleting the offset of group",
        "DELETE on the group and READ on the topic",
    ),
];

/// `; the principal needs …`, if `code` says that `what` was not allowed.
pub(crate) fn missing_right(what: &str, code: ErrorCode) -> String {
    let is_a_right = matches!(
        code,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::GROUP_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
    );
    let needed = NEEDED.iter().find(|(words, _)| is_a_right && what.starts_with(words));
    needed.map_or_else(String::new, |(_, right)| format!("; the principal needs {right}"))
}
