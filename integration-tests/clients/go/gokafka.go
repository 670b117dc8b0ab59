package main

import (
	"net/http"

	"github.com/go-kafka/connect"
)

func goKafka() {
	c := connect.NewClient(url)
	answer := func(call string, value any, response *http.Response, err error) {
		if response != nil {
			call += " " + response.Status
		}
		say("go-kafka", call, value, err)
	}

	connector := &connect.Connector{Name: "gk", Config: config("Source", "orders")}
	response, err := c.CreateConnector(connector)
	answer("CreateConnector", connector, response, err)
	untilRunning("gk")
	response, err = c.CreateConnector(&connect.Connector{Name: "gk", Config: config("Source", "orders")})
	answer("CreateConnector again", nil, response, err)
	response, err = c.CreateConnector(&connect.Connector{Name: "gk-bad"})
	answer("CreateConnector without a config", nil, response, err)
	response, err = c.CreateConnector(&connect.Connector{Config: connect.ConnectorConfig{"tasks.max": "1"}})
	answer("CreateConnector without a name", nil, response, err)
	names, response, err := c.ListConnectors()
	answer("ListConnectors", names, response, err)
	for _, name := range []string{"gk", "nobody", "no%20body", "gk/"} {
		one, response, err := c.GetConnector(name)
		answer("GetConnector "+name, one, response, err)
		config, response, err := c.GetConnectorConfig(name)
		answer("GetConnectorConfig "+name, config, response, err)
		tasks, response, err := c.GetConnectorTasks(name)
		answer("GetConnectorTasks "+name, tasks, response, err)
		status, response, err := c.GetConnectorStatus(name)
		answer("GetConnectorStatus "+name, status, response, err)
	}
	updated, response, err := c.UpdateConnectorConfig("gk", with(config("Source", "orders"), "offset.lag.max", "9"))
	answer("UpdateConnectorConfig", updated, response, err)
	untilRunning("gk")
	updated, response, err = c.UpdateConnectorConfig("gk-new", config("Heartbeat", "orders"))
	answer("UpdateConnectorConfig of a new one", updated, response, err)
	untilRunning("gk-new")
	_, response, err = c.UpdateConnectorConfig("gk", connect.ConnectorConfig{"connector.class": "nothing"})
	answer("UpdateConnectorConfig of no class", nil, response, err)
	_, response, err = c.UpdateConnectorConfig("gk", with(config("Source", "orders"), "name", "other"))
	answer("UpdateConnectorConfig by two names", nil, response, err)
	for _, name := range []string{"gk", "nobody"} {
		response, err = c.RestartConnector(name)
		answer("RestartConnector "+name, nil, response, err)
		response, err = c.PauseConnector(name)
		answer("PauseConnector "+name, nil, response, err)
		response, err = c.ResumeConnector(name)
		answer("ResumeConnector "+name, nil, response, err)
		response, err = c.DeleteConnector(name)
		answer("DeleteConnector "+name, nil, response, err)
	}
	response, err = c.DeleteConnector("gk-new")
	answer("DeleteConnector gk-new", nil, response, err)
	untilGone("gk")
	untilGone("gk-new")
}
