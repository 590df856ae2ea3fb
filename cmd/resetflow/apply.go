package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/resetflow/resetflow/config"
	"github.com/resetflow/resetflow/workflow"
)

type applyCommand struct {
	target
	File   string `short:"f" required:"" placeholder:"FILE" help:"YAML file or folder of applications; - reads standard input."`
	DryRun bool   `help:"Print what would change and change nothing."`
}

// Run reads everything before it writes anything: a mistake in the last file
// must not leave half of them applied.
func (c applyCommand) Run(ctx context.Context, w *world) error {
	apps, err := config.ReadApplications(c.File, w.stdin, policies())
	if err != nil {
		return wrongUsage(err)
	}
	in, err := c.open(ctx, w)
	if err != nil {
		return err
	}
	defer in.close()
	for _, app := range apps {
		if err := c.one(ctx, w.stdout, in, app); err != nil {
			return fmt.Errorf("%s: %w", app.Slug, because(err))
		}
	}
	return nil
}

func (c applyCommand) one(ctx context.Context, out io.Writer, in installation, app workflow.Application) error {
	old, err := in.application(ctx, app.Slug)
	if errors.Is(err, workflow.ErrNotFound) {
		// What is new is shown against the defaults: the rest goes without saying.
		empty := workflow.DefaultApplication(app.Slug)
		empty.Name = app.Slug
		return c.change(out, empty, app, "created", func() error { return in.create(ctx, app) })
	}
	if err != nil {
		return err
	}
	return c.change(out, old, app, "changed", func() error { return in.update(ctx, old, app) })
}

func (c applyCommand) change(out io.Writer, old, app workflow.Application, word string, save func() error) error {
	changes, err := config.Differences(old, app, policies())
	if err != nil {
		return err
	}
	if len(changes) == 0 && word == "changed" {
		_, err = fmt.Fprintf(out, "%s: unchanged\n", app.Slug)
		return err
	}
	if c.DryRun {
		word = "would be " + word
	} else if err := save(); err != nil {
		return explainSave(err)
	}
	if _, err = fmt.Fprintf(out, "%s: %s\n", app.Slug, word); err != nil {
		return err
	}
	for _, ch := range changes {
		switch {
		case ch.Old == "":
			_, err = fmt.Fprintf(out, "  + %s: %s\n", ch.Key, printable(ch.New))
		case ch.New == "":
			_, err = fmt.Fprintf(out, "  - %s: %s\n", ch.Key, printable(ch.Old))
		default:
			_, err = fmt.Fprintf(out, "  ~ %s: %s → %s\n", ch.Key, printable(ch.Old), printable(ch.New))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func explainSave(err error) error {
	switch {
	case errors.Is(err, workflow.ErrNotUnique):
		return errors.New("hosts: one of them belongs to another application; remove it here or there")
	case errors.Is(err, workflow.ErrStale):
		return errors.New("somebody else changed it at the same time; apply again")
	}
	return err
}
