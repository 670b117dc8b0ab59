#!/usr/bin/env bash
# check_with_kafka.sh KAFKA_LIBS: has Kafka 4.3.1 read the batches that this crate writes.
# DumpLogSegments proves them whole; MemoryRecords' reading must equal what it read in the golden files they were made from.
set -euo pipefail
libs=$1
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cargo run -q -p kafka-wire --example write_log -- "$out"
java -cp "$libs/*" Golden.java dump "$out"/*.log 2> >(grep -v -i 'log4j\|slf4j' >&2)

mkdir "$out/dump"
for log in "$out"/{java-zstd,v1-lz4}.*.log; do # a JVM for each, so not for all; the tool wants a segment's name
  cp "$log" "$out/dump/00000000000000000000.log"
  java -cp "$libs/*" org.apache.kafka.tools.DumpLogSegments --deep-iteration --print-data-log \
    --files "$out/dump/00000000000000000000.log" >"$out/dump/text" 2>/dev/null
  grep -q 'isvalid: true' "$out/dump/text" || { echo "DumpLogSegments read nothing in ${log##*/}"; exit 1; }
  ! grep -E 'isvalid: false|Found [0-9]+ invalid' "$out/dump/text" || exit 1
done

python3 - "$out" <<'P'
import glob, json, os, sys
checked = 0
for path in sorted(glob.glob(sys.argv[1] + "/*.json")):
    name, codec, times = os.path.basename(path).removesuffix(".json").split(".")
    golden = next(p for p in (f"segments/{name}.json", f"legacy/{name}.json") if os.path.exists(p))
    records = [r for b in json.load(open(golden)) for r in b["records"]]
    ours = [(b, r) for b in json.load(open(path)) for r in b["records"]]
    assert all(b["compression"] == codec and b["magic"] == 2 for b, _ in ours), path
    assert [r["offset"] for _, r in ours] == list(range(len(ours))), path
    expected = [dict(r, offset=0) for r in records] * int(times[1:])
    assert [dict(r, offset=0) for _, r in ours] == expected, path
    checked += 1
print(f"Kafka reads all {checked} segments of ours as it reads the golden ones")
assert checked == 130
P
