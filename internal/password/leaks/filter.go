package leaks

import (
	"crypto/sha1" // #nosec G505 -- the lists of leaked passwords are made with it
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"os"
)

// The form of a filter file, all numbers little-endian:
//
//	0   8  magic
//	8   8  how many values
//	16  1  width of a value: the first bits of a SHA-1
//	17  1  width of a bucket's number: the first bits of a value
//	18  1  width of the coded rest of a distance
//	24  8  length of the data in bits
//	60  4  CRC-32 (IEEE) of the 60 bytes before
//	64     where each bucket begins in the data, in bits, 8 bytes each, and where the last ends
//	…      the data: for each bucket the distances between its values in order,
//	       Golomb-Rice coded: the quotient as ones, a zero, then the rest
const (
	headerBytes = 64
	restBits    = 20  // a value has 20 bits more than their number: one wrong yes in 2^20
	bucketSize  = 128 // values, about
	maxBucket   = 1 << 20
)

var magic = [8]byte{'r', 'f', 'l', 'e', 'a', 'k', 's', 1}

// ErrFilter says that a file is not a filter, or not a whole one.
var ErrFilter = errors.New("not a whole filter of leaked passwords; make it with: resetflow breached build")

// layout is what a header says.
type layout struct {
	count                uint64
	width, bucket, coded uint8
	dataBits             uint64
}

// layoutFor plans a filter of at most n values.
func layoutFor(n uint64) layout {
	size := uint8(bits.Len64(max(n, 1) - 1)) // 2^size >= n
	l := layout{width: min(size+restBits, 64), coded: restBits}
	if buckets := bits.Len64(n / bucketSize); buckets > 1 {
		l.bucket = uint8(buckets - 1)
	}
	return l
}

func (l layout) buckets() uint64 { return 1 << l.bucket }

func (l layout) indexBytes() int64 { return int64(l.buckets()+1) * 8 }

func (l layout) size() int64 { return headerBytes + l.indexBytes() + int64((l.dataBits+7)/8) }

// value shortens the first 64 bits of a SHA-1.
func (l layout) value(sum uint64) uint64 { return sum >> (64 - l.width) }

// split is a value's bucket and what is left of it there.
func (l layout) split(value uint64) (bucket, low uint64) {
	rest := l.width - l.bucket
	return value >> rest, value & (1<<rest - 1)
}

func (l layout) header() []byte {
	b := make([]byte, headerBytes)
	copy(b, magic[:])
	binary.LittleEndian.PutUint64(b[8:], l.count)
	b[16], b[17], b[18] = l.width, l.bucket, l.coded
	binary.LittleEndian.PutUint64(b[24:], l.dataBits)
	binary.LittleEndian.PutUint32(b[60:], crc32.ChecksumIEEE(b[:60]))
	return b
}

func readLayout(b []byte) (layout, bool) {
	if len(b) != headerBytes || [8]byte(b[:8]) != magic || binary.LittleEndian.Uint32(b[60:]) != crc32.ChecksumIEEE(b[:60]) {
		return layout{}, false
	}
	l := layout{binary.LittleEndian.Uint64(b[8:]), b[16], b[17], b[18], binary.LittleEndian.Uint64(b[24:])}
	ok := l.width >= 1 && l.width <= 64 && l.bucket <= 40 && l.bucket < l.width && l.coded <= 40 && l.dataBits < 1<<50
	return l, ok
}

// Filter answers from a file that [Build] made. It is safe for concurrent use
// and keeps next to nothing in memory.
type Filter struct {
	layout
	file *os.File
}

// Open opens a filter. A file that is cut short or something else is [ErrFilter].
func Open(path string) (*Filter, error) {
	f, err := os.Open(path) // #nosec G304 -- the operator's own file
	if err != nil {
		return nil, err
	}
	head := make([]byte, headerBytes)
	info, err := f.Stat()
	if err == nil {
		_, err = f.ReadAt(head, 0)
	}
	l, ok := readLayout(head)
	if err != nil || !ok || info.Size() != l.size() {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, ErrFilter)
	}
	return &Filter{l, f}, nil
}

// Close closes the file.
func (f *Filter) Close() error { return f.file.Close() }

// Len is how many values the filter holds.
func (f *Filter) Len() uint64 { return f.count }

// Has reports whether a password (in its normal form) is on the list.
func (f *Filter) Has(password string) (bool, error) { return f.has(sumOf(password)) }

// sumOf is the first 64 bits of a password's SHA-1.
func sumOf(password string) uint64 {
	sum := sha1.Sum([]byte(password)) // #nosec G401 -- see above
	return binary.BigEndian.Uint64(sum[:])
}

func (f *Filter) has(sum uint64) (bool, error) {
	bucket, low := f.split(f.value(sum))
	var place [16]byte
	if _, err := f.file.ReadAt(place[:], headerBytes+int64(bucket)*8); err != nil {
		return false, fmt.Errorf("leaks: index: %w", err)
	}
	from, to := binary.LittleEndian.Uint64(place[:]), binary.LittleEndian.Uint64(place[8:])
	if from > to || to > f.dataBits || to-from > maxBucket*64 {
		return false, fmt.Errorf("leaks: index: %w", ErrFilter)
	}
	data := make([]byte, (to+7)/8-from/8)
	if _, err := f.file.ReadAt(data, headerBytes+f.indexBytes()+int64(from/8)); err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("leaks: data: %w", err)
	}
	r := bitReader{data: data, at: from % 8, end: from%8 + to - from}
	for value := uint64(0); r.at < r.end; {
		distance, ok := r.rice(f.coded)
		if !ok {
			return false, fmt.Errorf("leaks: data: %w", ErrFilter)
		}
		if value += distance; value >= low {
			return value == low, nil
		}
	}
	return false, nil
}

// bitReader reads bits from the most significant one.
type bitReader struct {
	data    []byte
	at, end uint64
}

func (r *bitReader) bit() uint64 {
	b := uint64(r.data[r.at/8]>>(7-r.at%8)) & 1
	r.at++
	return b
}

func (r *bitReader) rice(coded uint8) (v uint64, ok bool) {
	for {
		if r.at >= r.end {
			return 0, false
		}
		if r.bit() == 0 {
			break
		}
		v++
	}
	if r.end-r.at < uint64(coded) {
		return 0, false
	}
	for range coded {
		v = v<<1 | r.bit()
	}
	return v, true
}
