use std::{error::Error as StdError, fmt};

/// Why a connector or a task cannot go on, with the chain of causes.
///
/// It ends as the `trace` of a FAILED status, the `message` of a REST answer and one line in the log.
#[derive(Debug)]
pub struct ConnectError {
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    retriable: bool,
}

impl ConnectError {
    /// An error that fails the connector or task: says what was being done, and to what.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
            retriable: false,
        }
    }

    /// The same, with its cause.
    pub fn caused_by(message: impl Into<String>, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            message: message.into(),
            source: Some(source.into()),
            retriable: false,
        }
    }

    /// Marks the error as passing: the worker calls again instead of failing the task (Connect's `RetriableException`).
    #[must_use]
    pub fn retriable(mut self) -> Self {
        self.retriable = true;
        self
    }

    /// Whether the worker should call again.
    pub fn is_retriable(&self) -> bool {
        self.retriable
    }

    /// The whole chain in one line: `what: why: why`.
    pub fn chain(&self) -> String {
        let mut line = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string());
            cause = error.source();
        }
        line
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_every_cause_once() {
        let inner = ConnectError::caused_by("produce to a-0 was refused", "TOPIC_AUTHORIZATION_FAILED");
        let outer = ConnectError::caused_by("task mirror-0 failed", inner);
        assert_eq!(
            outer.chain(),
            "task mirror-0 failed: produce to a-0 was refused: TOPIC_AUTHORIZATION_FAILED"
        );
    }
}
