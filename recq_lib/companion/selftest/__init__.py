"""An attack on the project itself: processes killed at any moment, files damaged in any way, disks that are full. `recq selftest`."""
