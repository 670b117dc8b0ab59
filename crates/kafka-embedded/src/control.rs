//! Hooks that tests put in front of a request: answer it with an error, delay it, lose it, hang up.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};

/// A request as a hook sees it, before the broker acts on it.
#[derive(Debug)]
pub struct Request<'a> {
    /// The node that received it.
    pub node_id: i32,
    /// The version it was sent in.
    pub version: i16,
    /// The client id from its header.
    pub client_id: &'a str,
    /// The message.
    pub body: &'a RequestKind,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Control {
    /// The broker handles it as if there was no hook.
    Pass,
    /// The broker does nothing and answers with this error, on every topic and partition in the request.
    Error(ResponseError),
    /// The broker does nothing and gives this answer.
    Respond(Box<ResponseKind>),
    /// The broker handles it after a while; what else came on that connection waits as well.
    Delay(Duration),
    /// The broker does nothing and never answers.
    Drop,
    /// The broker does nothing and closes the connection.
    Disconnect,
    /// The broker handles it, then closes the connection instead of answering.
    LoseReply,
}

type Hook = Box<dyn FnMut(&Request<'_>) -> Control + Send>;

#[derive(Default)]
pub(crate) struct Hooks {
    hooks: HashMap<i16, Vec<(Hook, Times)>>,
    counts: HashMap<i16, u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// Until it has answered once with something else than [`Control::Pass`].
    Once,
    Always,
}

impl Hooks {
    pub(crate) fn add(&mut self, api_key: ApiKey, times: Times, hook: Hook) {
        let hooks = self.hooks.entry(api_key as i16).or_default();
        hooks.push((hook, times));
    }

    pub(crate) fn clear(&mut self, api_key: ApiKey) {
        self.hooks.remove(&(api_key as i16));
    }

    pub(crate) fn count(&self, api_key: ApiKey) -> u64 {
        self.counts.get(&(api_key as i16)).copied().unwrap_or(0)
    }

    /// Counts the request and asks the hooks in the order they were added; the first that does not pass decides.
    pub(crate) fn on(&mut self, api_key: ApiKey, request: &Request<'_>) -> Control {
        *self.counts.entry(api_key as i16).or_default() += 1;
        let Some(hooks) = self.hooks.get_mut(&(api_key as i16)) else {
            return Control::Pass;
        };
        for index in 0..hooks.len() {
            let (hook, times) = &mut hooks[index];
            match hook(request) {
                Control::Pass => {}
                decision => {
                    if *times == Times::Once {
                        drop(hooks.remove(index));
                    }
                    return decision;
                }
            }
        }
        Control::Pass
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Hooks")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
