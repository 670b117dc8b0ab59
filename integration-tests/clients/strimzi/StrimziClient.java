package io.strimzi.operator.cluster.operator.assembly; // the client is not public

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.strimzi.api.kafka.model.common.ConnectorState;
import io.strimzi.operator.common.BackOff;
import io.strimzi.operator.common.Reconciliation;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;

/**
 * Calls every method of the client that Strimzi's operator speaks to Connect with, and prints what came back: the same
 * lines from every worker.
 *
 * <p>Arguments: the worker's address, the brokers of the source and those of the target.
 */
final class StrimziClient {
    /** As the operator names the connectors of a MirrorMaker 2. */
    private static final String NAME = "strimzi->target.MirrorSourceConnector";
    private static final String BYTES = "org.apache.kafka.connect.converters.ByteArrayConverter";
    private static final long LIMIT_NANOS = 60_000_000_000L;
    private static final Reconciliation NOW = new Reconciliation("test", "KafkaConnector", "namespace", "name");
    private static final ObjectMapper JSON = new ObjectMapper().configure(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS, true);

    private static final KafkaConnectApi CLIENT = new KafkaConnectApiImpl();
    private static String host;
    private static int port;

    private StrimziClient() {
    }

    public static void main(String[] args) throws Exception {
        host = URI.create(args[0]).getHost();
        port = URI.create(args[0]).getPort();
        var source = config("Source", args);
        var heartbeat = config("Heartbeat", args);

        say("listConnectorPlugins", () -> CLIENT.listConnectorPlugins(NOW, host, port));
        // which loggers there are is the worker's own
        say("listConnectLoggers root", () -> CLIENT.listConnectLoggers(NOW, host, port).thenApply(loggers -> loggers.get("root")));
        say("list", () -> CLIENT.list(NOW, host, port));

        say("createOrUpdatePutRequest", () -> put(NAME, source));
        say("statusWithBackOff", () -> CLIENT.statusWithBackOff(NOW, new BackOff(200L, 2, 10), host, port, NAME).thenApply(status -> status.get("name")));
        awaitState(NAME, "RUNNING", 1);
        say("list", () -> CLIENT.list(NOW, host, port));
        say("getConnector", () -> CLIENT.getConnector(NOW, host, port, NAME));
        say("getConnectorConfig", () -> CLIENT.getConnectorConfig(NOW, host, port, NAME));
        say("getConnectorConfig with back-off", () -> CLIENT.getConnectorConfig(NOW, new BackOff(200L, 2, 6), host, port, NAME));
        say("status", () -> CLIENT.status(NOW, host, port, NAME));
        say("status, where 404 is well", () -> CLIENT.status(NOW, host, port, NAME, Set.of(200, 404)));
        say("status, where only 404 is well", () -> CLIENT.status(NOW, host, port, NAME, Set.of(404)));
        until("topics", () -> !get(CLIENT.getConnectorTopics(NOW, host, port, NAME)).isEmpty());
        say("getConnectorTopics", () -> CLIENT.getConnectorTopics(NOW, host, port, NAME));
        until("offsets", () -> get(CLIENT.getConnectorOffsets(NOW, host, port, NAME)).contains("orders"));
        say("getConnectorOffsets", () -> CLIENT.getConnectorOffsets(NOW, host, port, NAME));

        say("createOrUpdatePutRequest again", () -> put(NAME, source));
        say("createOrUpdatePutRequest, a number", () -> put(NAME, source.copy().put("tasks.max", 1).put("offset.lag.max", 7)));
        say("createOrUpdatePutRequest, a truth", () -> put(NAME, source.copy().put("emit.checkpoints.enabled", false)));
        say("createOrUpdatePutRequest, null", () -> put(NAME, source.copy().putNull("offset.lag.max")));
        say("createOrUpdatePutRequest, a list", () -> put(NAME, source.copy().put("topics", List.of("orders"))));
        say("createOrUpdatePutRequest, an object", () -> put(NAME, source.copy().put("topics", Map.of("orders", 1))));
        say("createOrUpdatePutRequest, no number", () -> put(NAME, source.copy().put("tasks.max", "none")));
        say("createOrUpdatePutRequest, another name", () -> put(NAME, source.copy().put("name", "another")));
        say("createOrUpdatePutRequest, no class", () -> put("wrong", new JsonObject()));
        say("createOrUpdatePutRequest, no such class", () -> put("wrong", new JsonObject().put("connector.class", "Nobody")));
        say("createOrUpdatePutRequest", () -> put(NAME, source));
        awaitState(NAME, "RUNNING", 1);

        say("pause", () -> CLIENT.pause(NOW, host, port, NAME));
        awaitState(NAME, "PAUSED", 1);
        say("status", () -> CLIENT.status(NOW, host, port, NAME));
        say("resume", () -> CLIENT.resume(NOW, host, port, NAME));
        awaitState(NAME, "RUNNING", 1);
        for (var includeTasks : List.of(false, true)) {
            for (var onlyFailed : List.of(false, true)) {
                say("restart " + includeTasks + " " + onlyFailed, () -> CLIENT.restart(host, port, NAME, includeTasks, onlyFailed));
                awaitState(NAME, "RUNNING", 1);
            }
        }
        say("restartTask", () -> CLIENT.restartTask(host, port, NAME, 0));
        awaitState(NAME, "RUNNING", 1);
        say("restartTask, none", () -> CLIENT.restartTask(host, port, NAME, 7));

        var back = offsets(Map.of("cluster", "strimzi", "topic", "orders", "partition", 0), 3);
        say("alterConnectorOffsets while it runs", () -> alter(back));
        say("resetConnectorOffsets while it runs", () -> CLIENT.resetConnectorOffsets(NOW, host, port, NAME));
        say("stop", () -> CLIENT.stop(NOW, host, port, NAME));
        awaitState(NAME, "STOPPED", 0);
        say("status", () -> CLIENT.status(NOW, host, port, NAME));
        say("alterConnectorOffsets", () -> alter(back));
        say("getConnectorOffsets", () -> CLIENT.getConnectorOffsets(NOW, host, port, NAME));
        say("alterConnectorOffsets, a wrong partition", () -> alter(offsets(Map.of("nothing", "known"), 3)));
        say("alterConnectorOffsets, a wrong offset", () -> alter(offsets(Map.of("cluster", "strimzi", "topic", "orders", "partition", 0), -3)));
        say("alterConnectorOffsets, none", () -> alter("{\"offsets\":[]}"));
        say("alterConnectorOffsets, no JSON", () -> alter("offsets"));
        say("resetConnectorOffsets", () -> CLIENT.resetConnectorOffsets(NOW, host, port, NAME));
        say("getConnectorOffsets", () -> CLIENT.getConnectorOffsets(NOW, host, port, NAME));
        say("delete", () -> CLIENT.delete(NOW, host, port, NAME));
        awaitGone(NAME);

        for (var state : ConnectorState.values()) {
            var name = "strimzi-" + state;
            say("createConnector " + state, () -> create(name, heartbeat, state));
            awaitState(name, state.name(), state == ConnectorState.RUNNING ? 1 : 0); // without having run there are no tasks
            say("status " + state, () -> CLIENT.status(NOW, host, port, name));
            say("getConnectorConfig " + state, () -> CLIENT.getConnectorConfig(NOW, host, port, name));
            say("delete " + state, () -> CLIENT.delete(NOW, host, port, name));
            awaitGone(name);
        }
        say("createConnector", () -> create("strimzi", heartbeat, null));
        awaitState("strimzi", "RUNNING", 1);
        until("offsets", () -> get(CLIENT.getConnectorOffsets(NOW, host, port, "strimzi")).contains("sourceClusterAlias"));
        say("getConnectorOffsets of heartbeats", () -> CLIENT.getConnectorOffsets(NOW, host, port, "strimzi"));
        say("createConnector, wrong", () -> create("wrong", heartbeat.copy().put("tasks.max", "none"), null));
        say("createConnector, no class", () -> create("wrong", new JsonObject(), null));
        say("createConnector, another name", () -> create("wrong", heartbeat.copy().put("name", "another"), null));
        // one that exists is tried again for a minute and a half, as after any 409: it is left out
        say("delete", () -> CLIENT.delete(NOW, host, port, "strimzi"));
        awaitGone("strimzi");

        var nobody = "nobody";
        say("no getConnector", () -> CLIENT.getConnector(NOW, host, port, nobody));
        say("no getConnectorConfig", () -> CLIENT.getConnectorConfig(NOW, host, port, nobody));
        say("no status", () -> CLIENT.status(NOW, host, port, nobody));
        say("no status, where 404 is well", () -> CLIENT.status(NOW, host, port, nobody, Set.of(404)));
        say("no statusWithBackOff", () -> CLIENT.statusWithBackOff(NOW, new BackOff(10L, 2, 3), host, port, nobody));
        say("no pause", () -> CLIENT.pause(NOW, host, port, nobody));
        say("no resume", () -> CLIENT.resume(NOW, host, port, nobody));
        say("no stop", () -> CLIENT.stop(NOW, host, port, nobody));
        say("no restart", () -> CLIENT.restart(host, port, nobody, true, true));
        say("no restartTask", () -> CLIENT.restartTask(host, port, nobody, 0));
        say("no getConnectorTopics", () -> CLIENT.getConnectorTopics(NOW, host, port, nobody));
        say("no getConnectorOffsets", () -> CLIENT.getConnectorOffsets(NOW, host, port, nobody));
        say("no alterConnectorOffsets", () -> CLIENT.alterConnectorOffsets(NOW, host, port, nobody, back));
        say("no resetConnectorOffsets", () -> CLIENT.resetConnectorOffsets(NOW, host, port, nobody));
        say("no delete", () -> CLIENT.delete(NOW, host, port, nobody));
    }

    private static JsonObject config(String kind, String[] args) {
        return new JsonObject()
            .put("connector.class", "org.apache.kafka.connect.mirror.Mirror" + kind + "Connector")
            .put("source.cluster.alias", "strimzi")
            .put("target.cluster.alias", "target")
            .put("source.cluster.bootstrap.servers", args[1])
            .put("target.cluster.bootstrap.servers", args[2])
            .put("topics", "orders")
            .put("tasks.max", 1)
            .put("replication.factor", "1")
            .put("offset-syncs.topic.replication.factor", "1")
            .put("heartbeats.topic.replication.factor", "1")
            .put("sync.topic.acls.enabled", "false")
            .put("key.converter", BYTES)
            .put("value.converter", BYTES);
    }

    private static CompletionStage<Map<String, Object>> put(String name, JsonObject config) {
        return CLIENT.createOrUpdatePutRequest(NOW, host, port, name, config);
    }

    private static CompletionStage<Map<String, Object>> create(String name, JsonObject config, ConnectorState state) {
        return CLIENT.createConnector(NOW, host, port, name, config, state);
    }

    private static CompletionStage<Void> alter(String offsets) {
        return CLIENT.alterConnectorOffsets(NOW, host, port, NAME, offsets);
    }

    private static String offsets(Map<String, Object> partition, int offset) {
        return new JsonObject().put("offsets", List.of(Map.of("partition", partition, "offset", Map.of("offset", offset)))).encode();
    }

    private static <T> T get(CompletionStage<T> answer) {
        return answer.toCompletableFuture().join();
    }

    private static void say(String what, Callable<CompletionStage<?>> call) throws Exception {
        String outcome;
        try {
            var value = get(call.call());
            // offsets come as text, which is JSON
            outcome = value instanceof String text && text.startsWith("{") ? JSON.readTree(text).toString() : JSON.writeValueAsString(value);
        } catch (CompletionException e) {
            outcome = "error " + e.getCause().getClass().getSimpleName() + " " + e.getCause().getMessage();
        }
        System.out.println(what + ": " + outcome.replace(host + ":" + port, "WORKER").replaceAll("\\s*\\R\\s*", " "));
    }

    private static void awaitState(String name, String state, int tasks) throws Exception {
        until(name + " " + state, () -> {
            var status = JSON.<JsonNode>valueToTree(get(CLIENT.status(NOW, host, port, name)));
            return status.at("/connector/state").asText().equals(state) && status.get("tasks").size() == tasks
                && status.get("tasks").findValuesAsText("state").stream().allMatch(state::equals);
        });
    }

    private static void awaitGone(String name) throws Exception {
        until("gone " + name, () -> {
            get(CLIENT.status(NOW, host, port, name, Set.of(404)));
            return !get(CLIENT.list(NOW, host, port)).contains(name);
        });
    }

    private static void until(String what, Callable<Boolean> holds) throws Exception {
        var start = System.nanoTime();
        Exception last = null;
        while (System.nanoTime() - start < LIMIT_NANOS) {
            try {
                if (holds.call()) {
                    return;
                }
            } catch (CompletionException e) {
                last = e;
            }
            Thread.sleep(50);
        }
        throw new IllegalStateException("never came: " + what, last);
    }
}
