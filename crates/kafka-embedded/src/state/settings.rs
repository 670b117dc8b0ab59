//! Configurations: what a broker or topic goes by, from whichever place has set it.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::State;
use crate::configs;
use crate::log::AppendRules;

impl State {
    /// A broker's value: changed while it runs, set at the start, or Kafka's default.
    pub(crate) fn broker_config(&self, name: &str) -> Option<&str> {
        let set = self.dynamic_configs.get(name).or_else(|| self.static_configs.get(name));
        match set {
            Some(value) => Some(value),
            None => configs::broker_key(name)?.default,
        }
    }

    pub(super) fn broker_number<N: FromStr + From<i16>>(&self, name: &str) -> N {
        let parsed = self.broker_config(name).and_then(|value| value.parse().ok());
        parsed.unwrap_or_else(|| N::from(1))
    }

    /// A topic's value: its own, else the broker's under its synonym, else Kafka's default.
    pub(crate) fn topic_config<'a>(&'a self, own: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
        if let Some(value) = own.get(name) {
            return Some(value);
        }
        let key = configs::topic_key(name)?;
        key.synonym
            .and_then(|synonym| self.broker_config(synonym))
            .or(key.default)
    }

    pub(crate) fn append_rules(&self, own: &BTreeMap<String, String>) -> AppendRules {
        let number = |name| self.topic_config(own, name).and_then(|value| value.parse::<i64>().ok());
        let deletes = self
            .topic_config(own, "cleanup.policy")
            .is_some_and(|policy| policy.contains("delete"));
        let retention = number("retention.bytes").and_then(|cap| usize::try_from(cap).ok());
        AppendRules {
            max_message_bytes: number("max.message.bytes").map_or(usize::MAX, |max| max.max(0) as usize),
            log_append_time: self.topic_config(own, "message.timestamp.type") == Some("LogAppendTime"),
            retention_bytes: retention.filter(|_| deletes),
            keys_required: self
                .topic_config(own, "cleanup.policy")
                .is_some_and(|policy| policy.contains("compact")),
        }
    }

    /// After any change of configuration: topics keep what an append needs at hand.
    pub(crate) fn refresh_rules(&mut self) {
        let rules: Vec<_> = self
            .topics
            .values()
            .map(|topic| self.append_rules(&topic.configs))
            .collect();
        for (topic, rules) in self.topics.values_mut().zip(rules) {
            topic.rules = rules;
        }
    }
}
