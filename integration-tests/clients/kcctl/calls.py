"""Runs the commands of kcctl, and prints what each said: a line per command, to be compared with another worker's.
Usage: KCCTL="command of kcctl" calls.py WORKER-URL SOURCE-BROKERS TARGET-BROKERS"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

URL, SOURCE, TARGET = sys.argv[1:4]
NAME = "kcctl"
BYTES = "org.apache.kafka.connect.converters.ByteArrayConverter"
CONFIG = {
    "connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector",
    "source.cluster.alias": "kcctl",
    "target.cluster.alias": "target",
    "source.cluster.bootstrap.servers": SOURCE,
    "target.cluster.bootstrap.servers": TARGET,
    "topics": "orders",
    "tasks.max": "1",
    "replication.factor": "1",
    "offset-syncs.topic.replication.factor": "1",
    "sync.topic.acls.enabled": "false",
    "key.converter": BYTES,
    "value.converter": BYTES,
}
ON_ITS_WAY = re.compile("UNASSIGNED|RESTARTING")  # seen after a change, by one and not the other
COLOURS = re.compile(r"\x1b\[[0-9;]*m")

home = tempfile.TemporaryDirectory()  # kcctl keeps its contexts there
environment = os.environ | {"HOME": home.name, "JAVA_TOOL_OPTIONS": f"-Duser.home={home.name}"}


def kcctl(*words, stdin=None, only="", ordered=True):
    """One line: the status that kcctl ended with, and its words; of many lines those that tell what is wanted. What nobody
    promises an order for is sorted."""
    done = subprocess.run(
        [*shlex.split(os.environ["KCCTL"]), *words], input=stdin, capture_output=True, text=True, env=environment, timeout=60)
    lines = ON_ITS_WAY.sub("RUNNING", COLOURS.sub("", done.stdout + done.stderr)).splitlines()
    kept = [line for line in lines if only in line and not line.startswith("Picked up JAVA_TOOL_OPTIONS")]
    kept = kept if ordered else sorted(line.strip(" ,") for line in kept)
    call = " ".join([*words, stdin or ""]).replace(": ", "=")
    line = f"{call}: {'error ' if done.returncode else ''}{done.returncode} {' '.join(' '.join(kept).split())}"
    print(line.replace(URL, "WORKER").replace(URL.removeprefix("http://"), "WORKER"), flush=True)


def until(path, *parts):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            body = urllib.request.urlopen(URL + path).read().decode()
        except urllib.error.HTTPError as error:
            body = error.read().decode()
        if all(part in body for part in parts):
            return
        time.sleep(0.1)
    print(f"{path} never had {parts}: {body}")


def until_state(state, tasks=True):
    until(f"/connectors/{NAME}/status", f'"connector":{{"state":"{state}"', f'"id":0,"state":"{state}"' if tasks else '"tasks":[]')


kcctl("config", "set-context", "test", "--cluster", URL)
kcctl("config", "get-contexts")
kcctl("info")
kcctl("get", "plugins", only="connect.mirror")
kcctl("get", "loggers", only="root")  # which others there are is the worker's own
kcctl("get", "logger", "root")
kcctl("patch", "logger", "org.apache.kafka.connect.mirror", "-l", "DEBUG", only="connect.mirror ")
kcctl("get", "logger", "org.apache.kafka.connect.mirror", only="DEBUG")
kcctl("patch", "logger", "org.apache.kafka.connect.mirror", "-l", "INFO", only="connect.mirror ")
kcctl("describe", "plugin", "MirrorSourceConnector", only="Name:", ordered=False)
kcctl("describe", "plugin", "Nobody")
kcctl("get", "connectors")

kcctl("apply", "--dry-run", "-f", "-", "-n", NAME, stdin=json.dumps(CONFIG))
kcctl("apply", "--dry-run", "-f", "-", "-n", NAME, stdin=json.dumps(CONFIG | {"tasks.max": "none"}))
kcctl("apply", "-f", "-", "-n", NAME, stdin=json.dumps(CONFIG | {"tasks.max": "none"}))
kcctl("apply", "-f", "-", "-n", NAME, stdin=json.dumps({}))
kcctl("apply", "-f", "-", "-n", NAME, stdin=json.dumps(CONFIG))
until_state("RUNNING")
until(f"/connectors/{NAME}/topics", "kcctl.orders")
until(f"/connectors/{NAME}/offsets", '"offset":')
kcctl("apply", "-f", "-", stdin=json.dumps({"name": NAME, "config": CONFIG | {"offset.lag.max": 7}}))
until_state("RUNNING")
kcctl("get", "connectors")
for words in ([], ["-o", "json"], ["--tasks-config"]):
    kcctl("describe", "connector", NAME, *words, ordered=not words)
kcctl("describe", "connector", "-e", "kc.*")
kcctl("get", "offsets", NAME)
kcctl("patch", "connector", NAME, "-s", "offset.lag.max=9")
until_state("RUNNING")
kcctl("patch", "connector", NAME, "-s", "tasks.max=none")
kcctl("patch", "connector", NAME, "-r", "offset.lag.max")
until_state("RUNNING")
kcctl("describe", "connector", NAME)
for command in ("pause", "resume", "restart"):
    kcctl(command, "connector", NAME)
    until_state("PAUSED" if command == "pause" else "RUNNING")
    kcctl("get", "connectors")
kcctl("restart", "task", f"{NAME}/0")
until_state("RUNNING")
kcctl("restart", "task", f"{NAME}/7")
back = ["--source-partition", '{"cluster":"kcctl","topic":"orders","partition":0}', "--source-offset", '{"offset":3}']
kcctl("patch", "offsets", NAME, *back)
kcctl("delete", "offsets", NAME)
kcctl("stop", "connector", NAME)
until_state("STOPPED", tasks=False)
kcctl("get", "connectors")
kcctl("patch", "offsets", NAME, *back)
kcctl("get", "offsets", NAME)
kcctl("patch", "offsets", NAME, "--source-partition", '{"nothing":"known"}', "--source-offset", '{"offset":3}')
kcctl("patch", "offsets", NAME, "--kafka-topic", "orders", "--kafka-partition", "0", "--kafka-offset", "3")
kcctl("delete", "offsets", NAME)
kcctl("get", "offsets", NAME)
kcctl("delete", "connector", NAME)
until(f"/connectors/{NAME}", '"error_code":404')

for words in (["describe", "connector"], ["patch", "connector", "-s", "a=b"], ["pause", "connector"], ["resume", "connector"],
              ["restart", "connector"], ["stop", "connector"], ["delete", "connector"], ["get", "offsets"], ["delete", "offsets"]):
    kcctl(*words, "nobody")
kcctl("restart", "task", "nobody/0")
kcctl("patch", "offsets", "nobody", *back)
