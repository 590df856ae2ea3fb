// Package config reads the installation's configuration: a YAML file and, for
// every key, an environment variable (contract §3). It also reads and writes
// the YAML form of applications (contract §10). Only the commands import it.
//
// There is one table of keys (keys.go). Defaults, names of variables, checks
// and the warning about a misspelt name all come from it; the example file
// beside it is the documentation and is tested against it.
//
// Every error is one line that names the key, where it was set, and how to mend
// it; a value is only repeated where it cannot be a secret.
package config

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// Config is the checked configuration.
type Config struct {
	Listen          string
	PublicURL       string // without trailing slash; "" where not set
	Database        Database
	ShutdownTimeout time.Duration
	Retention       Retention
	SecretKeys      [][]byte // newest first; nil where not set
	SMTP            SMTP
	Mail            Mail
	Admin           Admin
	Metrics         Metrics
	TrustedProxies  []netip.Prefix
	Log             Log
	Tracing         Tracing
	KDF             KDF
	Breached        Breached
}

// Database says where the data is.
type Database struct {
	URL            string
	AutoMigrate    bool
	MaxConnections int
}

// SQLite reports whether the database is a local file.
func (d Database) SQLite() bool { return strings.HasPrefix(d.URL, "sqlite:") }

// Retention says how long finished rows are kept.
type Retention struct{ Requests, Messages, Audit time.Duration }

// SMTP is the mail server; an empty URL keeps messages in the queue.
type SMTP struct{ URL string }

// Mail is the installation's sender.
type Mail struct{ From string }

// Admin opens the admin API with one bootstrap token; "" closes it.
type Admin struct{ Token string }

// Metrics is the listener of /metrics; "" switches it off.
type Metrics struct{ Listen string }

// Log says what is logged and how. An empty format is text on a terminal, JSON otherwise.
type Log struct {
	Level  slog.Level
	Format string
}

// Tracing is accepted and not yet used.
type Tracing struct{ OTLPEndpoint string }

// KDF are the parameters of password hashing. Zero means "from the machine".
type KDF struct {
	Algorithm     string
	Argon2Time    int
	Argon2Memory  int64 // bytes
	Argon2Threads int
	BcryptCost    int
	MaxConcurrent int
	MaxMemory     int64 // bytes
	Queue         time.Duration
}

// Breached says where leaked passwords are looked up besides the built-in list.
type Breached struct {
	File         string // a filter of `resetflow breached build`; "" is none
	URL          string // of the range service, for policies that ask online
	AllowPrivate bool   // the service may have a private address
}

// Loaded is what [Load] found.
type Loaded struct {
	Config
	Warnings []string // one line each
}
