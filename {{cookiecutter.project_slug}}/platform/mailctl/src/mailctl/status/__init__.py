"""How the server is: services, disks, backups, certificates."""
