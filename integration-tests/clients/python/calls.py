"""Calls the functions of the Python clients for Kafka Connect, and prints what each made of the worker's answer: a line
per call, to be compared with another worker's. Usage: calls.py WORKER-URL SOURCE-BROKERS TARGET-BROKERS"""

import asyncio
import contextlib
import io
import json
import os
import pathlib
import sys
import tempfile
import time

import requests

URL, SOURCE, TARGET = sys.argv[1:4]
BYTES = "org.apache.kafka.connect.converters.ByteArrayConverter"


def config(kind, **more):
    """The configuration of a mirror connector by its short name: Source, Checkpoint or Heartbeat."""
    values = {
        "connector.class": f"org.apache.kafka.connect.mirror.Mirror{kind}Connector",
        "source.cluster.alias": "a",
        "target.cluster.alias": "b",
        "source.cluster.bootstrap.servers": SOURCE,
        "target.cluster.bootstrap.servers": TARGET,
        "topics": "orders",
        "tasks.max": "1",
        "replication.factor": "1",
        "sync.topic.acls.enabled": "false",
        "key.converter": BYTES,
        "value.converter": BYTES,
    }
    for topic in ("offset-syncs", "checkpoints", "heartbeats"):
        values[f"{topic}.topic.replication.factor"] = "1"
    return values | more


def say(client, call, do):
    """One line: what came back, or what was raised. Text that a client prints counts, too."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            value = do()
            value = asyncio.run(value) if asyncio.iscoroutine(value) else value
        if isinstance(value, requests.Response):
            value = [value.status_code, value.json() if value.text else None]
        if isinstance(value, str) and value[:1] in ("{", "["):
            value = json.loads(value)
        text = json.dumps(value, sort_keys=True, default=str)
    except Exception as error:
        text = f"error {type(error).__name__} {error}"
    text = " ".join((text + " " + printed.getvalue()).split())
    call = call.replace(": ", "=")  # what comes before the first ": " names the call
    print(f"{client} {call}: {text.replace(URL, 'WORKER').replace(URL.removeprefix('http://'), 'WORKER')}")


def until(path, *parts):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        body = requests.get(URL + path).text
        if all(part in body for part in parts):
            return
        time.sleep(0.1)
    print(f"{path} never had {parts}: {body}")


def until_all(name, state):
    until(f"/connectors/{name}/status", f'"connector":{{"state":"{state}"', f'{{"id":0,"state":"{state}"')


def until_running(name):
    until_all(name, "RUNNING")


def until_stopped(name):
    until(f"/connectors/{name}/status", '"connector":{"state":"STOPPED"', '"tasks":[]')


def until_configured(name, setting):
    """The tasks have the new setting, too: a connector configures them some time after its own configuration."""
    until(f"/connectors/{name}/tasks", setting)
    until_running(name)


def until_gone(name):
    until(f"/connectors/{name}", '"error_code":404')
    until(f"/connectors/{name}/status", '"error_code":404')


def kafka_connect_py():
    from kafka_connect import KafkaConnect

    c = KafkaConnect(url=URL)

    def call(name, *args, **kwargs):
        say("kafka-connect-py", f"{name} {args[:1]} {kwargs}", lambda: getattr(c, name)(*args, **kwargs))

    call("get_cluster_info")
    for kind in ("Source", "Checkpoint", "Heartbeat"):
        call("create_connector", {"name": f"py-{kind}", "config": config(kind)})
    until_running("py-Source")
    until_running("py-Heartbeat")
    until("/connectors/py-Checkpoint/status", '"connector":{"state":"RUNNING"')
    for bad in ({"name": "py-Source", "config": config("Source")}, {"name": "", "config": {}}, {"config": config("Source")},
                {"name": "x", "config": {"connector.class": "MirrorSourceConnector"}}):
        call("create_connector", bad)
    for expand in (None, "status", "info"):
        call("list_connectors", expand=expand)
    call("list_connectors", pattern="py-S.*", state="running")
    until("/connectors/py-Source/topics", "a.orders")
    until("/connectors/py-Heartbeat/topics", "heartbeats")
    for name in ("py-Source", "py-Heartbeat", "nobody"):
        for reads in ("get_connector", "get_connector_config", "get_connector_status", "list_connector_tasks", "list_connector_topics"):
            call(reads, name)
        call("get_connector_task_status", name, 0)
        call("get_connector_task_status", name, 9)
    call("update_connector", "py-Source", config("Source", **{"offset.lag.max": "7"}))
    until_configured("py-Source", '"offset.lag.max":"7"')
    for include_tasks in (False, True):
        for only_failed in (False, True):
            call("restart_connector", "py-Source", include_tasks=include_tasks, only_failed=only_failed)
            until_running("py-Source")
            call("restart_connector", "nobody", include_tasks=include_tasks, only_failed=only_failed)
    call("restart_connector_task", "py-Source", 0)
    until_running("py-Source")
    call("restart_connector_task", "nobody", 0)
    for name in ("pause", "resume", "stop"):
        call(f"{name}_connector", "py-Source")
        until_stopped("py-Source") if name == "stop" else until_all("py-Source", "PAUSED" if name == "pause" else "RUNNING")
        call("get_connector_status", "py-Source")
        call(f"{name}_connector", "nobody")
    call("reset_connector_topics", "py-Source")
    until("/connectors/py-Source/topics", '"topics":[]')
    for every in ("pause", "resume", "restart", "stop", "delete"):
        call(f"{every}_all_connectors", pattern="py-Heart.*")
    until_gone("py-Heartbeat")
    call("list_connector_plugins")
    for kind in ("Source", "Checkpoint", "Heartbeat"):
        call("validate_connector_config", f"Mirror{kind}Connector", config(kind, name="x"))
    for name in ("py-Source", "py-Checkpoint", "nobody"):
        call("delete_connector", name)
    until_gone("py-Source")
    until_gone("py-Checkpoint")


def kafka_connect_api():
    from kafka_connect_api.kafka_connect_api import Api, Cluster, Connector

    cluster = Cluster(Api(url=URL))

    def call(name, do):
        say("kafka-connect-api", name, do)

    call("Cluster", lambda: repr(cluster))
    call("connectors", lambda: sorted(cluster.connectors))
    one = Connector(cluster, "api")
    call("exists", one.exists)
    call("config=", lambda: setattr(one, "config", config("Source")))
    until_running("api")
    for read in ("connector_class", "status", "state", "config", "tasks"):
        call(read, lambda: getattr(one, read))
        call(f"{read} of nobody", lambda: getattr(Connector(cluster, "nobody"), read))
    call("Task.status", lambda: one.tasks[0].status)
    call("Task.config", lambda: one.tasks[0].config)
    call("Task.is_running", lambda: one.tasks[0].is_running())
    for do in ("restart", "restart_all_tasks", "pause", "resume", "cycle_connector", "delete"):
        call(do, lambda: getattr(one, do)() and None)
        until_gone("api") if do == "delete" else until_all("api", "PAUSED" if do == "pause" else "RUNNING")
        call(f"{do} of nobody", lambda: getattr(Connector(cluster, "nobody"), do)())
    call("loggers", lambda: sorted(key for key in cluster.loggers if key == "root"))
    call("root_logger=", lambda: setattr(cluster, "root_logger", "INFO"))
    call("set_logger_log_level", lambda: cluster.set_logger_log_level("root", "INFO"))


def kafkaconnect():
    from kafkaconnect.connect import Connect

    c = Connect(URL)

    def call(name, *args):
        say("kafkaconnect", f"{name} {args[:1]}", lambda: getattr(c, name)(*args))

    for kind in ("Heartbeat", "Checkpoint", "Source"):
        values = json.dumps(config(kind, name=f"kc-{kind}"))
        call("validate", config(kind)["connector.class"], values)
        call("validate_and_create", f"kc-{kind}", values)
    until_running("kc-Source")
    call("create_or_update", "kc-Source", json.dumps(config("Source", name="kc-Source", **{"offset.lag.max": "3"})))
    until_configured("kc-Source", '"offset.lag.max":"3"')
    call("validate_and_create", "kc-bad", json.dumps({"connector.class": "MirrorSourceConnector"}))
    call("plugins")
    for name in ("kc-Source", "nobody"):
        for do in ("info", "status", "config", "tasks", "restart", "pause", "resume"):
            call(do, name)
            if name != "nobody":
                until_all("kc-Source", "PAUSED" if do == "pause" else "RUNNING")
    for kind in ("Heartbeat", "Checkpoint", "Source", "none"):
        call("remove", f"kc-{kind}")
        until_gone(f"kc-{kind}")


def bkkt():
    from connectctl.connect import ConnectClient

    c = ConnectClient([URL])

    def call(name, *args, **kwargs):
        say("bkkt", f"{name} {args[:1]} {kwargs}", lambda: getattr(c, name)(*args, **kwargs))

    call("get_server_info")
    call("list_connector_plugins")
    call("create_connector", "bk", config("Source"))
    until_running("bk")
    call("create_connector", "bk", config("Source"))
    call("update_connector", "bk", config("Source", **{"offset.lag.max": "5"}))
    until_configured("bk", '"offset.lag.max":"5"')
    until("/connectors/bk/offsets", '"offset":')
    for name in ("bk", "nobody"):
        for read in ("get_config", "get_config_optional", "get_offsets", "get_status"):
            call(read, name)
        call("restart", name, include_tasks=True, only_failed=True)
        call("restart_task", name, 0)
    until_running("bk")
    offset = {"partition": {"cluster": "a", "topic": "orders", "partition": 0}, "offset": {"offset": 0}}
    call("patch_offsets", "bk", {"offsets": [offset]})
    for name in ("pause", "resume", "stop"):
        call(name, "bk")
        until_stopped("bk") if name == "stop" else until_all("bk", "PAUSED" if name == "pause" else "RUNNING")
    for offsets in ({"offsets": [offset]}, {"offsets": []}, {}, {"offsets": [{"partition": {"x": 1}, "offset": {"offset": 0}}]}):
        call("patch_offsets", "bk", offsets)
    call("patch_offsets", "nobody", {"offsets": [offset]})
    call("get_offsets", "bk")
    call("delete", "bk")
    call("delete", "nobody")
    until_gone("bk")


def helper_healthcheck_manager_and_connectmon():
    channels = pathlib.Path(tempfile.mkdtemp(), "channels.yaml")  # connectmon cannot be imported without
    channels.write_text("channels: []\n")
    os.environ["CONFIG_PATH"] = str(channels)
    from connect_helper import ConnectHelper
    from connectmon.api import API
    from kafka_connect_healthcheck.health import Health
    from kafka_connect_manager import main as manager

    helper = ConnectHelper(requests.Session(), URL)
    helper.connector.name = "oth"
    say("python-helper", "get_remote_config", helper.connector.get_remote_config)
    say("python-helper", "put", lambda: helper.connector.put(config("Source")))
    until_running("oth")
    say("python-helper", "get_remote_config", helper.connector.get_remote_config)
    say("python-helper", "poll_status", lambda: helper.connector.poll_status(backoff_seconds=0, initial_sleep_seconds=0))
    say("python-helper", "get_connectors", helper.get_connectors)
    worker = URL.removeprefix("http://")
    for worker_id in (worker, None, "another:1"):
        health = Health(URL, worker_id, ["FAILED", "PAUSED"], None, 0, ["connector", "task"])
        say("healthcheck", f"get_health_result {worker_id and worker_id != worker}", health.get_health_result)
    api = API(URL)
    say("connectmon", "get_all_connectors", api.get_all_connectors)
    say("connectmon", "restart_failed_connectors_if_any", lambda: api.restart_failed_connectors_if_any(api.get_all_connectors()))
    say("connectmon", "restart_task", lambda: api.restart_task(api.get_all_connectors()[0], api.get_all_connectors()[0].tasks[0]))
    until_running("oth")
    say("connect-manager", "get_connector_status", lambda: manager.get_connector_status(URL, "oth"))
    say("connect-manager", "register_connector", lambda: manager.register_connector(URL, {"name": "mgr", "config": config("Heartbeat")}))
    until_running("mgr")
    say("connect-manager", "register_connector", lambda: manager.register_connector(URL, {"name": "mgr", "config": config("Heartbeat")}))
    say("connect-manager", "update_connector", lambda: manager.update_connector(URL, "mgr", {"name": "mgr", "config": config("Heartbeat")}))
    until_running("mgr")
    requests.delete(f"{URL}/connectors/mgr")
    until_gone("mgr")
    say("python-helper", "delete", helper.connector.delete)
    until_gone("oth")
    say("python-helper", "delete", helper.connector.delete)


for client in (kafka_connect_py, kafka_connect_api, kafkaconnect, bkkt, helper_healthcheck_manager_and_connectmon):
    try:
        client()
    except ImportError as error:
        print(f"{client.__name__} is left out: {error}", file=sys.stderr)
