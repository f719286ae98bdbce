"""Is mail flowing? Asked every minute; what stops it becomes one alarm, and one all-clear afterwards."""
