#!/bin/sh
# What Kafka's own tools do with a broker: java_tools.sh LIBS HOST:PORT, where LIBS holds Kafka's jars.
# Every step compares what a tool prints; the first that differs ends the script with 1.
set -eu
libs=$1 server=$2
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
tool() { class=$1; shift; java -Xmx200m -cp "$libs/*" "$class" --bootstrap-server "$server" "$@" 2>"$work/err" || { cat "$work/err" >&2; exit 1; }; }
expect() { # expect TEXT WHAT: the text is somewhere in what the last tool printed
  grep -q -- "$1" "$work/out" || { echo "$2: no '$1' in:" >&2; cat "$work/out" "$work/err" >&2; exit 1; }
}
topics=org.apache.kafka.tools.TopicCommand
groups=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand

tool $topics --create --topic java --partitions 3 --config retention.ms=100000 >"$work/out"; expect 'Created topic java' create
tool $topics --list >"$work/out"; expect '^java$' list
tool $topics --alter --topic java --partitions 4 >"$work/out"
tool $topics --describe --topic java >"$work/out"; expect 'PartitionCount: 4' describe; expect 'retention.ms=100000' describe

printf 'k1:v1\nk2:v2\nk3:v3\n' | tool org.apache.kafka.tools.ConsoleProducer --topic java \
  --reader-property parse.key=true --reader-property key.separator=: >"$work/out"
tool org.apache.kafka.tools.consumer.ConsoleConsumer --topic java --from-beginning --max-messages 3 --timeout-ms 30000 \
  --formatter-property print.key=true >"$work/out"; expect 'k2.v2' console-consumer
tool org.apache.kafka.tools.consumer.ConsoleConsumer --topic java --group tools --from-beginning --max-messages 3 \
  --timeout-ms 30000 >"$work/out"; expect 'v3' console-consumer-with-group
tool $groups --describe --group tools >"$work/out"; expect 'tools *java' consumer-groups
tool $groups --reset-offsets --group tools --topic java --to-earliest --execute >"$work/out"; expect 'tools *java' reset-offsets
tool $groups --list --state >"$work/out"; expect 'tools *Empty' list-groups
tool org.apache.kafka.tools.GetOffsetShell --topic java >"$work/out"; expect '^java:3:' get-offsets
tool kafka.admin.ConfigCommand --entity-type topics --entity-name java --alter --add-config 'cleanup.policy=[compact,delete]' >"$work/out"
tool kafka.admin.ConfigCommand --entity-type topics --entity-name java --describe >"$work/out"
expect 'cleanup.policy=compact,delete.*DEFAULT_CONFIG:log.cleanup.policy=delete' configs
tool org.apache.kafka.tools.AclCommand --add --allow-principal User:alice --operation Read --topic java >"$work/out"
tool org.apache.kafka.tools.AclCommand --list >"$work/out"; expect 'principal=User:alice' acls
tool org.apache.kafka.tools.ProducerPerformance --topic perf --num-records 20000 --record-size 1000 --throughput -1 \
  --command-property acks=all --command-property enable.idempotence=true >"$work/out"; expect '^20000 records sent' producer-perf-test
tool org.apache.kafka.tools.ProducerPerformance --topic perf --num-records 1000 --record-size 100 --throughput -1 \
  --transactional-id perf --transaction-duration-ms 50 >"$work/out"; expect '^1000 records sent' transactional
tool $groups --delete --group tools >"$work/out"; expect 'successful' delete-group
tool $topics --delete --topic java
