package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/resetflow/resetflow/config"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/secret"
	"github.com/resetflow/resetflow/storage"
)

type auditCommand struct {
	Verify verifyAuditCommand `cmd:"" help:"Check that no audit row was changed, removed or inserted since it was sealed."`
	Export exportAuditCommand `cmd:"" help:"Print the audit rows of an application."`
}

type verifyAuditCommand struct {
	configFlag
	Application  string  `short:"a" xor:"which" placeholder:"SLUG" help:"The application; left out: all of them, and the installation."`
	Installation bool    `xor:"which" help:"The installation's own rows alone."`
	Head         string  `placeholder:"NUMBER:HASH" help:"A head that was printed before: the chain must still lead through it."`
	RetiredKeys  string  `placeholder:"FILE" help:"File with keys that are no longer in secret_keys, written like it, for rows sealed with them."`
	Accept       []int64 `placeholder:"NUMBER" help:"A row that tells of a resumed chain, and whose reason is known."`
}

// sealPatience is how long a row may wait to be sealed before somebody is told.
const sealPatience = 10 * time.Second

// Run walks the chains. A fault is exit code 1.
func (c verifyAuditCommand) Run(ctx context.Context, w *world) error {
	o := storage.VerifyOptions{Accepted: c.Accept}
	if c.Head != "" {
		var ok bool
		if o.Since, ok = storage.ParseAuditHead(c.Head); !ok {
			return wrongUsage(errors.New("--head: is not a number and a hash with a colon between, as verify and export print them"))
		}
		if c.Application == "" && !c.Installation {
			return wrongUsage(errors.New("--head: belongs to one chain; name it with --application, or say --installation"))
		}
	}
	l, err := c.load(w)
	if err != nil {
		return err
	}
	keys, err := c.keyring(l.Config)
	if err != nil {
		return err
	}
	db, store, err := openAudit(ctx, l.Config)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	chain := storage.NewAuditChain(store, keys)
	chains := []string{c.Application}
	if c.Application == "" && !c.Installation {
		if chains, err = chain.AuditApplications(ctx); err != nil {
			return err
		}
	}
	broken := false
	for _, application := range chains {
		r, err := chain.Verify(ctx, application, o)
		if err != nil {
			return err
		}
		printAuditReport(w, r)
		broken = broken || r.Fault != nil
	}
	if broken {
		return told{}
	}
	return nil
}

// keyring holds the configured keys and, behind them, those that were.
func (c verifyAuditCommand) keyring(conf config.Config) (*secret.Keyring, error) {
	if conf.SecretKeys == nil {
		return nil, wrongUsage(errors.New("secret_keys: missing; the rows were sealed with them, and cannot be checked without"))
	}
	keys := conf.SecretKeys
	if c.RetiredKeys != "" {
		text, err := os.ReadFile(c.RetiredKeys)
		if err != nil {
			return nil, wrongUsage(fmt.Errorf("--retired-keys: %s: cannot be read; name a file with keys", c.RetiredKeys))
		}
		retired, err := secret.ParseKeys(string(text))
		if err != nil {
			return nil, wrongUsage(fmt.Errorf("--retired-keys: %s", strings.TrimPrefix(err.Error(), "secret_keys: ")))
		}
		keys = append(append([][]byte{}, keys...), retired...)
	}
	r, err := secret.NewKeyring(keys...)
	if err != nil {
		return nil, wrongUsage(named("secret_keys", err))
	}
	return r, nil
}

// printAuditReport says on stdout what was checked, and on stderr what is wrong.
func printAuditReport(w *world, r storage.AuditReport) {
	name := chainName(r.Application)
	pruned := ""
	if r.Pruned > 0 {
		pruned = fmt.Sprintf(" (rows up to %d pruned)", r.Pruned)
	}
	fmt.Fprintf(w.stdout, "%s: %d rows checked%s, head %s\n", name, r.Checked, pruned, r.Head)
	if r.Unsealed > 0 {
		fmt.Fprintf(w.stdout, "%s: %d rows not sealed yet\n", name, r.Unsealed)
		if since := time.Since(r.OldestUnsealed); since > sealPatience {
			fmt.Fprintf(w.stderr, "resetflow: warning: %s: the oldest unsealed row is from %s; rows are sealed while the service runs\n", name, r.OldestUnsealed.Format(time.RFC3339))
		}
	}
	if r.Fault != nil {
		fmt.Fprintf(w.stderr, "resetflow: %s: %s\n", name, printable(r.Fault.Text))
	}
}

func chainName(application string) string {
	if application == "" {
		return "(installation)"
	}
	return printable(application)
}

func openAudit(ctx context.Context, c config.Config) (*database.DB, *storage.Store, error) {
	db, err := openDatabase(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	if err := migrated(ctx, db, c); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, storage.New(db, noQueue{}, systemClock{}), nil
}

// sealEvery is how long an audit row stays plain at most while all is well.
const sealEvery = time.Second

// seal seals what was written since, and goes on behind a trouble by itself.
// Only the first failure of a row of them is logged.
func (s *service) seal(ctx context.Context) {
	failing := false
	every(ctx, sealEvery, func(ctx context.Context) {
		for {
			_, more, err := s.chain.Seal(ctx)
			if err != nil && ctx.Err() == nil && !failing {
				s.log.Error("sealing audit rows failed; it is tried again every second", "error", err)
			}
			if failing = err != nil; failing || !more {
				return
			}
		}
	})
}

// pruneAudit deletes sealed audit rows that retention says are old.
func (s *service) pruneAudit(ctx context.Context) {
	every(ctx, pruneEvery, func(ctx context.Context) {
		before := systemClock{}.Now().Add(-s.config.Retention.Audit)
		for {
			n, err := s.chain.Prune(ctx, before, pruneBatch)
			if err != nil && ctx.Err() == nil {
				s.log.Error("pruning audit rows failed; it is tried again in an hour", "error", err)
			}
			if err != nil || n == 0 {
				return
			}
		}
	})
}
