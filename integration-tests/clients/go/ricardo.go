package main

import (
	"github.com/ricardo-ch/go-kafka-connect/v3/lib/connectors"
)

// go-kafka-connect, which the Terraform provider for Kafka Connect uses too.
func ricardo() {
	c := connectors.NewClient(url)
	c.SetParallelism(2)
	say := func(call string, value any, err error) { say("go-kafka-connect", call, value, err) }
	request := func(name, kind string) connectors.CreateConnectorRequest {
		values := loose(config(kind, "orders"))
		values["name"] = name
		return connectors.CreateConnectorRequest{ConnectorRequest: connectors.ConnectorRequest{Name: name}, Config: values}
	}

	created, err := c.CreateConnector(request("rc", "Source"), true)
	say("CreateConnector", created, err)
	untilRunning("rc")
	all, err := c.GetAll()
	say("GetAll", all, err)
	for _, name := range []string{"rc", "nobody"} {
		who := connectors.ConnectorRequest{Name: name}
		one, err := c.GetConnector(who)
		say("GetConnector "+name, one, err)
		config, err := c.GetConnectorConfig(who)
		say("GetConnectorConfig "+name, config, err)
		status, err := c.GetConnectorStatus(who)
		say("GetConnectorStatus "+name, status, err)
		tasks, err := c.GetAllTasks(who)
		say("GetAllTasks "+name, tasks, err)
		for _, id := range []int{0, 9} {
			task, err := c.GetTaskStatus(connectors.TaskRequest{Connector: name, TaskID: id})
			say("GetTaskStatus "+name, task, err)
		}
		isUpToDate, err := c.IsUpToDate(name, request(name, "Source").Config)
		say("IsUpToDate "+name, isUpToDate, err)
	}
	changed := request("rc", "Source")
	changed.Config["offset.lag.max"] = 7
	isUpToDate, err := c.IsUpToDate("rc", changed.Config)
	say("IsUpToDate with a change", isUpToDate, err)
	updated, err := c.UpdateConnector(changed, true)
	say("UpdateConnector", updated, err)
	untilRunning("rc")
	_, err = c.CreateConnector(connectors.CreateConnectorRequest{ConnectorRequest: connectors.ConnectorRequest{Name: "rc-bad"}, Config: map[string]any{}}, true)
	say("CreateConnector of nothing", nil, err)
	paused, err := c.PauseConnector(connectors.ConnectorRequest{Name: "rc"}, true)
	say("PauseConnector", paused, err)
	resumed, err := c.ResumeConnector(connectors.ConnectorRequest{Name: "rc"}, true)
	say("ResumeConnector", resumed, err)
	untilRunning("rc")
	restarted, err := c.RestartConnector(connectors.ConnectorRequest{Name: "rc"})
	say("RestartConnector", restarted, err)
	untilRunning("rc")
	task, err := c.RestartTask(connectors.TaskRequest{Connector: "rc", TaskID: 0})
	say("RestartTask", task, err)
	untilRunning("rc")
	say("DeployConnector", nil, c.DeployConnector(request("rc", "Source")))
	say("DeployMultipleConnector", nil, c.DeployMultipleConnector([]connectors.CreateConnectorRequest{request("rc", "Source"), request("rc-hb", "Heartbeat")}))
	for _, name := range []string{"rc", "rc-hb", "nobody"} {
		deleted, err := c.DeleteConnector(connectors.ConnectorRequest{Name: name}, true)
		say("DeleteConnector "+name, deleted, err)
	}
	untilGone("rc")
	untilGone("rc-hb")
}
