// Makes and reads golden record batches with Kafka's own classes. Run as a single source file:
//   java -cp "KAFKA_LIBS/*" Golden.java produce BOOTSTRAP    writes the java-* topics
//   java -cp "KAFKA_LIBS/*" Golden.java legacy OUT_DIR       writes message sets of magic 0 and 1
//   java -cp "KAFKA_LIBS/*" Golden.java dump FILE.log…       writes FILE.json: what Kafka reads in it
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import java.util.zip.CRC32C;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.*;
import org.apache.kafka.common.header.internals.*;
import org.apache.kafka.common.record.*;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.serialization.*;

public class Golden {
    static final long T0 = 1_700_000_000_000L;

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "produce": produce(args[1]); break;
            case "legacy": legacy(Path.of(args[1])); break;
            case "dump": for (int i = 1; i < args.length; i++) dump(Path.of(args[i])); break;
            default: throw new IllegalArgumentException(args[0]);
        }
    }

    record Sample(long timestamp, byte[] key, byte[] value, List<Header> headers) { }

    static byte[] utf8(String s) { return s.getBytes(StandardCharsets.UTF_8); }

    static byte[] pattern(int length) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; text.length() < length; i++) text.append("line ").append(i).append(" of a compressible value\n");
        return Arrays.copyOf(utf8(text.toString()), length);
    }

    static byte[] noise(int length) {
        byte[] bytes = new byte[length];
        new Random(42).nextBytes(bytes);
        return bytes;
    }

    static byte[] everyByte() {
        byte[] bytes = new byte[256];
        for (int i = 0; i < 256; i++) bytes[i] = (byte) i;
        return bytes;
    }

    // The same list is in produce_librdkafka.py and franz/main.go.
    static List<Sample> samples(int largeBytes) {
        List<Header> headers = List.of(new RecordHeader("h", utf8("1")), new RecordHeader("h", utf8("2")),
            new RecordHeader("null", (byte[]) null), new RecordHeader("empty", new byte[0]), new RecordHeader("", utf8("nameless")),
            new RecordHeader("binary", everyByte()), new RecordHeader("h", utf8("1")));
        return List.of(
            new Sample(T0, utf8("key"), utf8("value"), List.of()),
            new Sample(T0 + 5, null, null, List.of()),
            new Sample(T0 - 100_000, new byte[0], new byte[0], List.of()),
            new Sample(T0 + 86_400_000L, utf8("headers"), utf8("x"), headers),
            new Sample(T0 + 1, utf8("large"), pattern(largeBytes), List.of()),
            new Sample(T0 + 2, noise(40), noise(1000), List.of()),
            new Sample(T0 + 3, utf8("tombstone"), null, List.of(new RecordHeader("why", utf8("gone")))));
    }

    static Map<String, Object> config(String bootstrap, String codec) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        config.put("compression.type", codec);
        config.put("linger.ms", 2000);
        config.put("batch.size", 400_000);
        config.put("key.serializer", ByteArraySerializer.class);
        config.put("value.serializer", ByteArraySerializer.class);
        return config;
    }

    static void send(KafkaProducer<byte[], byte[]> producer, String topic, List<Sample> samples) {
        for (Sample s : samples) producer.send(new ProducerRecord<>(topic, 0, s.timestamp, s.key, s.value, s.headers));
    }

    static void produce(String bootstrap) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            List<NewTopic> topics = new ArrayList<>();
            for (String client : List.of("java", "librdkafka", "franz"))
                for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd"))
                    topics.add(topic(client + "-" + codec, Map.of()));
            topics.add(topic("java-transactions", Map.of()));
            topics.add(topic("java-append-time", Map.of("message.timestamp.type", "LogAppendTime")));
            topics.add(topic("java-compacted", Map.of("cleanup.policy", "compact", "segment.ms", "1000",
                "min.cleanable.dirty.ratio", "0.01", "max.compaction.lag.ms", "1000", "min.compaction.lag.ms", "0")));
            admin.createTopics(topics).all().get();
        }
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd"))
            try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config(bootstrap, codec))) {
                send(producer, "java-" + codec, samples(codec.equals("none") ? 2_000 : 70_000));
                producer.flush();
                send(producer, "java-" + codec, samples(300).subList(0, 4));
            }
        Map<String, Object> transactional = config(bootstrap, "lz4");
        transactional.put("transactional.id", "golden");
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(transactional)) {
            producer.initTransactions();
            for (boolean commit : new boolean[] {true, false, true}) {
                producer.beginTransaction();
                send(producer, "java-transactions", samples(300));
                producer.flush();
                if (commit) producer.commitTransaction(); else producer.abortTransaction();
            }
        }
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config(bootstrap, "lz4"))) {
            send(producer, "java-append-time", samples(300));
        }
        compacted(bootstrap);
    }

    static NewTopic topic(String name, Map<String, String> extra) {
        Map<String, String> configs = new HashMap<>(extra);
        configs.putIfAbsent("retention.ms", "-1");
        return new NewTopic(name, 1, (short) 1).configs(configs);
    }

    static void compacted(String bootstrap) throws Exception {
        long now = System.currentTimeMillis();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config(bootstrap, "zstd"))) {
            for (int round = 0; round < 3; round++) {
                for (int i = 0; i < 12; i++) {
                    // Each round writes fewer keys; the last deletes one. The rest of the first rounds has holes.
                    if (round > 0 && i % (round + 1) == 0) continue;
                    byte[] value = round == 2 && i == 1 ? null : utf8("round " + round);
                    producer.send(new ProducerRecord<>("java-compacted", 0, now + i, utf8("key-" + i), value));
                }
                producer.flush();
            }
            // Until the cleaner has been there, roll segments by writing to them.
            for (int i = 0; i < 60 && count(bootstrap, "java-compacted") > 12 + i + 1; i++) {
                Thread.sleep(1500);
                producer.send(new ProducerRecord<>("java-compacted", 0, System.currentTimeMillis(), utf8("roll"), utf8("" + i)));
                producer.flush();
            }
        }
    }

    static int count(String bootstrap, String topic) {
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest",
            "key.deserializer", ByteArrayDeserializer.class, "value.deserializer", ByteArrayDeserializer.class);
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config)) {
            TopicPartition tp = new TopicPartition(topic, 0);
            consumer.assign(List.of(tp));
            consumer.seekToBeginning(List.of(tp));
            long end = consumer.endOffsets(List.of(tp)).get(tp);
            int count = 0;
            while (consumer.position(tp) < end) count += consumer.poll(java.time.Duration.ofMillis(200)).count();
            return count;
        }
    }

    static void legacy(Path out) throws Exception {
        for (byte magic = 0; magic <= 1; magic++)
            for (CompressionType type : List.of(CompressionType.NONE, CompressionType.GZIP, CompressionType.SNAPPY, CompressionType.LZ4)) {
                ByteBuffer log = ByteBuffer.allocate(1 << 20);
                log.put(legacySet(magic, type, TimestampType.CREATE_TIME, 0, 70_000));
                log.put(legacySet(magic, type, TimestampType.CREATE_TIME, 100, 300));
                if (magic == 1) log.put(legacySet(magic, type, TimestampType.LOG_APPEND_TIME, 200, 300));
                log.flip();
                byte[] bytes = new byte[log.remaining()];
                log.get(bytes);
                Files.write(out.resolve("v" + magic + "-" + type.name + ".log"), bytes);
            }
    }

    static ByteBuffer legacySet(byte magic, CompressionType type, TimestampType stamps, long baseOffset, int largeBytes) {
        ByteBuffer buffer = ByteBuffer.allocate(1 << 19);
        MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, magic, Compression.of(type).build(), stamps, baseOffset, T0 + 777);
        for (Sample s : samples(type == CompressionType.NONE ? 300 : largeBytes))
            builder.append(magic == 0 ? RecordBatch.NO_TIMESTAMP : s.timestamp, s.key, s.value);
        return builder.build().buffer();
    }

    static void dump(Path file) throws Exception {
        StringBuilder json = new StringBuilder("[");
        String comma = "\n";
        MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(file)));
        for (MutableRecordBatch batch : records.batches()) {
            batch.ensureValid();
            json.append(comma).append("{\"magic\":").append(batch.magic());
            if (batch.magic() == 2)
                json.append(",\"base_offset\":").append(batch.baseOffset())
                    .append(",\"record_count\":").append(batch.countOrNull())
                    .append(",\"base_timestamp\":").append(((DefaultRecordBatch) batch).baseTimestamp())
                    .append(",\"max_timestamp\":").append(batch.maxTimestamp())
                    .append(",\"producer_id\":").append(batch.producerId())
                    .append(",\"producer_epoch\":").append(batch.producerEpoch())
                    .append(",\"base_sequence\":").append(batch.baseSequence())
                    .append(",\"leader_epoch\":").append(batch.partitionLeaderEpoch())
                    .append(",\"crc\":").append(batch.checksum())
                    .append(",\"transactional\":").append(batch.isTransactional())
                    .append(",\"control\":").append(batch.isControlBatch())
                    .append(",\"delete_horizon\":").append(batch.deleteHorizonMs().isPresent());
            json.append(",\"last_offset\":").append(batch.lastOffset())
                .append(",\"size_bytes\":").append(batch.sizeInBytes())
                .append(",\"compression\":\"").append(batch.compressionType().name)
                .append("\",\"timestamp_type\":\"").append(batch.timestampType().name).append("\",\"records\":[");
            String recordComma = "\n  ";
            for (org.apache.kafka.common.record.internal.Record r : batch) {
                json.append(recordComma).append("{\"offset\":").append(r.offset()).append(",\"timestamp\":").append(r.timestamp())
                    .append(",\"key\":").append(bytes(r.hasKey() ? r.key() : null))
                    .append(",\"value\":").append(bytes(r.hasValue() ? r.value() : null)).append(",\"headers\":[");
                String headerComma = "";
                for (Header h : r.headers()) {
                    json.append(headerComma).append("[").append(bytes(ByteBuffer.wrap(utf8(h.key())))).append(",")
                        .append(bytes(h.value() == null ? null : ByteBuffer.wrap(h.value()))).append("]");
                    headerComma = ",";
                }
                json.append("]}");
                recordComma = ",\n  ";
            }
            json.append("]}");
            comma = ",\n";
        }
        Files.writeString(Path.of(file.toString().replaceFirst("\\.log$", ".json")), json.append("\n]\n"));
    }

    // Short bytes in hex, long ones as length and CRC-32C.
    static String bytes(ByteBuffer buffer) {
        if (buffer == null) return "null";
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        if (bytes.length <= 64) return "\"" + HexFormat.of().formatHex(bytes) + "\"";
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        return "\"" + bytes.length + " bytes " + String.format("%08x", crc.getValue()) + "\"";
    }
}
