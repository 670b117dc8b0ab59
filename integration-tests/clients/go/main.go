// Calls every function of the Go clients for Kafka Connect, and prints what each made of the worker's answer: a line
// per call, to be compared with the lines of another worker. Usage: rest-clients WORKER-URL SOURCE-BROKERS TARGET-BROKERS
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

var url, source, target string

func main() {
	url, source, target = os.Args[1], os.Args[2], os.Args[3]
	cloudhut()
	goKafka()
	ricardo()
}

// config is that of a mirror connector by its short name: Source, Checkpoint or Heartbeat.
func config(kind, topics string) map[string]string {
	return map[string]string{
		"connector.class":                       "org.apache.kafka.connect.mirror.Mirror" + kind + "Connector",
		"source.cluster.alias":                  "a",
		"target.cluster.alias":                  "b",
		"source.cluster.bootstrap.servers":      source,
		"target.cluster.bootstrap.servers":      target,
		"topics":                                topics,
		"replication.factor":                    "1",
		"offset-syncs.topic.replication.factor": "1",
		"checkpoints.topic.replication.factor":  "1",
		"heartbeats.topic.replication.factor":   "1",
		"sync.topic.acls.enabled":               "false",
		"tasks.max":                             "1",
		"key.converter":                         "org.apache.kafka.connect.converters.ByteArrayConverter",
		"value.converter":                       "org.apache.kafka.connect.converters.ByteArrayConverter",
	}
}

func with(config map[string]string, key, value string) map[string]string {
	changed := map[string]string{key: value}
	for k, v := range config {
		if k != key {
			changed[k] = v
		}
	}
	return changed
}

// The same as the JSON that clients with a loose type send.
func loose(config map[string]string) map[string]any {
	values := map[string]any{}
	for k, v := range config {
		values[k] = v
	}
	values["tasks.max"] = 1 // a number, as people write it
	values["emit.heartbeats.enabled"] = true
	return values
}

func say(client, call string, value any, err error) {
	text := "ok"
	if value != nil {
		bytes, _ := json.Marshal(value) // keys of maps come sorted
		text = string(bytes)
	}
	if err != nil {
		text = "error " + strings.ReplaceAll(err.Error(), "\n", " ")
	}
	worker := strings.TrimPrefix(url, "http://")
	fmt.Printf("%s %s: %s\n", client, call, strings.ReplaceAll(text, worker, "WORKER"))
}

// until asks the worker, without any client, until its answer contains all of these.
func until(path string, parts ...string) {
	var body string
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		response, err := http.Get(url + path)
		if err != nil {
			continue
		}
		bytes, _ := io.ReadAll(response.Body)
		response.Body.Close()
		body = string(bytes)
		missing := false
		for _, part := range parts {
			missing = missing || !strings.Contains(body, part)
		}
		if !missing {
			return
		}
	}
	fmt.Printf("%s never had %q: %s\n", path, parts, body)
}

func untilRunning(name string) {
	until("/connectors/"+name+"/status", `"connector":{"state":"RUNNING"`, `{"id":0,"state":"RUNNING"`)
}

func untilGone(name string) {
	until("/connectors/"+name, `"error_code":404`)
	until("/connectors/"+name+"/status", `"error_code":404`)
}
