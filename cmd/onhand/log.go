package main

import (
	"fmt"
	"log/slog"
	"os"
)

// stderrLog is the log of commands that are no servers: what goes wrong, and nothing else.
func stderrLog(s *streams) *slog.Logger {
	return slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// fatal ends the process where an engine can no longer keep its promises.
func fatal(s *streams) func(error) {
	return func(err error) {
		fmt.Fprintf(s.err, "onhand: stopped at once, since a write could not be made durable; nothing that was acknowledged is lost: %v\n", err)
		if h := hint(err); h != "" {
			fmt.Fprintf(s.err, "        %s\n", h)
		}
		os.Exit(exitFailed)
	}
}
