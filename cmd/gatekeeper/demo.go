package main

import "github.com/urfave/cli/v2"

func demoCommand(w world) *cli.Command { return &cli.Command{Name: "demo"} }
