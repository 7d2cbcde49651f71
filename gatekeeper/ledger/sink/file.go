package sink

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/wholefile"
)

// File appends lines to a file. It opens the file by its name for each batch,
// so that logrotate may move it away or cut it at any time, and a batch is
// delivered when fsync(2) says so.
type File struct{ Path string }

// Send implements Out.
func (f File) Send(_ context.Context, batch []ledger.Record) error {
	_, missing := os.Stat(f.Path)
	file, err := os.OpenFile(f.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o640) //nolint:gosec // a shipper of its group may read it
	if err != nil {
		return err
	}
	err = dropTorn(file)
	if err == nil {
		_, err = file.Write(lines(batch))
	}
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if missing != nil {
		return wholefile.SyncName(f.Path)
	}
	return nil
}

// dropTorn cuts the unfinished line that a crash left: its record was not
// delivered and comes again whole.
func dropTorn(file *os.File) error {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil || end == 0 {
		return err
	}
	for at := end; ; {
		chunk := make([]byte, min(at, 64<<10))
		at -= int64(len(chunk))
		if _, err := file.ReadAt(chunk, at); err != nil {
			return err
		}
		if i := bytes.LastIndexByte(chunk, '\n'); i >= 0 || at == 0 {
			if whole := at + int64(i) + 1; whole < end {
				return file.Truncate(whole)
			}
			return nil
		}
	}
}

func lines(batch []ledger.Record) []byte {
	var b bytes.Buffer
	for _, r := range batch {
		b.Write(r.Line)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// Writer writes lines to where somebody else takes care of them, e.g. standard
// output in a container.
type Writer struct{ W io.Writer }

// Send implements Out.
func (w Writer) Send(_ context.Context, batch []ledger.Record) error {
	_, err := w.W.Write(lines(batch))
	return err
}
