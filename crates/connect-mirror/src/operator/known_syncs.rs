//! The offset syncs of a flow, read once.

use super::{Flow, OperatorError};
use crate::{client_props::Side, offset_sync_history, offset_sync_store::OffsetSyncStore, topic_reader::TopicReader};

impl Flow {
    /// The cluster that holds the offset syncs.
    pub(super) fn syncs_side(&self) -> Side {
        // The topic is named after the cluster that it is not on.
        let name_on_source = self.config.connector.policy.offset_syncs_topic(&self.pair.target);
        match self.config.offset_syncs_topic == name_on_source {
            true => Side::Source,
            false => Side::Target,
        }
    }

    /// Reads all of them.
    pub(crate) async fn read_syncs(&self) -> Result<OffsetSyncStore, OperatorError> {
        let (client, consumer) = self.consumer(&self.config.offset_syncs_consumer);
        let topic = &self.config.offset_syncs_topic;
        let whole = async {
            let mut reader = TopicReader::start(&client, &consumer, topic).await?;
            let mut store = OffsetSyncStore::new(false);
            while !reader.is_at_end() {
                reader
                    .read(|record| offset_sync_history::take(&mut store, record, |_| true))
                    .await;
            }
            store.reached_end();
            Ok(store)
        };
        self.ask(self.syncs_side(), topic, whole).await
    }
}
