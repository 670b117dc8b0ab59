import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.sourcelab.kafka.connect.apiclient.Configuration;
import org.sourcelab.kafka.connect.apiclient.KafkaConnectClient;
import org.sourcelab.kafka.connect.apiclient.request.dto.ConnectorPluginConfigDefinition;
import org.sourcelab.kafka.connect.apiclient.request.dto.NewConnectorDefinition;
import org.sourcelab.kafka.connect.apiclient.request.post.PostConnectorRestart;

/**
 * Calls every method of SourceLab's client, which AKHQ uses, and prints what came back: the same lines from every worker.
 *
 * <p>Arguments: the worker's address, the brokers of the source and those of the target.
 */
public final class SourceLabClient {
    private static final String NAME = "sourcelab client";
    private static final long LIMIT_NANOS = 60_000_000_000L;

    private SourceLabClient() {
    }

    public static void main(String[] args) throws Exception {
        var client = new KafkaConnectClient(new Configuration(args[0]));
        Map<String, String> config = new TreeMap<>(Map.of(
            "name", NAME,
            "connector.class", "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector",
            "source.cluster.alias", "source",
            "target.cluster.alias", "target",
            "source.cluster.bootstrap.servers", args[1],
            "target.cluster.bootstrap.servers", args[2],
            "emit.heartbeats.interval.seconds", "1",
            "heartbeats.topic.replication.factor", "1"));
        var plugin = "MirrorHeartbeatConnector";

        say("version", () -> client.getConnectServerVersion().getVersion());
        say("plugins", () -> client.getConnectorPlugins().stream()
            .filter(p -> p.getClassName().contains("connect.mirror")).sorted((a, b) -> a.getClassName().compareTo(b.getClassName())).toList());
        say("validate", () -> {
            var result = client.validateConnectorPluginConfig(new ConnectorPluginConfigDefinition(plugin, config));
            return result.getName() + " " + result.getErrorCount() + " " + result.getGroups() + "\n" + result.getConfigs();
        });
        say("validate what is wrong", () -> client.validateConnectorPluginConfig(
            new ConnectorPluginConfigDefinition(plugin, Map.of("connector.class", plugin, "tasks.max", "none"))));
        say("validate an unknown plugin", () -> client.validateConnectorPluginConfig(
            new ConnectorPluginConfigDefinition("Nobody", Map.of("connector.class", "Nobody"))));

        say("add", () -> client.addConnector(new NewConnectorDefinition(NAME, config)).getType());
        say("add again", () -> client.addConnector(new NewConnectorDefinition(NAME, config)));
        say("add what is wrong", () -> client.addConnector(new NewConnectorDefinition("wrong", Map.of("connector.class", plugin, "tasks.max", "0"))));
        say("add an unknown class", () -> client.addConnector(new NewConnectorDefinition("wrong", Map.of("connector.class", "Nobody"))));
        say("add without class", () -> client.addConnector(new NewConnectorDefinition("wrong", Map.of())));
        await(client, "RUNNING", 1);
        say("connectors", () -> client.getConnectors().contains(NAME));
        say("connector", () -> client.getConnector(NAME).getName() + " " + new TreeMap<>(client.getConnector(NAME).getConfig()) + " " + client.getConnector(NAME).getTasks());
        say("config", () -> new TreeMap<>(client.getConnectorConfig(NAME)));
        say("status", () -> client.getConnectorStatus(NAME));
        say("expand=status", () -> client.getConnectorsWithExpandedStatus().getStatusForConnector(NAME));
        say("expand=info", () -> client.getConnectorsWithExpandedInfo().getDefinitionForConnector(NAME).getTasks());
        say("expand=both", () -> client.getConnectorsWithAllExpandedMetadata().getConnectorNames().contains(NAME));
        say("tasks", () -> client.getConnectorTasks(NAME).stream().map(t -> t.getId() + " " + new TreeMap<>(t.getConfig())).toList());
        say("task status", () -> client.getConnectorTaskStatus(NAME, 0));
        say("status of no task", () -> client.getConnectorTaskStatus(NAME, 7));
        until("topics", () -> !client.getConnectorTopics(NAME).getTopics().isEmpty());
        say("topics", () -> client.getConnectorTopics(NAME));
        say("reset topics", () -> client.resetConnectorTopics(NAME));

        config.put("emit.heartbeats.interval.seconds", "2");
        say("update", () -> client.updateConnectorConfig(NAME, config).getTasks());
        say("update what is wrong", () -> client.updateConnectorConfig(NAME, Map.of("connector.class", plugin, "tasks.max", "none")));
        await(client, "RUNNING", 1);
        say("pause", () -> client.pauseConnector(NAME));
        await(client, "PAUSED", 1);
        say("status", () -> client.getConnectorStatus(NAME));
        say("resume", () -> client.resumeConnector(NAME));
        await(client, "RUNNING", 1);
        say("restart", () -> client.restartConnector(NAME));
        await(client, "RUNNING", 1);
        say("restart with tasks", () -> client.restartConnector(new PostConnectorRestart(NAME).withIncludeTasks(true)));
        await(client, "RUNNING", 1);
        say("restart what failed", () -> client.restartConnector(new PostConnectorRestart(NAME).withIncludeTasks(true).withOnlyFailed(true)));
        say("restart task", () -> client.restartConnectorTask(NAME, 0));
        say("restart no task", () -> client.restartConnectorTask(NAME, 7));
        await(client, "RUNNING", 1);
        say("stop", () -> client.stopConnector(NAME));
        await(client, "STOPPED", 0);
        say("status", () -> client.getConnectorStatus(NAME));
        say("delete", () -> client.deleteConnector(NAME));
        until("deleted", () -> !client.getConnectors().contains(NAME));

        var nobody = "nobody";
        say("no connector", () -> client.getConnector(nobody));
        say("no config", () -> client.getConnectorConfig(nobody));
        say("no status", () -> client.getConnectorStatus(nobody));
        say("no tasks", () -> client.getConnectorTasks(nobody));
        say("no topics", () -> client.getConnectorTopics(nobody));
        say("no reset", () -> client.resetConnectorTopics(nobody));
        say("no pause", () -> client.pauseConnector(nobody));
        say("no resume", () -> client.resumeConnector(nobody));
        say("no stop", () -> client.stopConnector(nobody));
        say("no restart", () -> client.restartConnector(nobody));
        say("no task restart", () -> client.restartConnectorTask(nobody, 0));
        say("no delete", () -> client.deleteConnector(nobody));
    }

    private static void say(String what, Callable<?> call) {
        String outcome;
        try {
            outcome = Objects.toString(call.call());
        } catch (Exception e) {
            outcome = "error " + e.getClass().getSimpleName() + " " + e.getMessage();
        }
        // which worker it was may differ, and how a worker explains its settings
        System.out.println(what + ": " + outcome
            .replaceAll("(workerId=|worker_id=)'?[^',}]*'?", "$1")
            .replaceAll("(?s)documentation='.*?', group=", "group=")
            .replaceAll("\\s*\\R\\s*", " "));
    }

    private static void await(KafkaConnectClient client, String state, int tasks) throws Exception {
        until(state, () -> {
            var status = client.getConnectorStatus(NAME);
            return status.getConnector().get("state").equals(state) && status.getTasks().size() == tasks
                && status.getTasks().stream().allMatch(t -> t.getState().equals(state));
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
            } catch (Exception e) {
                last = e;
            }
            Thread.sleep(50);
        }
        throw new IllegalStateException("never came: " + what, last);
    }
}
