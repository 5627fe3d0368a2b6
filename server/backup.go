package server

import "github.com/valyala/fasthttp"

// getBackup answers with a backup of the database, taken while it works. Its last entry is the manifest; an archive
// without one is cut short.
func (s *Server) getBackup(c *call) error {
	h := &c.ctx.Response.Header
	h.SetContentType("application/x-tar")
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	s.stream(c, func(w *streamWriter) error {
		m, err := s.engine.Backup(w)
		if err != nil {
			s.options.Log.Error("backup failed", "error", err)
			return err
		}
		s.options.Log.Info("backup taken", "sequence", m.Sequence, "digest", m.Digest)
		return nil
	})
	return nil
}
