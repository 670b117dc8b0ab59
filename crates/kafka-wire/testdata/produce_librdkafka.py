"""produce_librdkafka.py BOOTSTRAP: writes the librdkafka-* topics. The samples are those of Golden.java."""
import random
import sys

from confluent_kafka import Producer

T0 = 1_700_000_000_000


def pattern(length):
    lines = b"".join(b"line %d of a compressible value\n" % i for i in range(length // 25))
    return lines[:length]


def noise(length):
    return random.Random(42).randbytes(length)


def samples(large_bytes):
    headers = [("h", b"1"), ("h", b"2"), ("null", None), ("empty", b""), ("", b"nameless"),
               ("binary", bytes(range(256))), ("h", b"1")]
    return [
        (T0, b"key", b"value", []),
        (T0 + 5, None, None, []),
        (T0 - 100_000, b"", b"", []),
        (T0 + 86_400_000, b"headers", b"x", headers),
        (T0 + 1, b"large", pattern(large_bytes), []),
        (T0 + 2, noise(40), noise(1000), []),
        (T0 + 3, b"tombstone", None, [("why", b"gone")]),
    ]


def send(producer, topic, records):
    for timestamp, key, value, headers in records:
        producer.produce(topic, partition=0, timestamp=timestamp, key=key, value=value, headers=headers or None)
    producer.flush()


for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
    producer = Producer({"bootstrap.servers": sys.argv[1], "compression.type": codec, "linger.ms": 500,
                         "batch.size": 400_000})
    send(producer, "librdkafka-" + codec, samples(2_000 if codec == "none" else 70_000))
    send(producer, "librdkafka-" + codec, samples(300)[:4])
