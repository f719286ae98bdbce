// The Worker's spool in plain node: what it does with each answer, and when R2 itself fails.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";

import worker from "../../{{cookiecutter.project_slug}}/platform/email-worker/worker.js";

const TOKEN = randomUUID();
const RAW = Buffer.from("Subject: hi\r\n\r\n\xff\r\n", "latin1");
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
let server, url, calls, answer;

before(async () => {
  server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const call = { path: request.url, headers: request.headers, body: Buffer.concat(chunks) };
    calls.push(call);
    answer(response, call);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  url = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.closeAllConnections() ?? server.close());
beforeEach((t) => {
  calls = [];
  answer = says(200, "accepted");
  t.mock.method(console, "log", () => {});
});

const says = (status, verdict, body = "the body") => (response) =>
  response.writeHead(status, verdict && { "X-Mail-Verdict": verdict }).end(body);

/** A bucket in memory; the names in `broken` fail. */
class Bucket {
  objects = new Map();
  broken = new Set();
  #check(name) {
    if (this.broken.has(name)) throw new Error(`R2: no ${name} today`);
  }
  async put(key, body, { customMetadata = {} } = {}) {
    this.#check("put");
    this.objects.set(key, { bytes: Buffer.from(await new Response(body).arrayBuffer()), customMetadata });
  }
  async get(key) {
    this.#check("get");
    const { bytes, customMetadata } = this.objects.get(key) ?? {};
    return bytes ? { key, size: bytes.length, body: new Blob([bytes]).stream(), customMetadata } : null;
  }
  async delete(key) {
    this.#check("delete");
    this.objects.delete(key);
  }
  async list({ prefix, limit = 1000 }) {
    this.#check("list");
    const found = [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort().slice(0, limit);
    const objects = found.map((key) => {
      const { bytes, customMetadata } = this.objects.get(key);
      return { key, size: bytes.length, customMetadata };
    });
    return { objects };
  }
  keys(prefix = "mail/") {
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  }
}

/** Run the Worker on one mail: what the sender's server is told, and what is in the bucket then. */
async function deliver({ bucket = new Bucket(), mail = {}, ...bindings } = {}) {
  const told = {};
  const message = {
    from: "writer@sender.example",
    to: "reader@example.com",
    raw: new Blob([RAW]).stream(),
    rawSize: RAW.length,
    headers: new Headers(),
    setReject: (reason) => (told.rejected = reason),
    ...mail,
  };
  try {
    await worker.email(message, { API_URL: url, API_TOKEN: TOKEN, SPOOL: bucket, ...bindings });
  } catch (error) {
    told.thrown = error.message;
  }
  return { ...told, kept: bucket.keys(), bucket };
}

/** The cron trigger, `later` milliseconds from now. */
async function cron(bucket, later = 2 * MINUTE, bindings = {}) {
  const env = { API_URL: url, API_TOKEN: TOKEN, SPOOL: bucket, ...bindings };
  await worker.scheduled({ scheduledTime: Date.now() + later }, env);
}

/** A bucket with mails that have waited for so many days. */
function waiting(days, ...senders) {
  const bucket = new Bucket();
  const came = Date.now() - days * DAY;
  senders.forEach((from, number) => {
    const key = `mail/${came + number + MINUTE}-${came + number}-${from}`;
    bucket.objects.set(key, { bytes: RAW, customMetadata: { from, to: "r@example.com", authenticated: "true" } });
  });
  return bucket;
}

const mails = () => calls.filter(({ path }) => path === "/v1/messages");
const reported = () => JSON.parse(calls.filter(({ path }) => path === "/v1/spool").at(-1).body);

test("the mail is in the bucket before the API is called, and gone after its yes", async () => {
  const bucket = new Bucket();
  let during;
  answer = (response, call) => ((during ??= bucket.keys()), says(200, "accepted")(response, call));
  const { thrown, kept } = await deliver({ bucket });
  assert.deepEqual([thrown, during.length, kept], [undefined, 1, []]);
  const [{ headers, body }] = mails();
  assert.deepEqual(body, RAW);
  assert.ok(during[0].endsWith(headers["x-spool-key"]));
  assert.ok(Math.abs(new Date(headers["x-spool-received"]) - Date.now()) < MINUTE);
});

for (const [name, status, verdict] of [
  ["holding", 503, "holding"],
  ["a page of the tunnel", 530, undefined],
  ["a page that looks like a refusal", 404, undefined],
  ["a yes that is not the API's", 200, undefined],
]) {
  test(`${name}: the mail stays in the spool and the sender hears yes`, async () => {
    answer = says(status, verdict);
    const { thrown, rejected, kept } = await deliver();
    assert.deepEqual([thrown, rejected, kept.length], [undefined, undefined, 1]);
  });
}

test("no answer in time: the mail stays in the spool and the sender hears yes", async () => {
  answer = () => {};
  const { thrown, kept } = await deliver({ TIMEOUT_SECONDS: "1" });
  assert.deepEqual([thrown, kept.length], [undefined, 1]);
});

for (const [status, verdict] of [[503, "temporary"], [429, "busy"], [401, "unauthorized"], [400, "malformed"]]) {
  test(`${status} ${verdict} is the sender's to try again, and nothing stays in the spool`, async () => {
    answer = says(status, verdict);
    const { thrown, kept } = await deliver();
    assert.match(thrown, new RegExp(`HTTP ${status}`));
    assert.deepEqual(kept, []);
  });
}

test("a refusal is told to the sender who still waits, and nothing stays in the spool", async () => {
  answer = says(404, "unknown-recipient");
  const { rejected, kept } = await deliver();
  assert.match(rejected, /no such mailbox/);
  assert.deepEqual(kept, []);
});

test("without R2 a mail goes straight to the API", async () => {
  const bucket = new Bucket();
  bucket.broken.add("put");
  assert.equal((await deliver({ bucket })).thrown, undefined);
  assert.deepEqual([mails()[0].body, mails()[0].headers["x-spool-key"]], [RAW, undefined]);
});

test("without R2 a large mail, which can be read only once, goes straight to the API too", async () => {
  const bucket = new Bucket();
  bucket.broken.add("put");
  const large = Buffer.alloc(2 * 1024 * 1024, "x");
  const mail = { raw: new Blob([large]).stream(), rawSize: large.length };
  assert.equal((await deliver({ bucket, mail })).thrown, undefined);
  assert.deepEqual(mails()[0].body, large);
});

test("without R2 and API the sender tries again", async () => {
  const bucket = new Bucket();
  bucket.broken.add("put");
  answer = says(530);
  assert.match((await deliver({ bucket })).thrown, /HTTP 530/);
});

test("an R2 that does not answer leaves the mail time for the way without it", async () => {
  const bucket = new Bucket();
  bucket.put = () => new Promise(() => {});
  assert.equal((await deliver({ bucket, TIMEOUT_SECONDS: "3" })).thrown, undefined);
  assert.equal(mails().length, 1);
});

test("a mail that cannot be deleted after its yes is handed in once more, for the API to recognise", async () => {
  const bucket = new Bucket();
  bucket.broken.add("delete");
  const { thrown, kept } = await deliver({ bucket });
  assert.deepEqual([thrown, kept.length], [undefined, 1]);
  bucket.broken.clear();
  await cron(bucket);
  assert.deepEqual([mails().length, bucket.keys()], [2, []]);
});

test("an envelope that can be no header is never put into the spool", async () => {
  const { thrown, bucket } = await deliver({ mail: { from: "a@b.example\r\nX: y" } });
  assert.ok(thrown);
  assert.equal(bucket.objects.size, 0);
});

test("cron hands in oldest first, and leaves to its own call what has just come", async () => {
  const bucket = waiting(1, "a@x.example", "b@x.example", "c@x.example");
  answer = says(530);
  await deliver({ bucket });
  [calls, answer] = [[], says(200, "accepted")];
  await cron(bucket, 0);
  assert.deepEqual(mails().map(({ headers }) => headers["x-envelope-from"]), ["a@x.example", "b@x.example", "c@x.example"]);
  assert.equal(bucket.keys().length, 1);
});

for (const [name, status, verdict] of [["unreachable", 530, undefined], ["holding", 503, "holding"], ["busy", 429, "busy"]]) {
  test(`cron stops at the first mail while the API is ${name}, so that the order holds`, async () => {
    const bucket = waiting(1, "a@x.example", "b@x.example");
    answer = says(status, verdict);
    await cron(bucket);
    assert.deepEqual([mails().length, bucket.keys().length], [1, 2]);
  });
}

test("cron gives a large mail the time that a slow line takes for it", async () => {
  const bucket = waiting(1, "large@x.example");
  answer = (response) => setTimeout(() => says(200, "accepted")(response), 500);
  await cron(bucket, 2 * MINUTE, { TIMEOUT_SECONDS: "0.2" });
  assert.equal(bucket.keys().length, 1);
  for (const object of bucket.objects.values()) object.bytes = Buffer.alloc(1024 * 1024, "x");
  await cron(bucket, 2 * MINUTE, { TIMEOUT_SECONDS: "0.2" });
  assert.deepEqual(bucket.keys(), []);
});

test("one invocation hands in no more than a free plan's 50 requests allow", async () => {
  const bucket = waiting(1, ...Array.from({ length: 60 }, (_, number) => `${number}@x.example`));
  await cron(bucket);
  assert.deepEqual([calls.length, bucket.keys().length], [41, 20]);
});

test("SPOOL_BATCH hands in more, for a paid plan", async () => {
  const bucket = waiting(1, ...Array.from({ length: 60 }, (_, number) => `${number}@x.example`));
  await cron(bucket, 2 * MINUTE, { SPOOL_BATCH: "1000" });
  assert.deepEqual(bucket.keys(), []);
});

test("a mail that alone is deferred is tried again after ten minutes, and lets the others pass", async () => {
  const bucket = waiting(1, "stuck@x.example", "b@x.example");
  answer = (response, { headers }) =>
    says(...(headers["x-envelope-from"] === "stuck@x.example" ? [503, "temporary"] : [200, "accepted"]))(response);
  await cron(bucket);
  assert.deepEqual([mails().length, bucket.keys().length], [2, 1]);
  await cron(bucket, 5 * MINUTE);
  assert.equal(mails().length, 2);
  answer = says(200, "accepted");
  await cron(bucket, 13 * MINUTE);
  assert.deepEqual([mails().length, bucket.keys()], [3, []]);
  assert.equal(mails()[2].headers["x-spool-key"], mails()[0].headers["x-spool-key"]);
});

test("a mail that the API calls malformed does not stop the others", async () => {
  const bucket = waiting(1, "odd@x.example", "b@x.example");
  answer = (response, { headers }) =>
    says(...(headers["x-envelope-from"] === "odd@x.example" ? [400, "malformed"] : [200, "accepted"]))(response);
  await cron(bucket);
  assert.deepEqual([mails().length, bucket.keys().length], [2, 1]);
});

test("a mail that breaks every connection, while the API answers other calls, does not stop the others", async () => {
  const bucket = waiting(1, "odd@x.example", "b@x.example");
  answer = (response, { path, headers }) => {
    if (path === "/v1/monitor") response.end('{"at": 1, "incidents": []}');
    else if (headers["x-envelope-from"] === "odd@x.example") response.destroy();
    else says(200, "accepted")(response);
  };
  await cron(bucket);
  assert.deepEqual([mails().length, bucket.keys().length], [2, 1]);
});

test("three deferred in a row are not the mails' fault: the run ends", async () => {
  const bucket = waiting(1, ..."abcde".split("").map((name) => `${name}@x.example`));
  answer = says(503, "temporary");
  await cron(bucket);
  assert.deepEqual([mails().length, bucket.keys().length], [3, 5]);
});

test("a refusal after the fact moves the mail to the refused ones and tells the API why", async () => {
  const bucket = waiting(1, "a@x.example");
  answer = (response, { path }) =>
    path === "/v1/messages" ? says(422, "refused", '{"detail": "postfix: 554 virus"}')(response) : says(200)(response);
  await cron(bucket);
  assert.deepEqual([bucket.keys(), bucket.keys("refused/").length], [[], 1]);
  const { waiting: left, refused: [refusal] } = reported();
  const { key, at, ...rest } = refusal;
  assert.deepEqual([left, key], [0, "a@x.example"]);
  assert.ok(Math.abs(at * 1000 - Date.now()) < 5 * MINUTE);
  const text = "postfix: 554 virus";
  assert.deepEqual(rest, { from: "a@x.example", to: "r@example.com", verdict: "refused", text, authenticated: true });
});

test("a mail that is still deferred on its last day is refused, not lost", async () => {
  const bucket = waiting(13.5, "a@x.example");
  answer = says(503, "temporary", '{"detail": "postfix: 451 scanner"}');
  await cron(bucket);
  assert.deepEqual([bucket.keys(), bucket.keys("refused/").length], [[], 1]);
});

test("the report says how many wait, how large they are and since when", async () => {
  const bucket = waiting(2, "a@x.example", "b@x.example");
  answer = (response, { path }) => (path === "/v1/messages" ? says(530) : says(200))(response);
  await cron(bucket);
  const { waiting: left, bytes, oldest, refused } = reported();
  assert.deepEqual([left, bytes, refused], [2, 2 * RAW.length, []]);
  assert.ok(Math.abs(oldest * 1000 - (Date.now() - 2 * DAY)) < MINUTE);
});

test("a mail that never got a verdict is refused on its last day with what happened instead", async () => {
  const bucket = waiting(13.5, "a@x.example");
  answer = (response, { path }) => {
    if (path === "/v1/monitor") response.end('{"at": 1, "incidents": []}');
    else if (path === "/v1/messages") response.destroy();
    else says(200)(response);
  };
  await cron(bucket);
  const [{ verdict, text }] = reported().refused;
  assert.deepEqual([bucket.keys(), verdict], [[], "none"]);
  assert.match(text, /mailserver-api/);
});

test("mails of all kinds stay within a free plan's 50 requests", async () => {
  const bucket = waiting(1, ...Array.from({ length: 60 }, (_, number) => `${number}@x.example`));
  answer = (response, { path, headers }) => {
    if (path === "/v1/monitor") response.end('{"at": 1, "incidents": []}');
    else if (Number(headers["x-envelope-from"]?.split("@")[0]) % 2) response.destroy();
    else says(200, "accepted")(response);
  };
  await cron(bucket);
  assert.ok(calls.length > 30 && calls.length <= 42, String(calls.length));
});

test("a cron whose bucket fails does nothing worse than say so", async () => {
  const bucket = waiting(1, "a@x.example");
  for (const name of ["list", "get", "delete"]) {
    bucket.broken = new Set([name]);
    await cron(bucket);
  }
  assert.equal(bucket.keys().length, 1);
});

const CLOUDFLARE = "mx.cloudflare.net; dkim=pass header.d=sender.example header.s=a header.b=b; ";
for (const [name, from, results, expected] of [
  ["SPF passed for its domain", "w@sender.example", `${CLOUDFLARE}spf=pass (mx.cloudflare.net: domain of w@sender.example designates 192.0.2.1 as permitted sender) smtp.mailfrom=w@sender.example; arc=none`, true],
  ["DMARC passed for its domain", "w@sender.example", `${CLOUDFLARE}dmarc=pass header.from=sender.example policy.dmarc=none`, true],
  ["DMARC passed for the domain above", "w@bounce.sender.example", `${CLOUDFLARE}dmarc=pass header.from=sender.example`, true],
  ["nothing passed", "w@sender.example", `${CLOUDFLARE}dmarc=fail header.from=sender.example; spf=softfail smtp.mailfrom=w@sender.example`, false],
  ["DMARC passed for the From of another", "victim@bank.example", `${CLOUDFLARE}dmarc=pass header.from=sender.example`, false],
  ["SPF passed for the greeting only", "w@sender.example", `${CLOUDFLARE}spf=pass smtp.helo=mx.sender.example`, false],
  ["the sender wrote the result", "w@sender.example", "mx.evil.example; spf=pass smtp.mailfrom=w@sender.example", false],
  ["the sender wrote a second one", "w@sender.example", `${CLOUDFLARE}spf=fail smtp.mailfrom=w@sender.example, mx.cloudflare.net; spf=pass smtp.mailfrom=w@sender.example`, false],
  ["the result is in the sender's own address", '"; spf=pass smtp.mailfrom=w@sender.example; "@sender.example', `${CLOUDFLARE}spf=fail smtp.mailfrom="; spf=pass smtp.mailfrom=w@sender.example; "@sender.example`, false],
  ["it has no sender", "", `${CLOUDFLARE}dmarc=pass header.from=sender.example`, false],
  ["Cloudflare says nothing", "w@sender.example", "", false],
]) {
  test(`${name}: the mail in the spool counts as ${expected ? "" : "not "}authenticated`, async () => {
    answer = says(530);
    const headers = new Headers(results ? { "Authentication-Results": results } : {});
    const { bucket, kept } = await deliver({ mail: { from, headers } });
    assert.equal(bucket.objects.get(kept[0]).customMetadata.authenticated, String(expected));
  });
}
