package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

type keysCommand struct {
	Create createKeyCommand `cmd:"" help:"Make an API key. It is printed once, on stdout, alone."`
	List   listKeysCommand  `cmd:"" help:"List the API keys of an application."`
	Revoke revokeKeyCommand `cmd:"" help:"End an API key."`
}

type createKeyCommand struct {
	target
	Application   string   `short:"a" xor:"bound" placeholder:"SLUG" help:"The application the key is for."`
	Installation  bool     `xor:"bound" help:"A key for the whole installation (directly on the database only)."`
	Name          string   `default:"key" help:"What the key is for, to know it again."`
	Type          string   `enum:"secret,publishable" default:"secret" help:"secret (servers) or publishable (browsers and apps)."`
	Permission    []string `aliases:"permissions" placeholder:"PERMISSION" help:"What the key may do; several with commas. Default: password-reset-workflow:execute."`
	AllowedOrigin []string `aliases:"allowed-origins" placeholder:"ORIGIN" help:"Origin a publishable key may be used from; several with commas."`
}

// Run makes a key; everything but the key goes to stderr.
func (c createKeyCommand) Run(ctx context.Context, w *world) error {
	switch {
	case c.Application == "" && !c.Installation:
		return wrongUsage(errors.New("--application: missing; name the application the key is for, or say --installation"))
	case c.Installation && c.Server != "":
		return wrongUsage(errors.New("--installation: only directly on the database, so that no key can make itself a stronger one"))
	case len(c.Permission) == 0 && c.Installation:
		return wrongUsage(errors.New("--permission: missing; a key of the installation holds what you name, as in applications:read"))
	case len(c.Permission) == 0:
		c.Permission = []string{"password-reset-workflow:execute"}
	}
	in, err := c.open(ctx, w)
	if err != nil {
		return err
	}
	defer in.close()
	key, id, err := in.createKey(ctx, newKey{c.Application, c.Name, workflow.KeyType(c.Type), c.Permission, c.AllowedOrigin})
	var refused *workflow.Error
	if errors.As(err, &refused) && refused.Code == workflow.CodeViolations {
		return wrongUsage(because(err))
	}
	if err != nil {
		return because(notFound(c.Application, err))
	}
	fmt.Fprintf(w.stderr, "id %s; this is the only time the key is shown\n", id)
	_, err = fmt.Fprintln(w.stdout, key)
	return err
}

type listKeysCommand struct {
	target
	Application string `short:"a" placeholder:"SLUG" help:"The application; left out: the keys of the installation (directly on the database only)."`
}

// Run lists the keys, the revoked ones too.
func (c listKeysCommand) Run(ctx context.Context, w *world) error {
	if c.Application == "" && c.Server != "" {
		return wrongUsage(errors.New("--application: missing; name the application"))
	}
	in, err := c.open(ctx, w)
	if err != nil {
		return err
	}
	defer in.close()
	keys, err := in.keys(ctx, c.Application)
	if err != nil {
		return because(notFound(c.Application, err))
	}
	t := tabwriter.NewWriter(w.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tTYPE\tKEY\tNAME\tCREATED\tSTATE\tPERMISSIONS")
	for _, k := range keys {
		state := "active"
		if !k.RevokedAt.IsZero() {
			state = "revoked " + k.RevokedAt.UTC().Format(time.DateOnly)
		}
		fmt.Fprintf(t, "%s\t%s\t%s_…%s\t%s\t%s\t%s\t%s\n", k.ID, k.Type, k.Prefix, k.LastFour, printable(k.Name),
			k.CreatedAt.UTC().Format(time.DateOnly), state, strings.Join(k.Permissions, ","))
	}
	return t.Flush()
}

type revokeKeyCommand struct {
	target
	ID          string `arg:"" help:"The key's id, from keys list."`
	Application string `short:"a" placeholder:"SLUG" help:"The application; left out: a key of the installation."`
}

// Run ends a key.
func (c revokeKeyCommand) Run(ctx context.Context, w *world) error {
	if c.Application == "" && c.Server != "" {
		return wrongUsage(errors.New("--application: missing; name the application"))
	}
	in, err := c.open(ctx, w)
	if err != nil {
		return err
	}
	defer in.close()
	err = in.revokeKey(ctx, c.Application, c.ID)
	if errors.Is(err, workflow.ErrNotFound) {
		return fmt.Errorf("%s: there is no such active key; see resetflow keys list", c.ID)
	}
	if err != nil {
		return because(err)
	}
	_, err = fmt.Fprintf(w.stdout, "revoked %s; every node refuses it within two seconds\n", c.ID)
	return err
}
