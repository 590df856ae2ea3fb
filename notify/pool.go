package notify

import (
	"slices"
	"sync"
	"time"
)

// The bounds of kept connections: a connection saves nine tenths of the time
// of a mail, but servers close idle ones and dislike those that never end.
const (
	maxIdle     = 8
	maxPerConn  = 100
	defaultIdle = 30 * time.Second
)

// pool keeps open connections, the last used first.
type pool struct {
	mu     sync.Mutex
	idle   []*conn
	keep   time.Duration
	closed bool
}

// take returns a kept connection, nil where there is none.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if c.idle.Stop() { // otherwise its time is over and it is being closed
			return c
		}
	}
	return nil
}

// put keeps c for the next mail, or ends it.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	if p.closed || len(p.idle) >= maxIdle || c.sent >= maxPerConn {
		p.mu.Unlock()
		go c.quit() // the message is delivered; nobody waits for the goodbye
		return
	}
	_ = c.raw.SetDeadline(time.Time{})
	c.idle = time.AfterFunc(p.keep, func() { p.expire(c) })
	p.idle = append(p.idle, c)
	p.mu.Unlock()
}

func (p *pool) expire(c *conn) {
	p.mu.Lock()
	if i := slices.Index(p.idle, c); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	p.mu.Unlock()
	c.quit()
}

// close ends every kept connection; later ones are not kept.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range idle {
		if c.idle.Stop() {
			wg.Go(c.quit)
		}
	}
	wg.Wait()
}
