//! Reading the bodies of requests, within limits of size, time and memory.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody},
    http::HeaderMap,
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::error::RestError;

/// Largest body of a request. The largest that are sent hold the tasks' shares of many thousand partitions.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// All bodies together, while their requests are worked on.
const MAX_BODIES: usize = 32 * 1024 * 1024;
const KIB: usize = 1024;
/// From the head's end to the body's.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Takes bodies in.
#[derive(Debug)]
pub(crate) struct Bodies {
    budget: Arc<Semaphore>,
    pub(crate) timeout: Duration,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            budget: Arc::new(Semaphore::new(MAX_BODIES / KIB)),
            timeout: TIMEOUT,
        }
    }
}

impl Bodies {
    /// The whole body, and its part of the memory for all.
    pub(crate) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), RestError> {
        if body.is_end_stream() {
            return Ok((Bytes::new(), None));
        }
        let too_large = || RestError::new(413, format!("The request's body is larger than {MAX_BODY} bytes"));
        let length = headers
            .get("content-length")
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > MAX_BODY as u64) {
            return Err(too_large());
        }
        let reading = async {
            let mut body = body;
            let mut read = BytesMut::new();
            let mut held: Option<OwnedSemaphorePermit> = None;
            while let Some(frame) = body.frame().await {
                let frame = frame
                    .map_err(|error| RestError::bad_request(format!("The request's body cannot be read: {error}")))?;
                let Ok(data) = frame.into_data() else { continue };
                if read.len() + data.len() > MAX_BODY {
                    return Err(too_large());
                }
                read.extend_from_slice(&data);
                self.hold(&mut held, read.len())?;
            }
            Ok((read.freeze(), held))
        };
        let limit = self.timeout.as_secs();
        timeout(self.timeout, reading).await.unwrap_or_else(|_| {
            Err(RestError::new(
                408,
                format!("The request's body took longer than {limit} s"),
            ))
        })
    }

    fn hold(&self, held: &mut Option<OwnedSemaphorePermit>, size: usize) -> Result<(), RestError> {
        let missing = size
            .div_ceil(KIB)
            .saturating_sub(held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let busy = |_| RestError::new(503, "Too many large requests at once");
        let more = self.budget.clone().try_acquire_many_owned(missing).map_err(busy)?;
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }
}
