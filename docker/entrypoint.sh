#!/bin/sh
# What a container of this image runs: the command it is given. Without one the environment decides:
# CONNECT_BOOTSTRAP_SERVERS asks for a worker of a Connect group, else it is MirrorMaker 2 with its file.
set -eu

# Both images that people come from have such a variable; HELIOGRAPH_LOG says more and counts first.
: "${HELIOGRAPH_LOG:=${CONNECT_LOG4J_ROOT_LOGLEVEL:-${KAFKA_LOG4J_ROOT_LOGLEVEL:-}}}"
export HELIOGRAPH_LOG

if [ $# -gt 0 ]; then
    exec "$@"
fi
if [ -n "${CONNECT_BOOTSTRAP_SERVERS:-}" ]; then
    exec heliograph connect-distributed --environment
fi
file=/etc/kafka/mirrormaker2.properties
if [ -f "$file" ]; then
    set -- "$file"
elif [ -z "${MM2_PROPERTIES:-}" ]; then
    echo "nothing to run: mount $file, or set MM2_PROPERTIES or CONNECT_BOOTSTRAP_SERVERS" >&2
    exit 2
fi
exec heliograph mirror-maker --environment "$@"
