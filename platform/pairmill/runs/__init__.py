"""Where a run lives: storage, run record, stages and their manifests, lease, events, progress."""
