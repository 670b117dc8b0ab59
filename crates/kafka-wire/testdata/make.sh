#!/usr/bin/env bash
# make.sh KAFKA_LIBS BOOTSTRAP DATA_DIR: makes every golden file again.
# KAFKA_LIBS holds the jars of Kafka 4.3.1; the broker at BOOTSTRAP is fresh and keeps its log in DATA_DIR.
# Also needed: java and javac 17+, python3 with confluent_kafka, go with franz-go.
set -euo pipefail
libs=$1 bootstrap=$2 data=$3
cd "$(dirname "$0")"
golden() { java -cp "$libs/*" Golden.java "$@" 2> >(grep -v -i 'log4j\|slf4j' >&2); }

golden produce "$bootstrap"
python3 produce_librdkafka.py "$bootstrap"
(cd franz && go run . "$bootstrap")
mkdir -p segments legacy
for topic in {java,librdkafka,franz}-{none,gzip,snappy,lz4,zstd} java-transactions java-append-time java-compacted; do
  cat "$data/$topic-0/"*.log >"segments/$topic.log" # old timestamps roll segments early: take all
done
golden legacy legacy
golden dump segments/*.log legacy/*.log
