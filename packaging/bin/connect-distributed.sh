#!/bin/sh
# Kafka's connect-distributed.sh, run by heliograph.
if [ $# -lt 1 ]; then
    echo "USAGE: $0 [-daemon] connect-distributed.properties"
    exit 1
fi
exec "$(dirname "$0")/heliograph-run.sh" connect-distributed connectDistributed "$@"
