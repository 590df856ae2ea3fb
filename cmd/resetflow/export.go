package main

import (
	"context"

	"github.com/resetflow/resetflow/config"
)

type exportCommand struct {
	target
	Application string `short:"a" required:"" placeholder:"SLUG" help:"The application to print."`
}

// Run prints the application on stdout, alone.
func (c exportCommand) Run(ctx context.Context, w *world) error {
	in, err := c.open(ctx, w)
	if err != nil {
		return err
	}
	defer in.close()
	app, err := in.application(ctx, c.Application)
	if err != nil {
		return because(notFound(c.Application, err))
	}
	body, err := config.WriteApplication(app, policies())
	if err != nil {
		return err
	}
	_, err = w.stdout.Write(body)
	return err
}
