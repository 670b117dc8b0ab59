import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.apache.kafka.connect.mirror.MirrorClient;
import org.apache.kafka.connect.mirror.RemoteClusterUtils;

/**
 * What Kafka's RemoteClusterUtils and MirrorClient say of a cluster, as one JSON object.
 * Arguments: bootstrap servers, the class of the replication policy, the alias of a source cluster.
 */
public class RemoteClusters {
    public static void main(String[] args) throws Exception {
        Map<String, Object> props = new HashMap<>();
        props.put("bootstrap.servers", args[0]);
        props.put("replication.policy.class", args[1]);
        // What IdentityReplicationPolicy takes for the source of a topic.
        props.put("source.cluster.alias", args[2]);
        Map<String, Object> said = new TreeMap<>();
        Map<String, Integer> hops = new TreeMap<>();
        for (String cluster : RemoteClusterUtils.upstreamClusters(props)) {
            hops.put(cluster, RemoteClusterUtils.replicationHops(props, cluster));
        }
        said.put("upstreamClusters", hops);
        said.put("heartbeatTopics", new TreeSet<>(RemoteClusterUtils.heartbeatTopics(props)));
        said.put("checkpointTopics", new TreeSet<>(RemoteClusterUtils.checkpointTopics(props)));
        try (MirrorClient client = new MirrorClient(props)) {
            said.put("remoteTopics", new TreeSet<>(client.remoteTopics()));
            said.put("remoteTopicsOfSource", new TreeSet<>(client.remoteTopics(args[2])));
        }
        List<Object> offsets = new ArrayList<>();
        RemoteClusterUtils.translateOffsets(props, args[2], Pattern.compile(".*"), Duration.ofSeconds(30))
            .forEach((group, found) -> found.forEach((partition, offset) -> offsets.add(Map.of(
                "group", group, "topic", partition.topic(), "partition", partition.partition(),
                "offset", offset.offset(), "metadata", offset.metadata()))));
        said.put("offsets", offsets);
        System.out.println(new ObjectMapper().writeValueAsString(said));
    }
}
