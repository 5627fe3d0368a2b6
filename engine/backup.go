package engine

import (
	"archive/tar"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"time"

	"onhand/engine/internal/journal"
)

// A backup is a tar archive: a checkpoint, the journal after it in parts, and last a manifest that says which state the
// two lead to. It is taken while writers go on, and it is of the state at the manifest's sequence; the journal may go a
// few changes further.
//
//	checkpoint       the checkpoint file
//	journal-000000   blocks, each after its length (u32 LE)
//	journal-000001   …
//	manifest.json    BackupManifest
const (
	backupCheckpoint = "checkpoint"
	backupJournal    = "journal-%06d"
	backupManifest   = "manifest.json"
	backupFormat     = 1
	backupPartBytes  = 8 << 20
)

// BackupManifest says what a backup holds.
type BackupManifest struct {
	Format   int       `json:"format"`
	Created  time.Time `json:"created"` // engine time
	Start    uint64    `json:"checkpoint_start"`
	Sequence uint64    `json:"sequence"`
	Digest   string    `json:"digest"` // of the state at Sequence, 16 hexadecimal digits
}

// Backup writes a backup to w. Checkpoints and trimming wait for it; writers and readers do not.
func (e *Engine) Backup(w io.Writer) (*BackupManifest, error) {
	e.checkpoint.mu.Lock()
	defer e.checkpoint.mu.Unlock()
	last, err := e.checkpointLocked()
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	// Where backups are frequent and changes few, no other checkpoint comes that would do it.
	if err := e.removeOldCheckpoints(); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	sequence, digest := e.Digest()
	if err := e.settle(sequence); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	m := &BackupManifest{
		Format: backupFormat, Created: e.Now(), Start: last.Start, Sequence: sequence, Digest: fmt.Sprintf("%016x", digest),
	}
	out := tar.NewWriter(w)
	b := backupWriter{e: e, out: out, manifest: m}
	if err := errors.Join(b.checkpoint(), b.journal(), b.end(), out.Close()); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return m, nil
}

type backupWriter struct {
	e        *Engine
	out      *tar.Writer
	manifest *BackupManifest
	parts    int
}

func (b *backupWriter) header(name string, size int64) error {
	return b.out.WriteHeader(&tar.Header{
		Name: name, Size: size, Mode: 0o644, ModTime: b.manifest.Created.Truncate(time.Second), Format: tar.FormatPAX,
	})
}

func (b *backupWriter) checkpoint() (err error) {
	fs := b.e.options.FS
	file, err := fs.Open(fs.PathJoin(fs.PathJoin(b.e.dir, checkpointsDir), checkpointName(b.manifest.Start)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := b.header(backupCheckpoint, info.Size()); err != nil {
		return err
	}
	_, err = io.Copy(b.out, file)
	return err
}

func (b *backupWriter) journal() error {
	part := make([]byte, 0, backupPartBytes)
	flush := func() error {
		if len(part) == 0 {
			return nil
		}
		err := b.header(fmt.Sprintf(backupJournal, b.parts), int64(len(part)))
		if err == nil {
			_, err = b.out.Write(part)
		}
		b.parts++
		part = part[:0]
		return err
	}
	// From the block that holds start, so that there always is one: the next sequence follows from the last block.
	err := b.e.log.Blocks(b.manifest.Start, func(block journal.Block) error {
		if len(part)+len(block.Data) > backupPartBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		part = binary.LittleEndian.AppendUint32(part, uint32(len(block.Data)))
		part = append(part, block.Data...)
		if block.Last() >= b.manifest.Sequence {
			return journal.ErrEnough
		}
		return nil
	})
	return errors.Join(err, flush())
}

func (b *backupWriter) end() error {
	text, err := json.MarshalIndent(b.manifest, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if err := b.header(backupManifest, int64(len(text))); err != nil {
		return err
	}
	_, err = b.out.Write(text)
	return err
}

// Restore makes a database in dir, which must not exist or be empty, from a backup, and checks it from end to end.
func Restore(dir string, r io.Reader, options Options) (*BackupManifest, *CheckReport, error) {
	m, report, err := restore(dir, r, options)
	if err != nil {
		return nil, nil, fmt.Errorf("restore to %s: %w", dir, err)
	}
	return m, report, nil
}

func restore(dir string, r io.Reader, options Options) (*BackupManifest, *CheckReport, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, nil, err
	}
	fs := options.FS
	if names, err := fs.List(dir); err == nil && len(names) > 0 {
		return nil, nil, errors.New("the directory is not empty")
	} else if err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return nil, nil, err
	}
	if err := errors.Join(makeDir(fs, fs.PathJoin(dir, checkpointsDir)), makeDir(fs, fs.PathJoin(dir, journalName))); err != nil {
		return nil, nil, err
	}
	in := backupReader{options: options, dir: dir, in: tar.NewReader(r)}
	// The journal pulls its parts; what comes before and after them is read on the way.
	err = journal.Import(fs.PathJoin(dir, journalName), journal.Options{FS: fs, Fatal: options.Fatal, Log: options.Log}, in.blocks)
	if err != nil {
		return nil, nil, err
	}
	if in.manifest.Format == 0 {
		return nil, nil, fmt.Errorf("%w: the backup has no manifest; it is cut short", ErrCheckpointDamaged)
	}
	if err := writeFormat(fs, dir); err != nil {
		return nil, nil, err
	}
	mark := &checkMark{sequence: in.manifest.Sequence}
	if _, err := fmt.Sscanf(in.manifest.Digest, "%016x", &mark.digest); err != nil {
		return nil, nil, fmt.Errorf("%w: manifest: digest %q", ErrCheckpointDamaged, in.manifest.Digest)
	}
	report, err := check(dir, options, []*checkMark{mark})
	if err != nil {
		// What is there must not be taken for a database.
		return nil, nil, errors.Join(err, fs.Remove(fs.PathJoin(dir, formatName)))
	}
	return &in.manifest, report, nil
}

type backupReader struct {
	options  Options
	dir      string
	in       *tar.Reader
	start    uint64 // of the checkpoint
	manifest BackupManifest
}

// blocks reads the archive, storing the checkpoint and yielding the blocks.
func (b *backupReader) blocks(yield func(data []byte) error) error {
	checkpoint := false
	for {
		h, err := b.in.Next()
		if errors.Is(err, io.EOF) {
			if !checkpoint {
				return fmt.Errorf("%w: it is not a backup: it has no checkpoint", ErrCheckpointDamaged)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCheckpointDamaged, err)
		}
		part := 0
		switch {
		case h.Name == backupCheckpoint:
			checkpoint = true
			err = b.checkpoint()
		case h.Name == backupManifest:
			err = b.readManifest()
		case scans(h.Name, backupJournal, &part):
			err = b.part(h.Size, yield)
		default:
			err = fmt.Errorf("%w: it has an entry %q", ErrCheckpointDamaged, h.Name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

func scans(text, format string, v *int) bool {
	n, err := fmt.Sscanf(text, format, v)
	return n == 1 && err == nil
}

// checkpoint stores the checkpoint under the name that its start gives it.
func (b *backupReader) checkpoint() error {
	fs := b.options.FS
	dir := fs.PathJoin(b.dir, checkpointsDir)
	const arrived = "restored"
	err := writeFile(fs, dir, arrived, func(w io.Writer) error {
		_, err := io.Copy(w, b.in)
		return err
	})
	if err != nil {
		return err
	}
	start, err := checkpointStart(fs, fs.PathJoin(dir, arrived))
	if err != nil {
		return err
	}
	b.start = start
	if err := fs.Rename(fs.PathJoin(dir, arrived), fs.PathJoin(dir, checkpointName(start))); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

func (b *backupReader) readManifest() error {
	m := &b.manifest
	in := json.NewDecoder(io.LimitReader(b.in, 1<<16))
	in.DisallowUnknownFields()
	if err := in.Decode(m); err != nil {
		return fmt.Errorf("%w: %w", ErrCheckpointDamaged, err)
	}
	if m.Format != backupFormat {
		return fmt.Errorf("backup format %d, this program reads %d", m.Format, backupFormat)
	}
	if m.Start != b.start {
		return fmt.Errorf("%w: it is of a backup from %d, the checkpoint is of %d", ErrCheckpointDamaged, m.Start, b.start)
	}
	return nil
}

// part yields the blocks of one part of so many bytes.
func (b *backupReader) part(size int64, yield func(data []byte) error) error {
	var length [4]byte
	for {
		if _, err := io.ReadFull(b.in, length[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrCheckpointDamaged, err)
		}
		n := binary.LittleEndian.Uint32(length[:])
		if int64(n) > size {
			return fmt.Errorf("%w: a block of %d bytes", ErrCheckpointDamaged, n)
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(b.in, data); err != nil {
			return fmt.Errorf("%w: %w", ErrCheckpointDamaged, err)
		}
		if err := yield(data); err != nil {
			return err
		}
	}
}
