package main

import (
	"context"
	"fmt"
	"sort"
	"sync"

	connect "github.com/cloudhut/connect-client"
)

// Redpanda Console's client, with the calls that Console makes of it.
func cloudhut() {
	c := connect.NewClient(connect.WithHost(url), connect.WithUserAgent("Redpanda Console"))
	ctx := context.Background()
	say := func(call string, value any, err error) { say("cloudhut", call, value, err) }

	root, err := c.GetRoot(ctx)
	say("GetRoot", root, err)
	plugins, err := c.GetConnectorPlugins(ctx)
	sort.Slice(plugins, func(i, j int) bool { return plugins[i].Class < plugins[j].Class })
	for _, plugin := range plugins {
		say("GetConnectorPlugins", plugin, err)
	}

	kinds := []string{"Source", "Checkpoint", "Heartbeat"}
	for _, kind := range kinds {
		name := "go-" + kind
		created, err := c.CreateConnector(ctx, connect.CreateConnectorRequest{Name: name, Config: loose(config(kind, "orders"))})
		say("CreateConnector "+kind, created, err)
	}
	untilRunning("go-Source")
	untilRunning("go-Heartbeat")
	until("/connectors/go-Checkpoint/status", `"connector":{"state":"RUNNING"`)

	_, err = c.CreateConnector(ctx, connect.CreateConnectorRequest{Name: "go-Source", Config: loose(config("Source", "orders"))})
	say("CreateConnector again", nil, err)
	_, err = c.CreateConnector(ctx, connect.CreateConnectorRequest{Name: "go-bad", Config: map[string]any{"connector.class": "MirrorSourceConnector"}})
	say("CreateConnector incomplete", nil, err)
	_, err = c.CreateConnector(ctx, connect.CreateConnectorRequest{Name: "go-bad", Config: map[string]any{"connector.class": "NoSuchConnector"}})
	say("CreateConnector of no class", nil, err)
	_, err = c.CreateConnector(ctx, connect.CreateConnectorRequest{Name: "go-bad", Config: map[string]any{"tasks.max": "1"}})
	say("CreateConnector without class", nil, err)
	_, err = c.CreateConnector(ctx, connect.CreateConnectorRequest{Name: "go-bad", Config: loose(with(config("Source", "orders"), "name", "other"))})
	say("CreateConnector by two names", nil, err)
	_, err = c.CreateConnector(ctx, connect.CreateConnectorRequest{Name: "go-bad", Config: loose(with(config("Source", "orders"), "replication.factor", "many"))})
	say("CreateConnector with a bad number", nil, err)

	names, err := c.ListConnectors(ctx)
	sort.Strings(names)
	say("ListConnectors", names, err)
	expanded, err := c.ListConnectorsExpanded(ctx)
	say("ListConnectorsExpanded", expanded, err)
	for _, name := range []string{"go-Source", "go-Heartbeat", "go-Checkpoint", "nobody", "no body/ä?"} {
		info, err := c.GetConnector(ctx, name)
		say("GetConnector "+name, info, err)
		got, err := c.GetConnectorConfig(ctx, name)
		say("GetConnectorConfig "+name, got, err)
		status, err := c.GetConnectorStatus(ctx, name)
		say("GetConnectorStatus "+name, status, err)
	}
	parallel(ctx, c)

	for _, kind := range kinds {
		class := "org.apache.kafka.connect.mirror.Mirror" + kind + "Connector"
		for what, values := range map[string]map[string]any{
			"whole": loose(with(config(kind, "orders"), "name", "x")), "short": {"connector.class": class, "name": "x"}, "empty": {},
			"bad": loose(with(with(config(kind, "orders"), "name", "x"), "tasks.max", "some")), "other": {"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector"},
		} {
			answer, err := c.PutValidateConnectorConfig(ctx, class, connect.ValidateConnectorConfigOptions{Config: values})
			call := fmt.Sprintf("PutValidateConnectorConfig %s %s", kind, what)
			say(call, map[string]any{"name": answer.Name, "errors": answer.ErrorCount, "groups": answer.Groups, "keys": len(answer.Configs)}, err)
			for _, config := range answer.Configs {
				say(fmt.Sprint(call, " ", config.Definition["name"]), config, nil)
			}
		}
	}
	_, err = c.PutValidateConnectorConfig(ctx, "NoSuchConnector", connect.ValidateConnectorConfigOptions{Config: map[string]any{"connector.class": "NoSuchConnector"}})
	say("PutValidateConnectorConfig of no class", nil, err)

	until("/connectors/go-Source/topics", "a.orders")
	topics, err := c.GetConnectorTopics(ctx, "go-Source")
	say("GetConnectorTopics", topics, err)
	_, err = c.GetConnectorTopics(ctx, "nobody")
	say("GetConnectorTopics nobody", nil, err)

	put, err := c.PutConnectorConfig(ctx, "go-Source", connect.PutConnectorConfigOptions{Config: loose(with(config("Source", "orders"), "offset.lag.max", "7"))})
	say("PutConnectorConfig", put, err)
	untilRunning("go-Source")
	_, err = c.PutConnectorConfig(ctx, "go-Source", connect.PutConnectorConfigOptions{Config: map[string]any{"connector.class": "x.NoSuch"}})
	say("PutConnectorConfig of no class", nil, err)
	_, err = c.PutConnectorConfig(ctx, "go-Source", connect.PutConnectorConfigOptions{Config: nil})
	say("PutConnectorConfig of nothing", nil, err)

	for _, options := range []connect.RestartConnectorOptions{{}, {IncludeTasks: true}, {OnlyFailed: true}, {IncludeTasks: true, OnlyFailed: true}} {
		say(fmt.Sprintf("RestartConnector %+v", options), nil, c.RestartConnector(ctx, "go-Source", options))
		untilRunning("go-Source")
		say(fmt.Sprintf("RestartConnector nobody %+v", options), nil, c.RestartConnector(ctx, "nobody", options))
	}
	say("RestartConnectorTask", nil, c.RestartConnectorTask(ctx, "go-Source", 0))
	untilRunning("go-Source")
	say("RestartConnectorTask 9", nil, c.RestartConnectorTask(ctx, "go-Source", 9))
	say("RestartConnectorTask -1", nil, c.RestartConnectorTask(ctx, "go-Source", -1))
	say("RestartConnectorTask nobody", nil, c.RestartConnectorTask(ctx, "nobody", 0))

	for _, step := range []struct {
		call, connector, tasks string
		do                     func(context.Context, string) error
	}{
		{"PauseConnector", "PAUSED", `{"id":0,"state":"PAUSED"`, c.PauseConnector},
		{"ResumeConnector", "RUNNING", `{"id":0,"state":"RUNNING"`, c.ResumeConnector},
		{"StopConnector", "STOPPED", `"tasks":[]`, c.StopConnector},
	} {
		say(step.call, nil, step.do(ctx, "go-Source"))
		// It and its tasks change their states in no fixed order.
		until("/connectors/go-Source/status", `"connector":{"state":"`+step.connector+`"`)
		until("/connectors/go-Source/status", step.tasks)
		status, err := c.GetConnectorStatus(ctx, "go-Source")
		say(step.call+" and then", status, err)
		say(step.call+" nobody", nil, step.do(ctx, "nobody"))
	}
	say("RestartConnector while stopped", nil, c.RestartConnector(ctx, "go-Source", connect.RestartConnectorOptions{IncludeTasks: true}))
	say("ResetConnectorTopics", nil, c.ResetConnectorTopics(ctx, "go-Source"))
	say("ResetConnectorTopics nobody", nil, c.ResetConnectorTopics(ctx, "nobody"))
	until("/connectors/go-Source/topics", `"topics":[]`)
	topics, err = c.GetConnectorTopics(ctx, "go-Source")
	say("GetConnectorTopics after the reset", topics, err)

	for _, kind := range kinds {
		say("DeleteConnector "+kind, nil, c.DeleteConnector(ctx, "go-"+kind))
		untilGone("go-" + kind)
	}
	say("DeleteConnector nobody", nil, c.DeleteConnector(ctx, "nobody"))
}

// Console asks for a cluster's connectors and its root at once, for every open page.
func parallel(ctx context.Context, c *connect.Client) {
	var all sync.WaitGroup
	failed := make(chan error, 200)
	for range 50 {
		for _, call := range []func() error{
			func() error { _, err := c.GetRoot(ctx); return err },
			func() error { _, err := c.ListConnectorsExpanded(ctx); return err },
			func() error { _, err := c.GetConnectorPlugins(ctx); return err },
			func() error { _, err := c.GetConnectorStatus(ctx, "go-Source"); return err },
		} {
			all.Add(1)
			go func() { defer all.Done(); failed <- call() }()
		}
	}
	all.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			say("cloudhut", "200 calls at once", nil, err)
		}
	}
	say("cloudhut", "200 calls at once", nil, nil)
}
