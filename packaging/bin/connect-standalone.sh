#!/bin/sh
# Kafka's connect-standalone.sh, run by heliograph.
if [ $# -lt 1 ]; then
    echo "USAGE: $0 [-daemon] connect-standalone.properties [connector1.properties connector2.json ...]"
    exit 1
fi
exec "$(dirname "$0")/heliograph-run.sh" connect-standalone connectStandalone "$@"
