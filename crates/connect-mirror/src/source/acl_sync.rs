//! Which ACLs of source topics their remote topics get.

use super::topic_rules::TopicRules;

/// `AclOperation` as on the wire.
pub mod operation {
    /// `ALL`.
    pub const ALL: i8 = 2;
    /// `READ`.
    pub const READ: i8 = 3;
    /// `WRITE`.
    pub const WRITE: i8 = 4;
}

/// `AclPermissionType` as on the wire.
pub mod permission {
    /// `DENY`.
    pub const DENY: i8 = 2;
    /// `ALLOW`.
    pub const ALLOW: i8 = 3;
}

/// `PatternType` as on the wire.
pub mod pattern {
    /// `LITERAL`.
    pub const LITERAL: i8 = 3;
    /// `PREFIXED`.
    pub const PREFIXED: i8 = 4;
}

/// An ACL of a topic, with the numbers of the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicAcl {
    /// The topic, or `*` for all.
    pub topic: String,
    /// [`pattern`]
    pub pattern: i8,
    /// Who.
    pub principal: String,
    /// From where.
    pub host: String,
    /// [`operation`]
    pub operation: i8,
    /// [`permission`]
    pub permission: i8,
}

/// The ACL to create on the target, if any. Nobody is allowed to write to a remote topic because he may write to the
/// source's; what is forbidden there is forbidden here.
pub fn remote_acl(acl: &TopicAcl, rules: &TopicRules, filter_accepts: impl Fn(&str) -> bool) -> Option<TopicAcl> {
    let allows = acl.permission == permission::ALLOW;
    let allows_writing = allows && acl.operation == operation::WRITE;
    if acl.pattern != pattern::LITERAL || allows_writing || !rules.replicates(&acl.topic, filter_accepts(&acl.topic)) {
        return None;
    }
    let allows_all = allows && acl.operation == operation::ALL;
    Some(TopicAcl {
        topic: rules.remote_topic(&acl.topic),
        operation: if allows_all { operation::READ } else { acl.operation },
        ..acl.clone()
    })
}

/// The same for an ACL with a prefix, which Kafka does not copy: `is_prefix_of_copied` says whether a topic that is
/// copied begins with it.
pub fn remote_prefixed_acl(acl: &TopicAcl, rules: &TopicRules, is_prefix_of_copied: bool) -> Option<TopicAcl> {
    if acl.pattern != pattern::PREFIXED || !is_prefix_of_copied {
        return None;
    }
    let allows = acl.permission == permission::ALLOW;
    let operation = match acl.operation {
        operation::WRITE if allows => return None,
        operation::ALL if allows => operation::READ,
        operation => operation,
    };
    Some(TopicAcl {
        // Even of topics that end in `heartbeats`, which the identity policy renames, a prefix is no part.
        topic: match rules.policy.keeps_names() {
            true => acl.topic.clone(),
            false => rules.remote_topic(&acl.topic),
        },
        operation,
        ..acl.clone()
    })
}

/// Whether `acl` of the target has a shape that this flow gives: a remote topic of its own, and nothing that it never
/// grants. `with_prefixed`: whether the flow copies ACLs with prefixes.
pub fn could_be_copied(
    acl: &TopicAcl,
    rules: &TopicRules,
    with_prefixed: bool,
    filter_accepts: impl Fn(&str) -> bool,
) -> bool {
    let is_remote = rules.policy.topic_source(&acl.topic) == Some(&*rules.source_alias);
    let Some(upstream) = rules.policy.upstream_topic(&acl.topic).filter(|_| is_remote) else {
        return false;
    };
    let never_granted =
        acl.permission == permission::ALLOW && matches!(acl.operation, operation::WRITE | operation::ALL);
    let is_of_a_copied_topic = match acl.pattern {
        pattern::LITERAL => rules.replicates(upstream, filter_accepts(upstream)),
        pattern::PREFIXED => with_prefixed,
        _ => false,
    };
    is_of_a_copied_topic && !never_granted && !rules.policy.keeps_names()
}

#[cfg(test)]
mod tests {
    use config_def::Props;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        replication_policy::{DEFAULT_REPLICATION_POLICY, ReplicationPolicy},
        topic_filter::TopicFilter,
    };

    const OPERATIONS: [(&str, i8); 7] = [
        ("READ", operation::READ),
        ("WRITE", operation::WRITE),
        ("ALL", operation::ALL),
        ("DESCRIBE", 8),
        ("ALTER", 7),
        ("CREATE", 5),
        ("DELETE", 6),
    ];
    const PERMISSIONS: [(&str, i8); 2] = [("ALLOW", permission::ALLOW), ("DENY", permission::DENY)];
    const PATTERNS: [(&str, i8); 2] = [("LITERAL", pattern::LITERAL), ("PREFIXED", pattern::PREFIXED)];

    #[test]
    fn acls_are_copied_as_kafka_copies_them() {
        let golden: Value =
            serde_json::from_str(include_str!("../../testdata/golden-decisions.json")).expect("valid JSON");
        let policy = ReplicationPolicy::new(DEFAULT_REPLICATION_POLICY, &Props::new()).expect("a known class");
        let (source_alias, target_alias) = ("A".to_owned(), "B".to_owned());
        let rules = TopicRules {
            policy,
            source_alias,
            target_alias,
            replicate_heartbeats: true,
        };
        let filter = TopicFilter::parse(&Props::new()).expect("the defaults are good");
        let vectors = golden["aclSync (flow A->B, default topic filter)"]
            .as_array()
            .expect("a list");
        assert!(vectors.len() >= 15);
        for vector in vectors {
            let source = acl(&vector["source"]);
            let created = remote_acl(&source, &rules, |topic| filter.accepts(topic));
            let created = created.map(|acl| {
                json!([
                    acl.topic,
                    name(&PATTERNS, acl.pattern),
                    name(&OPERATIONS, acl.operation),
                    name(&PERMISSIONS, acl.permission),
                    acl.principal,
                    acl.host
                ])
            });
            assert_eq!(json!(created), vector["created on target"], "{source:?}");
        }
    }

    fn rules() -> TopicRules {
        TopicRules {
            policy: ReplicationPolicy::new(DEFAULT_REPLICATION_POLICY, &Props::new()).expect("a known class"),
            source_alias: "A".to_owned(),
            target_alias: "B".to_owned(),
            replicate_heartbeats: true,
        }
    }

    #[test]
    fn prefixes_follow_the_same_rules_as_names() {
        let check = |operation: &str, permission: &str, is_prefix_of_copied, expected: Option<(&str, &str)>| {
            let source = acl(&json!(["ord", "PREFIXED", operation, permission]));
            let copied = remote_prefixed_acl(&source, &rules(), is_prefix_of_copied);
            let copied = copied
                .as_ref()
                .map(|acl| (acl.topic.as_str(), name(&OPERATIONS, acl.operation)));
            assert_eq!(copied, expected, "{operation} {permission}");
        };
        check("READ", "ALLOW", true, Some(("A.ord", "READ")));
        check("READ", "ALLOW", false, None);
        check("ALL", "ALLOW", true, Some(("A.ord", "READ")));
        check("WRITE", "ALLOW", true, None);
        check("WRITE", "DENY", true, Some(("A.ord", "WRITE")));
        check("ALL", "DENY", true, Some(("A.ord", "ALL")));
        let literal = acl(&json!(["ord", "LITERAL", "READ", "ALLOW"]));
        assert_eq!(remote_prefixed_acl(&literal, &rules(), true), None);
    }

    #[test]
    fn only_what_the_flow_could_have_made_may_be_deleted() {
        let check = |topic: &str, pattern: &str, operation: &str, permission: &str| {
            let acl = acl(&json!([topic, pattern, operation, permission]));
            could_be_copied(&acl, &rules(), false, |topic| topic != "private")
        };
        assert!(check("A.orders", "LITERAL", "READ", "ALLOW"));
        assert!(check("A.orders", "LITERAL", "ALL", "DENY"));
        assert!(check("A.*", "LITERAL", "READ", "ALLOW"));
        assert!(!check("orders", "LITERAL", "READ", "ALLOW"), "not a copy");
        assert!(!check("C.orders", "LITERAL", "READ", "ALLOW"), "of another flow");
        assert!(!check("A.private", "LITERAL", "READ", "ALLOW"), "not copied");
        assert!(!check("A.orders", "LITERAL", "WRITE", "ALLOW"), "never granted");
        assert!(!check("A.orders", "LITERAL", "ALL", "ALLOW"), "never granted");
        assert!(!check("A.ord", "PREFIXED", "READ", "ALLOW"), "prefixes are not copied");
        let prefixed = acl(&json!(["A.ord", "PREFIXED", "READ", "ALLOW"]));
        assert!(could_be_copied(&prefixed, &rules(), true, |_| true));
    }

    fn acl(row: &Value) -> TopicAcl {
        TopicAcl {
            topic: row[0].as_str().expect("a topic").to_owned(),
            pattern: code(&PATTERNS, &row[1]),
            principal: "User:u".to_owned(),
            host: "*".to_owned(),
            operation: code(&OPERATIONS, &row[2]),
            permission: code(&PERMISSIONS, &row[3]),
        }
    }

    fn code(table: &[(&str, i8)], name: &Value) -> i8 {
        table
            .iter()
            .find(|(known, _)| name == known)
            .unwrap_or_else(|| panic!("{name}"))
            .1
    }

    fn name(table: &[(&'static str, i8)], code: i8) -> &'static str {
        table
            .iter()
            .find(|(_, known)| *known == code)
            .unwrap_or_else(|| panic!("{code}"))
            .0
    }
}
