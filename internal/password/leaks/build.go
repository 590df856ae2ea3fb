package leaks

import (
	"bufio"
	"bytes"
	"container/heap"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// BuildOptions say how to read a list.
type BuildOptions struct {
	Plain    bool                // lines are passwords, not "SHA-1 in hex:how often"
	Normal   func(string) string // the form of a plain password that is hashed; nil leaves it
	MinCount uint64              // leaves out hashes seen less often; 0 takes all
	Progress Progress            // told now and then
	Chunk    int                 // sums sorted in memory at a time; 0 is 4 Mi (32 MiB)
}

// Progress is told how far a stage is: bytes read, of an unknown total (0), or
// values written.
type Progress func(stage Stage, n, total int64)

// Stage is what a build is doing.
type Stage string

// The stages: the list is read and sorted in pieces, then the pieces are merged.
const (
	StageRead  Stage = "reading"
	StageWrite Stage = "writing"
)

// Built is what came of a list.
type Built struct {
	Read  int64  // lines with a hash or password
	Taken int64  // of them, those frequent enough
	Kept  uint64 // different values in the filter
	Bytes int64  // of the filter
}

// LineError is a line that cannot be read. It holds none of the line.
type LineError struct {
	Line   int64
	Reason string
}

func (e *LineError) Error() string { return strconv.FormatInt(e.Line, 10) + ": " + e.Reason }

const (
	defaultChunk = 4 << 20
	maxLine      = 64 << 10
	tick         = 1 << 16 // lines between two looks at the context
)

// Build writes the filter of a list to out. Memory stays flat whatever the
// list's length: sums are sorted in pieces on disk (8 bytes each, beside out)
// and merged. out appears whole or not at all; a build that is stopped leaves
// an existing one as it was, and can be started again.
func Build(ctx context.Context, list io.Reader, out string, o BuildOptions) (b Built, err error) {
	if o.Chunk <= 0 {
		o.Chunk = defaultChunk
	}
	if o.Progress == nil {
		o.Progress = func(Stage, int64, int64) {}
	}
	runs, err := os.Create(filepath.Clean(out + ".runs")) // what a killed build left is overwritten
	if err != nil {
		return b, err
	}
	defer func() { _, _ = runs.Close(), os.Remove(runs.Name()) }()
	s := sorter{file: runs, out: bufio.NewWriterSize(runs, 1<<16), chunk: make([]uint64, 0, o.Chunk)}
	if err := readList(ctx, list, o, &b, s.add); err != nil {
		return b, err
	}
	if err := s.flush(); err != nil {
		return b, err
	}
	if b.Taken == 0 {
		return b, errors.New("the list holds nothing to keep")
	}

	part, err := os.Create(filepath.Clean(out + ".part"))
	if err != nil {
		return b, err
	}
	defer func() { _, _ = part.Close(), os.Remove(part.Name()) }()
	w := newWriter(part, layoutFor(uint64(b.Taken)))
	var n int64
	err = s.merge(func(sum uint64) error {
		if n++; n%tick == 0 {
			o.Progress(StageWrite, n, b.Taken)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		return w.add(sum)
	})
	if err != nil {
		return b, err
	}
	if err := w.finish(); err != nil {
		return b, err
	}
	b.Kept, b.Bytes = w.count, w.size()
	return b, os.Rename(part.Name(), out)
}

// readList parses the lines of a list.
func readList(ctx context.Context, list io.Reader, o BuildOptions, b *Built, take func(uint64) error) error {
	lines := bufio.NewScanner(list)
	lines.Buffer(make([]byte, maxLine), maxLine)
	var at, bytesRead int64
	for lines.Scan() {
		at++
		line := lines.Bytes()
		bytesRead += int64(len(line)) + 1
		if at%tick == 0 {
			o.Progress(StageRead, bytesRead, 0)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if line = bytes.TrimSuffix(line, []byte{'\r'}); len(line) == 0 {
			continue
		}
		b.Read++
		if o.Plain {
			text := string(line)
			if o.Normal != nil {
				text = o.Normal(text)
			}
			b.Taken++
			if err := take(sumOf(text)); err != nil {
				return err
			}
			continue
		}
		sum, count, reason := parseLine(line)
		if reason != "" {
			return &LineError{at, reason}
		}
		if count < o.MinCount {
			continue
		}
		b.Taken++
		if err := take(sum); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return &LineError{at + 1, "longer than 64 KiB; this is no list of hashes or passwords"}
	}
	return lines.Err()
}

// parseLine reads "40 hex digits" or "40 hex digits:count".
func parseLine(line []byte) (sum, count uint64, reason string) {
	digest, often, counted := bytes.Cut(line, []byte{':'})
	var raw [20]byte
	if len(digest) != 40 {
		return 0, 0, "not a SHA-1 of 40 hex digits, alone or with :COUNT; use --plain for a list of passwords"
	}
	if _, err := hex.Decode(raw[:], digest); err != nil {
		return 0, 0, "not a SHA-1 of 40 hex digits"
	}
	count = 1
	if counted {
		n, err := strconv.ParseUint(string(bytes.TrimSpace(often)), 10, 64)
		if err != nil {
			return 0, 0, "the count behind the colon is not a number"
		}
		count = n
	}
	return binary.BigEndian.Uint64(raw[:]), count, ""
}

// sorter sorts more than fits into memory: pieces are sorted and written one
// behind the other, and merged.
type sorter struct {
	file   *os.File
	out    *bufio.Writer
	chunk  []uint64
	pieces []int64 // how many sums each has
}

func (s *sorter) add(sum uint64) error {
	s.chunk = append(s.chunk, sum)
	if len(s.chunk) < cap(s.chunk) {
		return nil
	}
	return s.flush()
}

func (s *sorter) flush() error {
	slices.Sort(s.chunk)
	var b [8]byte
	for _, sum := range s.chunk {
		binary.BigEndian.PutUint64(b[:], sum)
		if _, err := s.out.Write(b[:]); err != nil {
			return err
		}
	}
	if len(s.chunk) > 0 {
		s.pieces = append(s.pieces, int64(len(s.chunk)))
	}
	s.chunk = s.chunk[:0]
	return s.out.Flush()
}

// merge calls take with every sum in order.
func (s *sorter) merge(take func(uint64) error) error {
	s.chunk = nil
	var h pieces
	var offset int64
	for _, n := range s.pieces {
		p := &piece{from: bufio.NewReaderSize(io.NewSectionReader(s.file, offset, n*8), 1<<15), left: n}
		offset += n * 8
		if _, err := p.advance(); err != nil {
			return err
		}
		h = append(h, p)
	}
	heap.Init(&h)
	for len(h) > 0 {
		if err := take(h[0].head); err != nil {
			return err
		}
		more, err := h[0].advance()
		switch {
		case err != nil:
			return err
		case more:
			heap.Fix(&h, 0)
		default:
			heap.Pop(&h)
		}
	}
	return nil
}

// piece is a sorted piece being read.
type piece struct {
	from *bufio.Reader
	left int64
	head uint64
}

func (p *piece) advance() (bool, error) {
	if p.left == 0 {
		return false, nil
	}
	var b [8]byte
	if _, err := io.ReadFull(p.from, b[:]); err != nil {
		return false, fmt.Errorf("what was sorted cannot be read again: %w", err)
	}
	p.left--
	p.head = binary.BigEndian.Uint64(b[:])
	return true, nil
}

// pieces is a heap by head.
type pieces []*piece

func (h pieces) Len() int           { return len(h) }
func (h pieces) Less(i, j int) bool { return h[i].head < h[j].head }
func (h pieces) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is heap.Interface's; nothing is pushed.
func (h *pieces) Push(any) {}

// Pop is heap.Interface's.
func (h *pieces) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
