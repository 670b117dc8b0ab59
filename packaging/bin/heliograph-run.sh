#!/bin/sh
# heliograph-run.sh COMMAND NAME [-daemon] [-name NAME] [-loggc] ARGUMENT...
# Stands in for kafka-run-class.sh: the options that its callers give it mean the same, or nothing without a JVM.
set -eu

command=$1 name=$2
shift 2
daemon=
while [ $# -gt 0 ]; do
    case $1 in
        -daemon) daemon=yes && shift ;;
        -name) name=${2:?-name needs a value} && shift 2 ;;
        -loggc) shift ;;
        *) break ;;
    esac
done

# Beside this script in the tarball, on the path elsewhere.
heliograph=$(dirname "$0")/heliograph
[ -x "$heliograph" ] || heliograph=heliograph

if [ -z "$daemon" ]; then
    exec "$heliograph" "$command" "$@"
fi
mkdir -p "${LOG_DIR:=.}"
nohup "$heliograph" "$command" "$@" </dev/null >"$LOG_DIR/$name.out" 2>&1 &
