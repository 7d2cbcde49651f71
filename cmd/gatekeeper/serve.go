package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
)

func serveCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "run the gatekeeper",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Value: "gatekeeper.yaml", Usage: "configuration `FILE`"},
			&cli.StringFlag{Name: "log-format", Value: "text", Usage: "text or json"},
			&cli.StringFlag{Name: "log-level", Value: "info", Usage: "debug, info, warn or error"},
		},
		Action: func(c *cli.Context) error { return serve(w, c) },
	}
}

// collectEarly is GOGC's default here. What lives long is little, so collecting
// twice as often costs a percent of a core under full load, and thousands of
// steps that begin to wait leave half the garbage.
const collectEarly = 50

func serve(w world, c *cli.Context) error {
	logger, err := newLogger(w.stderr, c.String("log-format"), c.String("log-level"))
	if err != nil {
		return cli.Exit(err.Error(), exitUsage)
	}
	cfg, err := faultless(w, c, "nothing was started")
	if err != nil {
		return err
	}
	if len(cfg.missing) > 0 {
		return cli.Exit("this version does not serve "+strings.Join(cfg.missing, ", ")+"; nothing was started", exitFailed)
	}
	if w.env("GOGC") == "" {
		debug.SetGCPercent(collectEarly)
	}
	s, err := newService(c.Context, cfg, logger)
	if err != nil && c.Err() != nil {
		logger.Info("stopped before anything was served", "error", err)
		return nil
	}
	if err != nil {
		return cli.Exit(err.Error()+placesHint(err), exitFailed)
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	go func() {
		for range hangup {
			_ = s.reload(context.WithoutCancel(c.Context), true)
		}
	}()
	return s.run(c.Context)
}

func newLogger(out io.Writer, format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, errors.New("--log-level is debug, info, warn or error")
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: l})), nil
	case "json":
		return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: l})), nil
	}
	return nil, errors.New("--log-format is text or json")
}
