import com.fasterxml.jackson.databind.ObjectMapper;
import io.kafbat.ui.client.RetryingKafkaConnectClient;
import io.kafbat.ui.config.ClustersProperties;
import io.kafbat.ui.connect.model.ConnectorExpand;
import io.kafbat.ui.connect.model.ConnectorStatusConnector;
import io.kafbat.ui.connect.model.NewConnector;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.springframework.http.ResponseEntity;
import org.springframework.util.unit.DataSize;
import org.springframework.web.reactive.function.client.WebClientResponseException;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Calls every operation of the client that kafka-ui speaks to Connect with, and prints what came back: the same lines from
 * every worker. The client is kafka-ui's own class over what its contract generates.
 *
 * <p>Arguments: the worker's address, the brokers of the source and those of the target.
 */
public final class KafkaUiClient {
    private static final String NAME = "kafka ui";
    private static final String PLUGIN = "org.apache.kafka.connect.mirror.MirrorSourceConnector";
    private static final String BYTES = "org.apache.kafka.connect.converters.ByteArrayConverter";
    private static final long LIMIT_NANOS = 60_000_000_000L;
    private static final ObjectMapper JSON = new ObjectMapper().findAndRegisterModules();

    private static String worker;

    private KafkaUiClient() {
    }

    public static void main(String[] args) throws Exception {
        worker = args[0];
        var cluster = new ClustersProperties.ConnectCluster();
        cluster.setAddress(worker);
        var client = new RetryingKafkaConnectClient(cluster, null, DataSize.ofMegabytes(20), Duration.ofSeconds(60));
        var config = Map.<String, Object>ofEntries(
            Map.entry("connector.class", PLUGIN),
            Map.entry("source.cluster.alias", "kafkaui"),
            Map.entry("target.cluster.alias", "target"),
            Map.entry("source.cluster.bootstrap.servers", args[1]),
            Map.entry("target.cluster.bootstrap.servers", args[2]),
            Map.entry("topics", "orders"),
            Map.entry("tasks.max", "1"),
            Map.entry("replication.factor", "1"),
            Map.entry("offset-syncs.topic.replication.factor", "1"),
            Map.entry("sync.topic.acls.enabled", "false"),
            Map.entry("key.converter", BYTES),
            Map.entry("value.converter", BYTES));

        say("getClusterInfo", () -> client.getClusterInfo());
        say("getClusterInfoWithHttpInfo", () -> client.getClusterInfoWithHttpInfo());
        say("getConnectorPlugins", () -> client.getConnectorPlugins().filter(p -> p.getPropertyClass().contains("connect.mirror")));
        for (var plugin : List.of(PLUGIN, "MirrorSourceConnector")) {
            say("validateConnectorPluginConfig " + plugin, () -> client.validateConnectorPluginConfig(plugin, with(config, "name", NAME)));
            say("validateConnectorPluginConfig without a name " + plugin, () -> client.validateConnectorPluginConfig(plugin, config));
            say("validateConnectorPluginConfig, wrong " + plugin, () -> client.validateConnectorPluginConfig(plugin, with(config, "tasks.max", "none")));
        }
        for (var kind : List.of("Heartbeat", "Checkpoint")) {
            var plugin = "org.apache.kafka.connect.mirror.Mirror" + kind + "Connector";
            say("validateConnectorPluginConfig " + kind, () -> client.validateConnectorPluginConfig(plugin, with(config, "connector.class", plugin)));
        }
        say("validateConnectorPluginConfig, another class", () -> client.validateConnectorPluginConfig("MirrorHeartbeatConnector", config));
        say("validateConnectorPluginConfig, no such plugin", () -> client.validateConnectorPluginConfig("Nobody", config));
        say("validateConnectorPluginConfig, nothing", () -> client.validateConnectorPluginConfig("MirrorSourceConnector", Map.of()));

        say("getConnectors", () -> client.getConnectors(null, List.of(ConnectorExpand.INFO, ConnectorExpand.STATUS)));
        say("createConnector", () -> client.createConnector(connector(NAME, config)));
        say("createConnector again", () -> client.createConnector(connector(NAME, config)));
        say("createConnector, wrong", () -> client.createConnector(connector("wrong", with(config, "tasks.max", "none"))));
        say("createConnector, an unknown class", () -> client.createConnector(connector("wrong", Map.of("connector.class", "Nobody"))));
        say("createConnector, no class", () -> client.createConnector(connector("wrong", Map.of())));
        say("createConnector, no name", () -> client.createConnector(connector(null, config)));
        say("createConnector, an object", () -> client.createConnectorWithHttpInfo(connector("wrong", with(config, "topics", Map.of("orders", 1)))));
        say("createConnectorWithHttpInfo", () -> client.createConnectorWithHttpInfo(connector("kafka ui 2", with(config, "tasks.max", 1))));
        say("createConnectorWithHttpInfo, wrong", () -> client.createConnectorWithHttpInfo(connector("wrong", with(config, "tasks.max", "none"))));
        await(client, NAME, "RUNNING", 1);
        await(client, "kafka ui 2", "RUNNING", 1);
        say("deleteConnectorWithHttpInfo", () -> client.deleteConnectorWithHttpInfo("kafka ui 2"));
        until("deleted", () -> !client.getConnectors(null, List.of(ConnectorExpand.STATUS)).block().containsKey("kafka ui 2"));

        say("getConnectors, plain", () -> client.getConnectors(null, null)); // a list, where the contract knows none
        say("getConnectors info", () -> client.getConnectors(null, List.of(ConnectorExpand.INFO)));
        say("getConnectors status", () -> client.getConnectors(null, List.of(ConnectorExpand.STATUS)));
        say("getConnectors both", () -> client.getConnectors(null, List.of(ConnectorExpand.INFO, ConnectorExpand.STATUS)));
        say("getConnectors search", () -> client.getConnectors("nobody", List.of(ConnectorExpand.INFO)));
        say("getConnector", () -> client.getConnector(NAME));
        say("getConnectorConfig", () -> client.getConnectorConfig(NAME));
        say("getConnectorStatus", () -> client.getConnectorStatus(NAME));
        say("getConnectorTasks", () -> client.getConnectorTasks(NAME));
        say("getConnectorTaskStatus", () -> client.getConnectorTaskStatus(NAME, 0));
        say("getConnectorTaskStatus, none", () -> client.getConnectorTaskStatus(NAME, 7));
        until("topics", () -> !client.getConnectorTopics(NAME).block().get(NAME).getTopics().isEmpty());
        say("getConnectorTopics", () -> client.getConnectorTopics(NAME));
        say("getConnectorOffsets", () -> client.getConnectorOffsetsWithHttpInfo(NAME));

        say("setConnectorConfig", () -> client.setConnectorConfig(NAME, with(config, "offset.lag.max", 7)));
        say("setConnectorConfig, a truth", () -> client.setConnectorConfigWithHttpInfo(NAME, with(config, "sync.topic.configs.enabled", true)));
        say("setConnectorConfig, null", () -> client.setConnectorConfigWithHttpInfo(NAME, with(config, "offset.lag.max", null)));
        say("setConnectorConfig, wrong", () -> client.setConnectorConfig(NAME, with(config, "tasks.max", "none")));
        say("setConnectorConfig, another name", () -> client.setConnectorConfig(NAME, with(config, "name", "another")));
        say("setConnectorConfig, a list", () -> client.setConnectorConfigWithHttpInfo(NAME, with(config, "topics", List.of("orders"))));
        say("setConnectorConfig", () -> client.setConnectorConfig(NAME, config)); // Kafka's connector fails with null
        say("setConnectorConfig of a new one", () -> client.setConnectorConfigWithHttpInfo("kafka ui 3", config));
        await(client, "kafka ui 3", "RUNNING", 1);
        say("deleteConnector", () -> client.deleteConnector("kafka ui 3"));
        await(client, NAME, "RUNNING", 1);

        say("pauseConnector", () -> client.pauseConnectorWithHttpInfo(NAME));
        await(client, NAME, "PAUSED", 1);
        say("getConnectorStatus", () -> client.getConnectorStatus(NAME));
        say("resumeConnector", () -> client.resumeConnectorWithHttpInfo(NAME));
        await(client, NAME, "RUNNING", 1);
        for (var includeTasks : List.of(false, true)) {
            for (var onlyFailed : List.of(false, true)) {
                say("restartConnector " + includeTasks + " " + onlyFailed, () -> client.restartConnectorWithHttpInfo(NAME, includeTasks, onlyFailed));
                await(client, NAME, "RUNNING", 1);
            }
        }
        say("restartConnectorTask", () -> client.restartConnectorTaskWithHttpInfo(NAME, 0));
        say("restartConnectorTask, none", () -> client.restartConnectorTaskWithHttpInfo(NAME, 7));
        await(client, NAME, "RUNNING", 1);
        say("resetConnectorOffsets while it runs", () -> client.resetConnectorOffsetsWithHttpInfo(NAME));
        say("stopConnector", () -> client.stopConnectorWithHttpInfo(NAME));
        await(client, NAME, "STOPPED", 0);
        say("getConnectorStatus", () -> client.getConnectorStatus(NAME));
        say("getConnectorTasks", () -> client.getConnectorTasks(NAME));
        say("resetConnectorOffsets", () -> client.resetConnectorOffsetsWithHttpInfo(NAME));
        say("deleteConnector", () -> client.deleteConnector(NAME));
        until("deleted", () -> client.getConnectors(null, List.of(ConnectorExpand.INFO)).block().isEmpty());

        var nobody = "nobody";
        say("no getConnector", () -> client.getConnector(nobody));
        say("no getConnectorConfig", () -> client.getConnectorConfig(nobody));
        say("no getConnectorStatus", () -> client.getConnectorStatus(nobody));
        say("no getConnectorTasks", () -> client.getConnectorTasks(nobody));
        say("no getConnectorTaskStatus", () -> client.getConnectorTaskStatus(nobody, 0));
        say("no getConnectorTopics", () -> client.getConnectorTopics(nobody));
        say("no getConnectorOffsets", () -> client.getConnectorOffsets(nobody));
        say("no resetConnectorOffsets", () -> client.resetConnectorOffsets(nobody));
        say("no pauseConnector", () -> client.pauseConnector(nobody));
        say("no resumeConnector", () -> client.resumeConnector(nobody));
        say("no stopConnector", () -> client.stopConnector(nobody));
        say("no restartConnector", () -> client.restartConnector(nobody, true, true));
        say("no restartConnectorTask", () -> client.restartConnectorTask(nobody, 0));
        say("no deleteConnector", () -> client.deleteConnector(nobody));
    }

    private static NewConnector connector(String name, Map<String, Object> config) {
        return new NewConnector().name(name).config(config);
    }

    private static Map<String, Object> with(Map<String, Object> config, String key, Object value) {
        var more = new HashMap<>(config);
        more.put(key, value);
        return more;
    }

    private static void say(String what, Callable<?> call) throws Exception {
        String outcome;
        try {
            var answer = call.call();
            var value = answer instanceof Flux<?> many ? many.collectList().block() : ((Mono<?>) answer).block();
            if (value instanceof ResponseEntity<?> response) {
                var seen = new LinkedHashMap<String, Object>();
                seen.put("status", response.getStatusCode().value());
                seen.put("body", response.getBody());
                value = seen;
            }
            outcome = JSON.writeValueAsString(value);
        } catch (WebClientResponseException e) {
            outcome = "error " + e.getClass().getSimpleName() + " " + e.getMessage() + " " + e.getResponseBodyAsString();
        } catch (RuntimeException e) {
            outcome = "error " + e.getClass().getSimpleName() + " " + e.getMessage();
        }
        var address = worker.substring(worker.indexOf("//") + 2);
        System.out.println(what + ": " + outcome.replace(address, "WORKER").replaceAll("\\s*\\R\\s*", " "));
    }

    private static void await(RetryingKafkaConnectClient client, String name, String state, int tasks) throws Exception {
        until(name + " " + state, () -> {
            var status = client.getConnectorStatus(name).block();
            return status.getConnector().getState() == ConnectorStatusConnector.StateEnum.valueOf(state) && status.getTasks().size() == tasks
                && status.getTasks().stream().allMatch(task -> task.getState().getValue().equals(state));
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
            } catch (RuntimeException e) {
                last = e;
            }
            Thread.sleep(50);
        }
        throw new IllegalStateException("never came: " + what, last);
    }
}
