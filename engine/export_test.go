package engine

// WatchDisk looks at the free space now, as the engine does every two seconds.
func (e *Engine) WatchDisk() { e.watchDisk() }
