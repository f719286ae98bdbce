// Runs the Worker in Cloudflare's runtime with the bindings of one JSON object on the command line:
// {port, date, folder, variables, spool, alarms}. What its send_email binding was given is in files, named in the log.
import { Log, LogLevel, Miniflare } from "miniflare";

const { port, date, folder, variables, spool, alarms } = JSON.parse(process.argv[2]);
const miniflare = new Miniflare({
  modules: ["harness.js", "routing.js", "worker.js"].map((path) => ({ type: "ESModule", path })),
  compatibilityDate: date,
  bindings: variables,
  host: "127.0.0.1",
  port,
  cf: false,
  log: new Log(LogLevel.INFO),
  ...(spool && { r2Buckets: ["SPOOL"], r2Persist: `${folder}/r2` }),
  ...(alarms && {
    kvNamespaces: ["STATE"],
    kvPersist: `${folder}/kv`,
    email: { send_email: [{ name: "ALARM", destination_address: variables.ALARM_TO }] },
  }),
});
await miniflare.ready;
