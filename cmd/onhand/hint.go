package main

import (
	"context"
	"crypto/x509"
	"errors"
	iofs "io/fs"
	"net/http"
	"strings"
	"syscall"

	"onhand/engine"
	"onhand/server"
)

// hint says what to do about an error, or nothing where that is not known.
func hint(err error) string {
	if no := (*answerError)(nil); errors.As(err, &no) {
		return answerHint(no)
	}
	var authority x509.UnknownAuthorityError
	switch {
	case errors.Is(err, context.Canceled):
		return ""
	case errors.Is(err, syscall.EAGAIN):
		return "Another process has the database open. Stop it first (a server stops on SIGTERM), or ask the server instead, with --to."
	case errors.Is(err, syscall.EADDRINUSE):
		return "Something listens there already, perhaps an onhand that still runs. Stop it, or choose another port with --listen or --admin."
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "This machine has no such address. Use one of its own with --listen or --admin, or 0.0.0.0 for all."
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, engine.ErrDiskFull):
		return "Make room on the disk and start again; nothing that was acknowledged is lost."
	case errors.Is(err, syscall.EDQUOT):
		return "The disk quota is used up. Raise it or make room, and start again."
	case errors.Is(err, iofs.ErrPermission):
		return "Run the command as the user who owns the files, or change their owner."
	case errors.Is(err, engine.ErrDamaged) || errors.Is(err, engine.ErrCheckpointDamaged) || errors.Is(err, engine.ErrBroken):
		return "What is stored can't be trusted. Keep it for inspection, and restore the latest backup into an empty directory."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Is the server running, and is that its address? It is chosen with --to; \"onhand serve DIR\" starts a server."
	case errors.As(err, &authority):
		return "The server's certificate is signed by nobody this machine knows. SSL_CERT_FILE=ca.pem in the environment names who to trust."
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "The server speaks no TLS: write http:// in --to."
	case errors.Is(err, server.ErrBusy):
		return "Raise --drain-timeout. Everything acknowledged is on disk."
	case errors.Is(err, iofs.ErrNotExist):
		return "Check the name: nothing is there."
	}
	return ""
}

func answerHint(no *answerError) string {
	switch no.status {
	case http.StatusUnauthorized:
		return "Give an API key as ONHAND_KEY in the environment; \"onhand key new\" makes one."
	case http.StatusForbidden:
		return "Use a key with that scope; \"onhand key new NAME --scope SCOPE\" makes one."
	case http.StatusInsufficientStorage:
		return "Make room on the server's disk."
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return "The server is busy or stopping. Try again a little later."
	case http.StatusRequestEntityTooLarge:
		return "Raise the server's limit (--import-bytes-max, --import-unpacked-max), or split the file."
	}
	if strings.HasSuffix(no.problem.Type, ":key-reused") {
		return "An id belongs to one file and mode. Rows that failed are sent again once corrected, alone and under another id: the others have taken effect."
	}
	if strings.HasSuffix(no.problem.Type, ":framing") && strings.Contains(no.problem.Title, "TLS") {
		return "Write https:// in --to."
	}
	return ""
}
