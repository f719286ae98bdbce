# The Email Worker as Cloudflare runs it, and beside it the mail server of Email Routing (harness.js). Both are one
# service, so that what the Worker does is seen at once and in order.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "routing", worker = (
      modules = [
        (name = "harness.js", esModule = embed "harness.js"),
        (name = "worker.js", esModule = embed "worker.js"),
      ],
      compatibilityDate = "COMPATIBILITY_DATE",
      bindings = [
        (name = "API_URL", fromEnvironment = "API_URL"),
        (name = "API_TOKEN", fromEnvironment = "API_TOKEN"),
      ],
      globalOutbound = "machine",
    )),
    # Only this machine: a test never reaches the internet.
    (name = "machine", network = (allow = ["private"])),
  ],
  sockets = [(name = "smtp", address = "127.0.0.1:PORT", http = (), service = "routing")],
);
