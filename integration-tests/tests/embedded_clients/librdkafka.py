"""What a program on librdkafka does with a broker; run as `librdkafka.py HOST:PORT`, exits with 1 when a step fails."""

import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

BOOTSTRAP = sys.argv[1]
TOPIC = "librdkafka"
admin = AdminClient({"bootstrap.servers": BOOTSTRAP})


def done(futures):
    return [future.result(timeout=10) for future in futures.values()]


def produce(**config):
    failures = []
    producer = Producer({"bootstrap.servers": BOOTSTRAP, **config})

    def send(value, count):
        for i in range(count):
            headers = [("a", b"1"), ("a", b"2"), ("n", None)]
            report = lambda error, _: failures.append(error) if error else None
            producer.produce(TOPIC, key=f"k{i}", value=value, headers=headers, on_delivery=report)
        assert producer.flush(10) == 0, "not delivered"

    if "transactional.id" not in config:
        send("plain", 100)
    else:
        producer.init_transactions(10)
        for value, end in [("kept", producer.commit_transaction), ("aborted", producer.abort_transaction)]:
            producer.begin_transaction()
            send(value, 50)
            end(10)
        failures.clear()
    assert not failures, failures


def consume(expected, group, **config):
    consumer = Consumer(
        {"bootstrap.servers": BOOTSTRAP, "group.id": group, "auto.offset.reset": "earliest", **config}
    )
    consumer.subscribe([TOPIC])
    got, end = [], time.monotonic() + 30
    while len(got) < expected and time.monotonic() < end:
        message = consumer.poll(0.2)
        if message is not None:
            assert not message.error(), message.error()
            got.append(message)
    assert len(got) == expected, f"{len(got)} records, not {expected}"
    assert consumer.poll(0.3) is None, "more than was expected"
    assert got[0].headers() == [("a", b"1"), ("a", b"2"), ("n", None)]
    consumer.commit(asynchronous=False)
    partitions = [TopicPartition(TOPIC, partition) for partition in range(4)]
    for partition in consumer.committed(partitions, timeout=10):
        _, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, partition.partition), timeout=10)
        # The last offsets may be markers, behind which nobody commits.
        assert partition.offset == -1001 or high - 2 <= partition.offset <= high, (partition, high)
    consumer.close()
    return [message.value() for message in got]


done(admin.create_topics([NewTopic(TOPIC, 3, 1, config={"retention.ms": "100000"})]))
done(admin.create_partitions([NewPartitions(TOPIC, 4)]))
assert len(admin.list_topics(timeout=10).topics[TOPIC].partitions) == 4
config = done(admin.describe_configs([ConfigResource("topic", TOPIC)]))[0]
assert (config["retention.ms"].value, config["retention.ms"].is_default) == ("100000", False)
assert (config["cleanup.policy"].value, config["cleanup.policy"].is_default) == ("delete", True)
for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
    produce(**{"compression.type": codec, "enable.idempotence": codec != "none"})
produce(**{"transactional.id": "librdkafka"})
assert b"aborted" not in consume(550, "committed")
assert b"aborted" in consume(600, "uncommitted", **{"isolation.level": "read_uncommitted"})
groups = done(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("committed")]))
assert sum(partition.offset for partition in groups[0].topic_partitions) >= 550
done(admin.delete_consumer_groups(["committed"]))
done(admin.delete_topics([TOPIC]))
