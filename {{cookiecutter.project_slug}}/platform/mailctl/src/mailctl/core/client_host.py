"""Where mail programs connect to."""

from mailctl.core.context import Context

SERVICE, VARIABLE = "usermgmt", "CLIENT_HOST"


def client_host(context: Context) -> str:
    """The host name that usermgmt tells mail programs, by docker-compose.yml; "" where none may come."""
    import yaml

    try:
        compose = yaml.safe_load((context.repo / "docker-compose.yml").read_text("utf-8"))
        return str(compose["services"][SERVICE]["environment"].get(VARIABLE, ""))
    except (yaml.YAMLError, LookupError, TypeError, AttributeError, OSError):
        return ""
