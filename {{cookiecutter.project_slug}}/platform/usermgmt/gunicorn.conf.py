"""How gunicorn runs in the container: two processes with threads fit 512 MiB and survive a stuck one."""

import logging

from usermgmt.inside import SOCKET

bind = ["0.0.0.0:8080", f"unix:{SOCKET}"]
# Of the socket: for this user alone.
umask = 0o177
workers = 2
worker_class = "gthread"
threads = 4
timeout = 60
graceful_timeout = 20
keepalive = 5
# The root file system is read-only; the heartbeat file must be in memory anyway.
worker_tmp_dir = "/dev/shm"  # noqa: S108 - the container's own
control_socket_disable = True
# nginx logs each request; here the audit log and the errors are of interest.
accesslog = None
errorlog = "-"
loglevel = "info"
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {
        "stdout": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stdout"}
    },
    "root": {"level": logging.WARNING, "handlers": ["stdout"]},
    "loggers": {
        "usermgmt": {"level": logging.INFO, "handlers": ["stdout"], "propagate": False},
        "gunicorn.error": {"level": logging.INFO, "handlers": ["stdout"], "propagate": False},
    },
}
