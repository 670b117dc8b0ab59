#!/bin/sh
# Kafka's connect-mirror-maker.sh, run by heliograph.
if [ $# -lt 1 ]; then
    echo "USAGE: $0 [-daemon] mm2.properties"
    exit 1
fi
exec "$(dirname "$0")/heliograph-run.sh" mirror-maker mirrorMaker "$@"
