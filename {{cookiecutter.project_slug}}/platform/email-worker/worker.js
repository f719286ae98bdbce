// Email Worker: hands each incoming mail to mailserver-api and tells the sender's server the result.
//
// Cloudflare calls `email` once for each recipient, while the sender's server waits. There are three ways out:
//   return       the mail is in Postfix's queue, on disk, or in the spool here
//   setReject    a permanent refusal: the sender gets a bounce with our text
//   throw        a temporary failure: the sender's server keeps the mail and tries again
// Only mailserver-api's own verdict may bounce mail. Whatever else happens (no answer, a page of a proxy, a wrong
// token) is nothing the sender can fix, so it must never do more than delay the mail.
//
// mailserver-api also names the addresses outside that a mail is forwarded to: that is done here, once the mail is in the queue.
//
// With a bucket, the mail waits there while mailserver-api is unreachable or holding, and `scheduled`, once a minute,
// hands it in. With the bindings for alarms, `scheduled` mails what the monitor found, and when it has fallen silent.
//
// Bindings (README.md says more); a function whose optional binding is missing is off:
//   API_URL, API_TOKEN, TIMEOUT_SECONDS       where mailserver-api is, a token, how long one mail may take
//   SPOOL, SPOOL_DAYS, SPOOL_BATCH            an R2 bucket, how long it keeps a mail, how many are handed in a minute
//   STATE, ALARM, ALARM_FROM, ALARM_TO        a KV namespace, a send_email binding and its two addresses

const PATH = "/v1/messages";
// Whatever the size of the mail, all is done within 25 s: Cloudflare cancels a Worker after about 30 s (reported in
// cloudflare-docs, issue 11723; its reference names no limit). mailserver-api answers within 20 s of the last byte.
// The time includes the spool; deleting from it afterwards may take LAST_SECONDS more.
const TIMEOUT_SECONDS = 22;
const LAST_SECONDS = 2;
const ACCEPTED = "accepted";
const HOLDING = "holding";
// The mark of an answer that mailserver-api itself gave. A 404 of a proxy on the way does not carry it.
const VERDICT_HEADER = "X-Mail-Verdict";
// What the filter has against a message that is refused: one line of printable ASCII.
const REASON_HEADER = "X-Mail-Reason";

// Permanent verdicts: HTTP status, the verdict that must be in the header, and what a person reads in the bounce.
const REJECTIONS = new Map([
  [404, ["unknown-recipient", "There is no such mailbox here. Please check the address."]],
  [413, ["too-large", "Your message is too large. Please make its attachments smaller, or send a link instead."]],
  [507, ["over-quota", "The mailbox is full. Please tell the recipient in another way, or try again in a few days."]],
  [422, ["refused", "Your message was refused: it looks like spam, carries a virus or breaks a rule of this server."]],
]);

// ---- The spool: an object a mail. Its key says when it is due, when it came (both in milliseconds) and its own name.
const WAITING = "mail/";
const REFUSED = "refused/";
// The call that a mail came with tries first, and has ended by then.
const FIRST_MS = 60_000;
// A mail that alone is deferred lets the others pass. So many in a row are not the mails' fault.
const AGAIN_MS = 600_000;
const IN_A_ROW = 3;
const DONE = "done";
const AGAIN = "again";
// A smaller mail is held in memory, and can be posted even if R2 does not take it. An isolate has 128 MB for all.
const IN_MEMORY_BYTES = 1024 * 1024;
// A home's line may be slow: 1 Mbit/s. The time for handing in grows with the mail.
const SLOWEST_BYTES_PER_SECOND = 128 * 1024;
// A free plan allows an invocation 50 requests to others and 1,000 to R2 and KV
// (developers.cloudflare.com/workers/platform/limits, …/kv/platform/limits). To others go one POST a mail (and one GET
// for a mail without a verdict), GET /v1/monitor, POST /v1/spool and the alarms: 40 + 1 + 1 + 1 + 7 = 50. To R2 go get
// and delete a mail, or get, get, put and delete, and two lists: at most 40 * 4 + 2.
// After RUN_SECONDS no mail is begun: the next minute has an invocation of its own.
const BATCH = 40;
const MAX_ALARMS = 7;
const RUN_SECONDS = 50;
const SPOOL_DAYS = 14;
const DAY_MS = 86_400_000;
// So long before the bucket's lifecycle rule would delete a waiting mail, people are told: by the host's monitor, or
// from here while the host is silent.
const WARN_MS = 3 * DAY_MS;

// ---- Forwarding outside
const FORWARDS = "/v1/forwards";
// Says to mailserver-api that this call has the mail in its hands: what comes out of the spool cannot be forwarded.
const CAN_FORWARD = "X-Can-Forward";
// By this the filter knows a mail that comes back (config/rspamd/lua.local.d/forwards.lua).
const FORWARDED = "X-Mailserver-Forwarded";
const PAUSE_MS = 500;

// ---- Alarms
const MONITOR = "/v1/monitor";
const REPORT = "/v1/spool";
const CALL_SECONDS = 10;
const SILENT = "host-silent";
const EXPIRES = "spool-expires";
const UNREACHABLE_MS = 4 * 60_000;
const OLD_MS = 10 * 60_000;
// What was alarmed, as far as this isolate knows. KV may be a minute behind in another data centre.
let remembered = { changed: 0, open: {} };

export default {
  async email(message, env) {
    const started = Date.now();
    const report = { size: message.rawSize };
    try {
      report.outcome = await take(message, env, started, report);
    } catch (error) {
      report.outcome = "deferred";
      report.reason = String(error.message ?? error);
      await defer(message, report.reason);
    } finally {
      report.seconds = (Date.now() - started) / 1000;
      console.log(JSON.stringify(report)); // no address and no content: logs are kept where mail is not
    }
  },

  async scheduled({ scheduledTime: now }, env) {
    const api = settings(env);
    const run = {};
    const attempt = (name, work) => work().catch((error) => void (run[name] = String(error.message ?? error)));
    const listed = env.SPOOL && (await attempt("spool", () => env.SPOOL.list({ prefix: WAITING })));
    if (env.ALARM && env.STATE) await attempt("alarms", () => alarm(env, api, now, listed?.objects ?? []));
    if (listed) {
      const left = await handIn(env, api, now, listed.objects, run);
      await attempt("report", () => tell(env, api, left));
    }
    console.log(JSON.stringify(run)); // what failed is tried again the next minute
  },
};

// The one line that decides what makes Cloudflare answer "try again later". README.md says how to check it live.
async function defer(message, reason) {
  throw new Error(reason);
}

/** Settings out of the bindings; throws an error that names the binding, what is wrong and how to fix it. */
function settings(env) {
  const url = URL.canParse(env.API_URL) ? new URL(env.API_URL) : null;
  const isLocal = url?.hostname === "127.0.0.1";
  if (!url || (url.protocol !== "https:" && !isLocal)) {
    throw new Error(`API_URL: ${JSON.stringify(env.API_URL)} is no https:// address; set it to https://<api_host>`);
  }
  const token = (env.API_TOKEN ?? "").trim();
  if (!/^[!-~]+$/.test(token)) {
    throw new Error("API_TOKEN: the secret is not set, or not one line of printable ASCII; run mailctl edge apply");
  }
  const seconds = Number(env.TIMEOUT_SECONDS || TIMEOUT_SECONDS);
  if (!(seconds > 0 && seconds <= 600)) {
    throw new Error(`TIMEOUT_SECONDS: ${JSON.stringify(env.TIMEOUT_SECONDS)} is no number of seconds from 1 to 600`);
  }
  return { url, token, seconds: Math.min(seconds, TIMEOUT_SECONDS) };
}

/** The whole of one mail: "accepted", "rejected" or "spooled"; throws what the sender shall try again. */
async function take(message, env, started, report) {
  const api = settings(env);
  const left = () => Math.max(0, api.seconds - (Date.now() - started) / 1000);
  const headers = envelope(api, message.from, message.to); // an impossible address is refused before it is kept
  const { key, body } = env.SPOOL ? await keep(message, env.SPOOL, left) : { body: () => message.raw };
  if (key) mark(headers, key);
  headers.set(CAN_FORWARD, "yes");
  let answer, forward;
  try {
    answer = await post(api, headers, await body(), left());
    Object.assign(report, { status: answer.status, verdict: answer.verdict, ray: answer.ray });
    if (answer.status === 200 && answer.verdict === ACCEPTED) forward = await named(answer);
    else await drop(answer);
  } catch (error) {
    if (!key) throw error;
    report.reason = error.message;
  }
  if (key && (!answer?.verdict || answer.verdict === HOLDING)) return "spooled";
  try {
    const outcome = decide(message, answer.status, answer.verdict, answer.reason);
    if (forward) await forwardAll(message, api, forward, left, report);
    return outcome;
  } finally {
    // If this fails, the mail is handed in once more, and mailserver-api recognises it.
    if (key) await within(LAST_SECONDS, env.SPOOL.delete(key)).catch(() => {});
  }
}

/** The headers of a call for one mail. */
function envelope({ token }, from, to) {
  return new Headers({
    Authorization: `Bearer ${token}`,
    "Content-Type": "message/rfc822",
    "X-Envelope-From": from || "<>", // a bounce has no sender
    "X-Envelope-To": to,
  });
}

/** Post a raw message, never decoded: text would change 8-bit bytes and break signatures. */
async function post({ url }, headers, body, seconds, path = PATH) {
  try {
    const response = await fetch(new URL(path, url), {
      method: "POST",
      headers,
      body,
      duplex: "half", // the standard's word for a body that is still arriving
      redirect: "manual", // never send a mail and the token wherever somebody points
      signal: AbortSignal.timeout(Math.ceil(seconds * 1000)),
    });
    const { status, headers: said } = response;
    const [verdict, reason, ray] = [VERDICT_HEADER, REASON_HEADER, "CF-Ray"].map((name) => said.get(name));
    return { response, status, verdict, reason, ray };
  } catch (error) {
    const isLate = error.name === "TimeoutError" || error.name === "AbortError";
    throw new Error(isLate ? `no verdict within ${Math.round(seconds * 10) / 10} s` : `mailserver-api: ${error.message}`);
  }
}

/** What the body says is in mailserver-api's log as well; leaving it unread would keep the connection. */
async function drop({ response }) {
  try {
    await response?.body?.cancel();
  } catch {
    // The verdict is known; how the answer ends does not change it.
  }
}

/** Where to forward an accepted mail: its key and the addresses, or nothing. */
async function named({ response }) {
  const { forward } = await response.json().catch(() => ({}));
  return Array.isArray(forward?.to) ? forward : undefined;
}

/**
 * Forward to one address after the other, and report each by itself: what was reported is never handed out again. A
 * failure is reported, too; the original is in the mailbox. Throws when the time ends first: mailserver-api names what
 * is left when the sender's server comes again.
 */
async function forwardAll(message, api, { key, to }, left, report) {
  const mark = new Headers({ [FORWARDED]: message.to });
  Object.assign(report, { forwarded: 0, failed: 0 });
  for (const destination of to) {
    if (left() <= 0) throw new Error("not all was forwarded in time");
    const reason = await within(Math.max(left(), LAST_SECONDS), message.forward(destination, mark)).then(
      () => "",
      (error) => String(error?.message || error || "no reason").slice(0, 300),
    );
    report[reason ? "failed" : "forwarded"] += 1;
    await settle(api, { key, destination, reason }, left);
  }
}

/** Tell mailserver-api what became of a forward, until it hears or the time is over: then it is told as unconfirmed. */
async function settle(api, result, left) {
  const headers = { Authorization: `Bearer ${api.token}`, "Content-Type": "application/json" };
  for (;;) {
    const seconds = Math.min(CALL_SECONDS, Math.max(left(), LAST_SECONDS));
    const answer = await post(api, headers, JSON.stringify(result), seconds, FORWARDS).catch(() => ({}));
    await drop(answer);
    if (answer.status === 200 || left() * 1000 < PAUSE_MS) return;
    await new Promise((again) => setTimeout(again, PAUSE_MS));
  }
}

/** "accepted" or "rejected"; throws for everything that is no verdict of mailserver-api. */
function decide(message, status, verdict, reason) {
  if (status === 200 && verdict === ACCEPTED) {
    return "accepted";
  }
  const [permanent, text] = REJECTIONS.get(status) ?? [];
  if (verdict && verdict === permanent) {
    message.setReject(`${why(text, permanent, reason)}${shown(message.to)}`);
    return "rejected";
  }
  throw new Error(`HTTP ${status}, ${verdict ? `verdict ${verdict}` : "not an answer of mailserver-api"}`);
}

/** The filter's own words where there are some, else what it may be. */
function why(text, verdict, reason) {
  const isSaid = verdict === "refused" && /^[ -~]{1,200}$/.test(reason ?? "");
  return isSaid ? `Your message was refused: ${reason}` : text;
}

/** The address, if it may be part of an SMTP answer: one line of printable ASCII. */
function shown(address) {
  return /^[!-~]{1,254}$/.test(address) ? ` (${address})` : "";
}

/** A promise's result; throws when it takes longer. */
async function within(seconds, promise) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`not done within ${Math.round(seconds)} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// ======== The spool

/** Key of an object that is due `wait` milliseconds from now. Thirteen digits sort by time until the year 2286. */
const keyOf = (due, received, name) => `${WAITING}${due}-${received}-${name}`;

const daysOf = (env) => Number(env.SPOOL_DAYS || SPOOL_DAYS);

/** When an object is due, when its mail came (both in milliseconds), and its name, which stays. */
function partsOf(key) {
  const [due, received, ...name] = key.slice(key.indexOf("/") + 1).split("-");
  return { due: Number(due), received: Number(received), name: name.join("-") };
}

/** By these, mailserver-api knows and logs that a mail was in the spool. */
function mark(headers, key) {
  const { received, name } = partsOf(key);
  headers.set("X-Spool-Key", name);
  headers.set("X-Spool-Received", new Date(received).toISOString());
}

/**
 * Put the mail into the spool before anybody else has it: whatever happens then, nothing is lost. Returns its key and
 * what gives its body; no key if R2 does not take it, and the mail goes on without. Throws when it is used up by then.
 */
async function keep(message, spool, left) {
  const received = Date.now();
  const key = keyOf(received + FIRST_MS, received, crypto.randomUUID());
  const customMetadata = { from: message.from, to: message.to, authenticated: String(isAuthenticated(message)) };
  const isSmall = message.rawSize <= IN_MEMORY_BYTES;
  const bytes = isSmall && (await within(left(), new Response(message.raw).arrayBuffer()));
  const first = isSmall ? [key, bytes, { customMetadata }] : ["probe", ""]; // a large one can be read only once
  try {
    await within(left() / 3, spool.put(...first)); // what is left is for the way without the spool
  } catch (error) {
    console.log(JSON.stringify({ spool: String(error.message ?? error) }));
    return { body: () => bytes || message.raw };
  }
  if (isSmall) return { key, body: () => bytes };
  const { readable, writable } = new FixedLengthStream(message.rawSize); // R2 wants to know the length
  const put = spool.put(key, readable, { customMetadata });
  await within(left(), Promise.all([message.raw.pipeTo(writable), put]));
  return { key, body: async () => (await spool.get(key)).body };
}

/**
 * Whether the envelope's sender is who it says, by Cloudflare's own Authentication-Results, the first of that name:
 * SPF passed for its domain, or DMARC passed for a From of its domain or one above it.
 */
function isAuthenticated(message) {
  const domain = message.from.toLowerCase().split("@").pop();
  const [first] = (message.headers?.get("Authentication-Results") ?? "").toLowerCase().split(",");
  const results = first.replace(/\([^()]*\)|"[^"]*"/g, "").split(";").map((text) => text.trim().split(/\s+/));
  const says = (words, result, name) =>
    words[0] === result && words.find((word) => word.startsWith(name))?.slice(name.length).split("@").pop();
  const isBelow = (from) => from && (domain === from || domain.endsWith(`.${from}`));
  if (!/^[\w.+=-]+@[\w.-]+$/.test(message.from) || results[0][0] !== "mx.cloudflare.net") return false;
  return results.some((words) => says(words, "spf=pass", "smtp.mailfrom=") === domain
    || isBelow(says(words, "dmarc=pass", "header.from=")));
}

/** Hand in what is due, oldest first, until mailserver-api cannot be reached; returns what is left in the spool. */
async function handIn(env, api, now, objects, run) {
  const end = Date.now() + RUN_SECONDS * 1000;
  const done = new Set();
  let requests = Number(env.SPOOL_BATCH || BATCH);
  let inARow = 0;
  for (const { key } of objects.filter((object) => partsOf(object.key).due <= now)) {
    if (requests <= 0 || Date.now() > end) break;
    const result = await handInOne(env, api, now, key).catch(String);
    requests -= result === DONE ? 1 : 2;
    inARow = result === DONE ? 0 : inARow + 1;
    if (result === DONE) done.add(key);
    else if (result !== AGAIN) run.stopped = result;
    if (run.stopped || inARow === IN_A_ROW) break;
  }
  Object.assign(run, { waiting: objects.length - done.size, handed: done.size });
  return objects.filter(({ key }) => !done.has(key));
}

/** One mail: DONE, AGAIN (it alone is deferred), or why the run ends here, so that the order holds. */
async function handInOne(env, api, now, key) {
  const mail = await env.SPOOL.get(key);
  if (!mail) return DONE; // another invocation was faster
  const headers = envelope(api, mail.customMetadata.from, mail.customMetadata.to);
  mark(headers, key);
  const limit = api.seconds + mail.size / SLOWEST_BYTES_PER_SECOND;
  const answer = await post(api, headers, mail.body, limit).catch(({ message }) => ({ detail: message }));
  const { status, verdict } = answer;
  // A mail that gets no verdict, while another call is answered, must not stop the others for ever.
  const isStuck = verdict ? [400, 503].includes(status) && verdict !== HOLDING : await monitor(api).then(Boolean, () => false);
  const isLast = isStuck && now > partsOf(key).received + (daysOf(env) - 1) * DAY_MS;
  if (isLast || (verdict && REJECTIONS.get(status)?.[0] === verdict)) {
    const { detail } = await Promise.resolve(answer.response?.json()).then((said) => said ?? answer, () => answer);
    const said = { verdict: verdict ?? "none", text: String(detail ?? `HTTP ${status}`).slice(0, 300) };
    await move(env.SPOOL, key, now, { ...mail.customMetadata, ...said });
  } else {
    await drop(answer);
    if (isStuck) await move(env.SPOOL, key, now);
    else if (status !== 200 || verdict !== ACCEPTED) return answer.detail ?? `HTTP ${status}, verdict ${verdict}`;
  }
  await env.SPOOL.delete(key);
  return isStuck && !isLast ? AGAIN : DONE;
}

/** Put a mail to where it is due later, or among the refused ones; the caller deletes it from where it was. */
async function move(spool, key, now, refused) {
  const mail = await spool.get(key);
  const { received, name } = partsOf(key);
  const to = refused ? `${REFUSED}${now}-${received}-${name}` : keyOf(now + AGAIN_MS, received, name);
  await spool.put(to, mail.body, { customMetadata: refused ?? mail.customMetadata });
}

/** Tell mailserver-api what is in the spool. One list has 1,000 objects at most: more are counted as 1,000. */
async function tell(env, api, left) {
  const { objects } = await env.SPOOL.list({ prefix: REFUSED, limit: 50, include: ["customMetadata"] });
  const received = left.map(({ key }) => partsOf(key).received);
  const seconds = (ms) => Math.floor(ms / 1000);
  const document = {
    waiting: left.length,
    bytes: left.reduce((sum, { size }) => sum + size, 0),
    oldest: received.length ? seconds(Math.min(...received)) : null,
    refused: objects.map(({ key, customMetadata: { from, to, verdict, text, authenticated } }) => {
      const { due: at, name } = partsOf(key);
      return { key: name, at: seconds(at), from, to, verdict, text, authenticated: authenticated === "true" };
    }),
  };
  const headers = { Authorization: `Bearer ${api.token}`, "Content-Type": "application/json" };
  const answer = await post(api, headers, JSON.stringify(document), CALL_SECONDS, REPORT);
  await drop(answer);
  if (answer.status !== 200) throw new Error(`${REPORT}: HTTP ${answer.status}`);
}

// ======== Alarms

/** One mail for each incident that begins or ends; returns how many were sent. What fails is tried the next minute. */
async function alarm(env, api, now, objects) {
  const stored = await env.STATE.get("alarms", "json");
  const state = structuredClone(stored && stored.changed >= remembered.changed ? stored : remembered);
  const before = JSON.stringify(state);
  const found = await incidents(env, api, now, objects, state);
  const begun = Object.values(found).filter(({ id }) => !state.open[id]).map((each) => ["ALARM", each]);
  const ended = Object.values(state.open).filter(({ id }) => !found[id]).map((each) => ["all clear", each]);
  let sent = 0;
  for (const [word, incident] of [...begun, ...ended].slice(0, MAX_ALARMS)) {
    try {
      await send(env, now, word, incident, state.host ?? api.url.hostname);
    } catch (error) {
      console.log(JSON.stringify({ alarm: incident.id, reason: String(error.message ?? error) }));
      continue;
    }
    sent += 1;
    if (word === "ALARM") state.open[incident.id] = incident;
    else delete state.open[incident.id];
  }
  if (JSON.stringify(state) !== before) remembered = { ...state, changed: now };
  if (remembered.changed > (stored?.changed ?? 0)) await env.STATE.put("alarms", JSON.stringify(remembered));
  return sent;
}

/** What is wrong now, by id. While the host is silent, nothing is known of its incidents: they stay as they are. */
async function incidents(env, api, now, objects, state) {
  const found = {};
  const add = (incident) => (found[incident.id] = { since: Math.floor(now / 1000), severity: "critical", ...incident });
  const seen = await monitor(api).catch((error) => ({ error: error.message }));
  if (seen.error) state.unreachable ??= now;
  else delete state.unreachable;
  if (seen.host) state.host = seen.host;
  if (seen.error || now - seen.at * 1000 > OLD_MS) {
    if (!seen.error || now - state.unreachable >= UNREACHABLE_MS || state.open[SILENT]) {
      const text = seen.error
        ? `mailserver-api cannot be reached since ${time(state.unreachable)}: ${seen.error}`
        : `mailserver-api answers, but its monitor last ran ${seen.at ? time(seen.at * 1000) : "never"}.`;
      add({ id: SILENT, title: "The host is silent", text, fix: "look at the host, its network and its tunnel" });
      const oldest = Math.min(...objects.map(({ key }) => partsOf(key).received));
      const expires = oldest + daysOf(env) * DAY_MS;
      if (expires - now < WARN_MS) {
        const warning = `The oldest mail in the spool came ${time(oldest)} and is deleted ${time(expires)}.`;
        add({ id: EXPIRES, title: "Mail in the spool will expire", text: warning, fix: "start the host" });
      }
    }
    return { ...state.open, ...found };
  }
  seen.incidents.forEach(add);
  return found;
}

/** The monitor's state. Throws when there is no answer of mailserver-api. */
async function monitor({ url, token }) {
  const answer = await fetch(new URL(MONITOR, url), {
    headers: { Authorization: `Bearer ${token}` },
    redirect: "manual",
    signal: AbortSignal.timeout(CALL_SECONDS * 1000),
  });
  if (answer.status !== 200) throw new Error(`HTTP ${answer.status}`);
  const document = await answer.json();
  if (!Array.isArray(document.incidents)) throw new Error("not an answer of mailserver-api");
  return document;
}

const time = (ms) => new Date(ms).toISOString().replace(/\.\d+/, "");

/** Mail one alarm. Its Message-ID is the same at a second attempt, so that mail programs show it once. */
async function send(env, now, word, { id, since, severity, title, text, fix }, host) {
  const { EmailMessage } = await import("cloudflare:email");
  const base64 = (words) => btoa(String.fromCharCode(...new TextEncoder().encode(words.slice(0, 8000))));
  const plain = (words) => words.replace(/[^ -~]/g, "?").slice(0, 200);
  const lines = [`${word}: ${title}`, "", text, ...(word === "ALARM" ? ["", `To fix it: ${fix}`] : []), ""];
  lines.push(`Host: ${host}`, `Severity: ${severity}`, `Since: ${time(since * 1000)}`, `Incident: ${id}`);
  const raw = [
    `From: <${env.ALARM_FROM}>`,
    `To: <${env.ALARM_TO}>`,
    `Subject: ${plain(`[${host}] ${word}: ${title}`)}`,
    `Date: ${new Date(now).toUTCString().replace("GMT", "+0000")}`,
    `Message-ID: <${plain(`${id}.${since}.${word}`).replaceAll(" ", "-")}@${env.ALARM_FROM.split("@").pop()}>`,
    "Auto-Submitted: auto-generated",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: base64",
    "",
    base64(lines.join("\r\n")).replace(/.{76}/g, "$&\r\n"),
    "",
  ].join("\r\n");
  await env.ALARM.send(new EmailMessage(env.ALARM_FROM, env.ALARM_TO, raw));
}
