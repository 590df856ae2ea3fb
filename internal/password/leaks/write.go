package leaks

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"
)

// writer writes a filter from values in order, with next to nothing in memory:
// index and data grow at the same time, each at its place in the file.
type writer struct {
	layout
	file        *os.File
	index, data *bufio.Writer
	bits        bitWriter
	next        uint64 // the first bucket whose beginning is not written yet
	last        uint64 // the value written last
	low         uint64 // its place in its bucket
}

func newWriter(file *os.File, l layout) *writer {
	w := &writer{layout: l, file: file}
	w.index = bufio.NewWriterSize(io.NewOffsetWriter(file, headerBytes), 1<<16)
	w.data = bufio.NewWriterSize(io.NewOffsetWriter(file, headerBytes+l.indexBytes()), 1<<16)
	w.bits.to = w.data
	return w
}

// add writes the next of the sums, which come in order; two that are one value
// are written once.
func (w *writer) add(sum uint64) error {
	value := w.value(sum)
	if w.count > 0 && value == w.last {
		return nil
	}
	bucket, low := w.split(value)
	if bucket >= w.next {
		if err := w.begin(bucket + 1); err != nil {
			return err
		}
		w.low = 0
	}
	w.bits.rice(low-w.low, w.coded)
	w.last, w.low = value, low
	w.count++
	return w.bits.err
}

// begin writes where the buckets before end begin: here.
func (w *writer) begin(end uint64) error {
	var place [8]byte
	binary.LittleEndian.PutUint64(place[:], w.bits.written)
	for ; w.next < end; w.next++ {
		if _, err := w.index.Write(place[:]); err != nil {
			return err
		}
	}
	return nil
}

// finish writes what is left and, last of all, the header: a file without one
// is no filter.
func (w *writer) finish() error {
	if err := w.begin(w.buckets() + 1); err != nil {
		return err
	}
	w.dataBits = w.bits.written
	w.bits.flush()
	if w.bits.err != nil {
		return w.bits.err
	}
	for _, b := range []*bufio.Writer{w.index, w.data} {
		if err := b.Flush(); err != nil {
			return err
		}
	}
	if _, err := w.file.WriteAt(w.header(), 0); err != nil {
		return err
	}
	if err := w.file.Truncate(w.size()); err != nil {
		return err
	}
	return w.file.Sync()
}

// bitWriter writes bits from the most significant one.
type bitWriter struct {
	to      *bufio.Writer
	held    byte
	n       uint8
	written uint64
	err     error
}

func (b *bitWriter) bit(v uint64) {
	b.held = b.held<<1 | byte(v&1)
	b.n++
	b.written++
	if b.n == 8 {
		if err := b.to.WriteByte(b.held); err != nil {
			b.err = err
		}
		b.held, b.n = 0, 0
	}
}

func (b *bitWriter) rice(v uint64, coded uint8) {
	for range v >> coded {
		b.bit(1)
	}
	b.bit(0)
	for i := int(coded) - 1; i >= 0; i-- {
		b.bit(v >> i)
	}
}

// flush fills the last byte with zeros.
func (b *bitWriter) flush() {
	for written := b.written; b.n != 0; b.written = written {
		b.bit(0)
	}
}
