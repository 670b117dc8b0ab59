#!/bin/sh
# Asks the process of this container how it is. HELIOGRAPH_HEALTH_URL says where, if its REST API is not where it usually is.
ask() {
    curl --fail --silent --show-error --max-time 5 "$1"
}
if [ -n "${HELIOGRAPH_HEALTH_URL:-}" ]; then
    ask "$HELIOGRAPH_HEALTH_URL"
else
    # MirrorMaker 2 listens there for this alone (HELIOGRAPH_REST_LISTENERS); a worker has its REST API.
    ask http://127.0.0.1:18083/health || ask http://127.0.0.1:8083/health
fi
