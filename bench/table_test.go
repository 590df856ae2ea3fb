package bench

import (
	"fmt"
	"io"
	"time"
)

// show writes a duration in ms with a sensible number of digits.
func show(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("%.2f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func each(r resets, d time.Duration) string {
	return fmt.Sprintf("%.2f ms", r.each(float64(d)/float64(time.Millisecond)))
}

// table prints both databases side by side, each value beside the figure to reach.
func table(w io.Writer, pg, lite measured) {
	row := func(what, reachPG, reachLite string, value func(m measured) string) {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", what, value(pg), reachPG, value(lite), reachLite)
	}
	fmt.Fprintf(w, "| | PostgreSQL | to reach | SQLite | to reach |\n|---|---|---|---|---|\n")
	for _, flow := range flowNames {
		one := "one full reset by `" + flow + "`, at 16 clients: "
		row(one+"HTTP requests", "2", "2", func(measured) string { return "2" })
		row(one+"SQL statements, without begin and commit", "≤ 20, goal 14", "", func(m measured) string { return fmt.Sprintf("%.1f", m.counted[flow].statements) })
		row(one+"write transactions", "≤ 8, goal 6", "", func(m measured) string {
			if m.postgres {
				return fmt.Sprintf("%.2f", m.cheap[flow].each(float64(m.cheap[flow].use.writes)))
			}
			return fmt.Sprintf("%.2f", m.counted[flow].writes)
		})
		row(one+"bytes of write-ahead log (SQLite: written to disk)", "", "", func(m measured) string {
			if m.postgres {
				return fmt.Sprintf("%.0f", m.cheap[flow].each(float64(m.cheap[flow].use.wal)))
			}
			return fmt.Sprintf("%.0f", m.cheap[flow].each(float64(m.cheap[flow].use.disk)))
		})
		row(one+"processor time, service + database", "≤ 3 ms", "", func(m measured) string {
			r := m.cheap[flow]
			if m.postgres {
				return each(r, r.use.service) + " + " + each(r, r.use.database) + " = " + each(r, r.use.service+r.use.database)
			}
			return each(r, r.use.service)
		})
		row("full resets/s by `"+flow+"`, cheapest hash, both mails", "≥ 400", "≥ 150", func(m measured) string { return fmt.Sprintf("%.0f", m.cheap[flow].rate()) })
		row("… from the request to the answer of the reset, median / p99", "", "", func(m measured) string {
			return show(m.cheap[flow].single.at(0.5)) + " / " + show(m.cheap[flow].single.at(0.99))
		})
		row("full resets/s by `"+flow+"`, default hash (argon2id, 19 MiB, 2 passes)", "", "", func(m measured) string { return fmt.Sprintf("%.0f", m.standard[flow].rate()) })
	}
	row("request steps/s, known and unknown in turns", "≥ 2,500", "≥ 500", func(m measured) string { return fmt.Sprintf("%.0f", float64(len(m.asks))/m.asked.Seconds()) })
	row("… median / p99", "", "", func(m measured) string { return show(m.asks.at(0.5)) + " / " + show(m.asks.at(0.99)) })
	for _, flow := range flowNames {
		row("accepted request to mail handed over, idle, `"+flow+"`, median / p95", "< 100 ms", "< 100 ms", func(m measured) string {
			return show(m.idle[flow].at(0.5)) + " / " + show(m.idle[flow].at(0.95))
		})
	}
	for _, flow := range flowNames {
		row("known slower than unknown, `"+flow+"`, share of pairs (99.9 % interval)", "inside", "inside", func(m measured) string { return m.pairs[flow].real.String() })
		row("… medians, known / unknown", "", "", func(m measured) string {
			return show(m.pairs[flow].known.at(0.5)) + " / " + show(m.pairs[flow].unknown.at(0.5))
		})
		row("… control: 1 ms planted on the known side", "outside", "outside", func(m measured) string { return m.pairs[flow].control.String() })
	}
	row("memory at rest", "< 40 MB", "< 40 MB", func(m measured) string { return fmt.Sprintf("%.0f MB", m.rest) })
	row("memory at the peak of the loads / after them", "", "", func(m measured) string { return fmt.Sprintf("%.0f / %.0f MB", m.peak, m.rested) })
	row("start to ready", "", "< 150 ms", func(m measured) string { return show(m.ready) })
}
