use config_def::has_variable;
use connect_api::Props;

use crate::storage::config::{RawConfig, raw};

/// Task configs as they are stored. What a connector made of a variable (`${…}`) in its configuration is turned back,
/// so that no secret ends in the config topic.
pub(super) fn to_raw(tasks: &[Props], connector: &RawConfig) -> Vec<RawConfig> {
    let with_variable = |value: &Option<String>| value.as_ref().is_some_and(|value| has_variable(value));
    let variables: Vec<_> = connector.iter().filter(|(_, value)| with_variable(value)).collect();
    let mut stored: Vec<RawConfig> = tasks.iter().map(raw::from_props).collect();
    for task in &mut stored {
        for (key, value) in &variables {
            if let Some(resolved) = task.get_mut(*key) {
                resolved.clone_from(value);
            }
        }
    }
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolved_secrets_are_not_stored() {
        let connector: RawConfig = [
            ("password".to_owned(), Some("${file:/secrets:p}".to_owned())),
            ("topics".to_owned(), Some("orders".to_owned())),
            ("unused".to_owned(), Some("${env:X}".to_owned())),
        ]
        .into();
        let task: Props = [
            ("password".to_owned(), "hunter2".to_owned()),
            ("topics".to_owned(), "orders,payments".to_owned()),
        ]
        .into();
        let stored = to_raw(&[task], &connector);
        let expected: RawConfig = [
            ("password".to_owned(), Some("${file:/secrets:p}".to_owned())),
            ("topics".to_owned(), Some("orders,payments".to_owned())),
        ]
        .into();
        assert_eq!(stored, [expected]);
    }
}
