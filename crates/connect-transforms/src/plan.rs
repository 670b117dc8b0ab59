use std::sync::Arc;

use crate::step::{Action, Condition, Predicate, Step};

/// What a chain comes to for the batches of one topic, as far as the topic's name decides it.
#[derive(Debug)]
pub(crate) enum Plan {
    /// The batch goes to this topic as it is.
    Pass { topic: Arc<str> },
    /// None of its records is wanted.
    Drop,
    /// A transformation fails on every record.
    Fail { class: &'static str, reason: String },
    /// These steps depend on the record. Where they begin, the topic is `topic`.
    Rebuild {
        topic: Arc<str>,
        steps: Vec<usize>,
        scatters: bool,
    },
}

impl Plan {
    /// Walks along the chain as long as the topic is known. A step that renames all that reaches it may do so before the
    /// steps that were left over, because those do not look at the topic; one that does ends the knowledge.
    pub(crate) fn new(steps: &[Step], topic: &Arc<str>) -> Self {
        let mut start = topic.clone();
        let mut is_known = true;
        let mut left = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let applies = match &step.condition {
                None => Some(true),
                Some(Condition {
                    predicate: Predicate::TopicMatches(pattern),
                    negate,
                }) if is_known => Some(pattern.matches(&start) != *negate),
                Some(_) => None,
            };
            match (&step.action, applies) {
                (_, Some(false)) => continue,
                (Action::Drop, Some(true)) if left.is_empty() => return Self::Drop,
                (Action::Rename(replacement), Some(true)) if is_known => match replacement.apply(&start) {
                    Ok(Some(renamed)) => {
                        start = renamed.into();
                        continue;
                    }
                    Ok(None) => continue,
                    Err(error) if left.is_empty() => {
                        return Self::Fail {
                            class: step.class,
                            reason: error.to_string(),
                        };
                    }
                    // Only what earlier steps do not drop fails.
                    Err(_) => {}
                },
                _ => {}
            }
            is_known &= !matches!(step.action, Action::Rename(_) | Action::RenameByTimestamp(_));
            left.push(index);
        }
        if left.is_empty() {
            return Self::Pass { topic: start };
        }
        Self::Rebuild {
            topic: start,
            steps: left,
            scatters: !is_known,
        }
    }
}
