"""The host itself: systemd timers for backup, sync and drill, and mail when one of them fails."""
