#!/bin/sh
# Asks the process of this container how it is, where and as whom its own settings say: over http or https, with its certificate,
# as one of its users. HELIOGRAPH_HEALTH_URL says where else to ask; it is curl that asks then.
if [ -n "${HELIOGRAPH_HEALTH_URL:-}" ]; then
    exec curl --fail --silent --show-error --max-time 5 "$HELIOGRAPH_HEALTH_URL"
fi
# Process 1, unless a shell has started it.
for process in /proc/[0-9]*; do
    case $(readlink "$process/exe" 2>/dev/null) in
    */heliograph) exec heliograph health --process "${process#/proc/}" ;;
    esac
done
echo "no heliograph runs here" >&2
exit 1
