// The Worker's alarms in plain node: one mail when an incident begins, one when it ends, whatever fails in between.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { register } from "node:module";
import { after, before, beforeEach, test } from "node:test";

const WORKER = new URL("../../{{cookiecutter.project_slug}}/platform/email-worker/worker.js", import.meta.url);
// Cloudflare's own module, which plain node does not have.
const EMAIL = "export class EmailMessage { constructor(from, to, raw) { Object.assign(this, { from, to, raw }); } }";
const HOOK = `export const resolve = (name, context, next) => name === "cloudflare:email"
  ? { url: ${JSON.stringify(`data:text/javascript,${encodeURIComponent(EMAIL)}`)}, shortCircuit: true } : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(HOOK)}`);

const MINUTE = 60_000;
const NOW = Date.UTC(2026, 10, 28, 9);
const QUEUE = { id: "queue-age", since: 1_795_000_000, severity: "critical", title: "Mail waits", text: "é: an hour", fix: "look" };
let server, url, answer, isolates = 0;

before(async () => {
  server = createServer((request, response) => answer(response, request));
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  url = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.closeAllConnections() ?? server.close());
beforeEach((t) => t.mock.method(console, "log", () => {}));

const down = (response) => response.writeHead(530).end("a page of the tunnel");
const state = (at, ...incidents) => (response) =>
  response.end(JSON.stringify({ version: 1, at: at === null ? null : (NOW + at) / 1000, host: "mx.example.com", incidents }));

/** A Worker whose minutes can be run one by one; `again()` is a new isolate with the same KV. */
async function started() {
  const sent = [];
  const failing = new Set();
  const kv = new Map();
  const fail = (name) => {
    if (failing.has(name)) throw new Error(`no ${name} today`);
  };
  let writes = 0;
  const env = {
    API_URL: url,
    API_TOKEN: "t".repeat(32),
    ALARM_FROM: "alarm@example.com",
    ALARM_TO: "admin@elsewhere.example",
    ALARM: { send: async (mail) => (fail("mail"), void sent.push(mail)) },
    STATE: {
      get: async (key) => (fail("read"), JSON.parse(kv.get(key) ?? "null")),
      put: async (key, value) => (fail("write"), (writes += 1), void kv.set(key, value)),
    },
  };
  const isolate = async () => (await import(`${WORKER}?isolate=${(isolates += 1)}`)).default;
  let worker = await isolate();
  return {
    env, sent, failing, kv,
    writes: () => writes,
    again: async () => (worker = await isolate()),
    subjects: () => sent.map(({ raw }) => /^Subject: (.*)$/m.exec(raw)[1]),
    minute: (number, says) => ((answer = says), worker.scheduled({ scheduledTime: NOW + number * MINUTE }, env)),
  };
}

test("an incident is one mail when it begins and one when it ends", async () => {
  const { minute, subjects } = await started();
  await minute(0, state(0));
  for (const number of [1, 2, 3]) await minute(number, state(number * MINUTE, QUEUE));
  for (const number of [4, 5]) await minute(number, state(number * MINUTE));
  assert.deepEqual(subjects(), ["[mx.example.com] ALARM: Mail waits", "[mx.example.com] all clear: Mail waits"]);
});

test("the mail says what it is, how to fix it, where, and how bad", async () => {
  const { minute, sent } = await started();
  await minute(0, state(0, QUEUE));
  const [{ from, to, raw }] = sent;
  assert.deepEqual([from, to], ["alarm@example.com", "admin@elsewhere.example"]);
  const [head, body] = raw.split("\r\n\r\n");
  assert.ok(head.split("\r\n").every((line) => /^[!-9;-~]+: [ -~]+$/.test(line)), head);
  const text = Buffer.from(body, "base64").toString();
  for (const words of ["é: an hour", "To fix it: look", "mx.example.com", "critical", "queue-age"]) {
    assert.ok(text.includes(words), text);
  }
});

test("a title with a line break cannot add a header", async () => {
  const { minute, sent } = await started();
  await minute(0, state(0, { ...QUEUE, title: "a\r\nBcc: everybody@example.com", id: "x\r\nBcc: y" }));
  assert.doesNotMatch(sent[0].raw, /^Bcc/m);
});

test("nothing is written while nothing changes", async () => {
  const { minute, writes, again } = await started();
  await minute(0, state(0)); // the host's name, once
  for (const number of [1, 2, 3]) await minute(number, state(number * MINUTE)).then(again);
  assert.equal(writes(), 1);
  for (const number of [4, 5, 6]) await minute(number, state(number * MINUTE, QUEUE)).then(again);
  assert.equal(writes(), 2);
});

test("another isolate knows what was alarmed", async () => {
  const { minute, subjects, again } = await started();
  await minute(0, state(0, QUEUE));
  await again();
  await minute(1, state(MINUTE, QUEUE));
  assert.equal(subjects().length, 1);
});

test("an API that is down for less than four minutes is no alarm", async () => {
  const { minute, sent, again } = await started();
  await minute(0, state(0));
  for (const number of [1, 2, 3, 4]) await minute(number, down).then(again);
  await minute(5, state(5 * MINUTE));
  for (const number of [6, 7, 8, 9]) await minute(number, down).then(again);
  assert.deepEqual(sent, []);
});

test("an API that is down for four minutes is one alarm, also over many isolates, and one all clear", async () => {
  const { minute, subjects, again } = await started();
  await minute(0, state(0));
  for (let number = 1; number < 20; number += 1) await minute(number, down).then(again);
  assert.deepEqual(subjects(), ["[mx.example.com] ALARM: The host is silent"]);
  for (const number of [20, 21]) await minute(number, state(number * MINUTE)).then(again);
  assert.deepEqual(subjects().slice(1), ["[mx.example.com] all clear: The host is silent"]);
});

for (const [name, at, expected] of [["ran nine minutes ago", -9 * MINUTE, 0], ["ran eleven minutes ago", -11 * MINUTE, 1], ["never ran", null, 1]]) {
  test(`a monitor that ${name} is ${expected ? "one" : "no"} alarm`, async () => {
    const { minute, sent } = await started();
    await minute(0, state(at));
    await minute(1, state(at === null ? null : at + MINUTE));
    assert.equal(sent.length, expected);
  });
}

test("an old monitor that becomes unreachable, and old again, is one alarm", async () => {
  const { minute, sent } = await started();
  await minute(0, state(-11 * MINUTE));
  for (const number of [1, 2, 3, 4, 5, 6]) await minute(number, down);
  await minute(7, state(-11 * MINUTE));
  assert.equal(sent.length, 1);
});

test("while the host is silent its incidents neither end nor begin", async () => {
  const { minute, subjects } = await started();
  await minute(0, state(0, QUEUE));
  for (let number = 1; number < 8; number += 1) await minute(number, down);
  await minute(8, state(8 * MINUTE, QUEUE));
  assert.deepEqual(subjects().map((subject) => subject.slice(17)), [
    "ALARM: Mail waits", "ALARM: The host is silent", "all clear: The host is silent",
  ]);
});

test("a page of a proxy is no answer of the monitor", async () => {
  const { minute, sent } = await started();
  for (const number of [0, 1, 2, 3, 4, 5]) await minute(number, (response) => response.end('{"hello": "world"}'));
  assert.equal(sent.length, 1);
});

test("a mail that cannot be sent is sent the next minute, once", async () => {
  const { minute, sent, failing } = await started();
  failing.add("mail");
  for (const number of [0, 1]) await minute(number, state(number * MINUTE, QUEUE));
  failing.clear();
  for (const number of [2, 3]) await minute(number, state(number * MINUTE, QUEUE));
  assert.equal(sent.length, 1);
});

test("a KV that cannot be written makes no second mail, and is written the next minute", async () => {
  const { minute, sent, failing, again, kv } = await started();
  failing.add("write");
  for (const number of [0, 1]) await minute(number, state(number * MINUTE, QUEUE));
  assert.equal(kv.size, 0);
  failing.clear();
  await minute(2, state(2 * MINUTE, QUEUE));
  await again();
  await minute(3, state(3 * MINUTE, QUEUE));
  assert.equal(sent.length, 1);
});

test("a second copy after all, of an isolate that was lost with its memory, has the same Message-ID", async () => {
  const { minute, sent, failing, again } = await started();
  failing.add("write");
  await minute(0, state(0, QUEUE));
  await again();
  await minute(1, state(MINUTE, QUEUE));
  const ids = sent.map(({ raw }) => /^Message-ID: (.*)$/m.exec(raw)[1]);
  assert.deepEqual([ids.length, new Set(ids).size], [2, 1]);
});

test("a KV that cannot be read costs a minute", async () => {
  const { minute, sent, failing } = await started();
  failing.add("read");
  await minute(0, state(0, QUEUE));
  failing.clear();
  await minute(1, state(MINUTE, QUEUE));
  assert.equal(sent.length, 1);
});

test("many incidents at once are seven mails a minute, for a free plan's 50 requests", async () => {
  const { minute, sent } = await started();
  const many = Array.from({ length: 12 }, (_, number) => ({ ...QUEUE, id: `incident-${number}` }));
  await minute(0, state(0, ...many));
  assert.equal(sent.length, 7);
  await minute(1, state(MINUTE, ...many));
  assert.equal(sent.length, 12);
});

test("without the bindings for alarms nothing is asked", async () => {
  const { minute, env } = await started();
  delete env.ALARM;
  let calls = 0;
  await minute(0, () => (calls += 1));
  assert.equal(calls, 0);
});

test("mail that will expire in the spool is an alarm three days before, when the host is silent and cannot tell it", async () => {
  const { minute, subjects, env } = await started();
  const came = NOW - 11.5 * 24 * 60 * MINUTE;
  const objects = [{ key: `mail/${came + MINUTE}-${came}-a`, size: 1 }];
  env.SPOOL = {
    list: async ({ prefix }) => ({ objects: prefix === "mail/" ? objects : [] }),
    get: async () => ({ size: 1, body: "x", customMetadata: { from: "a@x.example", to: "b@x.example" } }),
  };
  for (const number of [0, 1, 2, 3, 4, 5]) await minute(number, down);
  assert.deepEqual(subjects().map((subject) => subject.replace(/\[.*\] /, "")), [
    "ALARM: The host is silent", "ALARM: Mail in the spool will expire",
  ]);
});
