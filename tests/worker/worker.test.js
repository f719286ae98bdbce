// Unit tests in plain node, without a dependency: the Worker talks over real HTTP to a server on this machine.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";

import worker from "../../{{cookiecutter.project_slug}}/platform/email-worker/worker.js";

const TOKEN = randomUUID();
const RAW = Buffer.from("Subject: gr\xfc\xdfe\r\n\r\n\x00\xff a line\r\n.\r\n", "latin1");
let server, url, call, answer;

before(async () => {
  server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    call = { path: request.url, method: request.method, headers: request.headers, body: Buffer.concat(chunks) };
    answer(response);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  url = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.closeAllConnections() ?? server.close());
beforeEach((t) => {
  call = undefined;
  t.mock.method(console, "log", () => {});
});

const says = (status, verdict, headers = {}) => (response) =>
  response.writeHead(status, { ...(verdict && { "X-Mail-Verdict": verdict }), ...headers }).end("the body");

/** Run the Worker on one mail: what it did ("accepted", "rejected" or "deferred") and with which words. */
async function deliver(mail = {}, bindings = {}) {
  let text;
  const message = {
    from: "writer@sender.example",
    to: "reader@example.com",
    raw: new Blob([RAW]).stream(),
    rawSize: RAW.length,
    setReject: (reason) => (text = reason),
    ...mail,
  };
  try {
    await worker.email(message, { API_URL: url, API_TOKEN: TOKEN, ...bindings });
  } catch (error) {
    return { did: "deferred", text: error.message };
  }
  return text === undefined ? { did: "accepted" } : { did: "rejected", text };
}

test("the message arrives byte for byte, with its envelope and the token", async () => {
  answer = says(200, "accepted");
  assert.deepEqual(await deliver(), { did: "accepted" });
  assert.equal(`${call.method} ${call.path}`, "POST /v1/messages");
  assert.deepEqual(call.body, RAW);
  assert.equal(call.headers.authorization, `Bearer ${TOKEN}`);
  assert.equal(call.headers["x-envelope-from"], "writer@sender.example");
  assert.equal(call.headers["x-envelope-to"], "reader@example.com");
  assert.equal(call.headers["content-type"], "message/rfc822");
});

test("a bounce, which has no sender, is passed on as <>", async () => {
  answer = says(200, "accepted");
  await deliver({ from: "" });
  assert.equal(call.headers["x-envelope-from"], "<>");
});

for (const [status, verdict, words] of [
  [404, "unknown-recipient", /no such mailbox.*\(reader@example\.com\)$/],
  [413, "too-large", /too large/],
  [507, "over-quota", /full/],
  [422, "refused", /spam.*virus/],
]) {
  test(`${status} ${verdict} is refused for good, in words for a person`, async () => {
    answer = says(status, verdict);
    const { did, text } = await deliver();
    assert.equal(did, "rejected");
    assert.match(text, words);
    assert.match(text, /^[ -~]{20,200}$/);
  });
}

test("a refusal tells the sender what the filter said", async () => {
  answer = says(422, "refused", { "X-Mail-Reason": 'virus found: "Win.Test.EICAR_HDB-1"' });
  const { did, text } = await deliver();
  assert.equal(did, "rejected");
  assert.equal(text, 'Your message was refused: virus found: "Win.Test.EICAR_HDB-1" (reader@example.com)');
});

for (const [what, reason] of [
  ["no ASCII", "caf\xe9"],
  ["too long", "x".repeat(201)],
  ["empty", ""],
]) {
  test(`a reason that is ${what} is not told`, async () => {
    answer = says(422, "refused", { "X-Mail-Reason": reason });
    assert.match((await deliver()).text, /looks like spam.*virus/);
  });
}

test("a reason with another verdict than a refusal is not told", async () => {
  answer = says(404, "unknown-recipient", { "X-Mail-Reason": "because" });
  assert.match((await deliver()).text, /no such mailbox/);
});

for (const status of [200, 204, 403, 404, 413, 422, 502, 507, 521, 530]) {
  test(`${status} from somebody else on the way is temporary`, async () => {
    answer = says(status, undefined, { "Content-Type": "text/html" });
    const { did, text } = await deliver();
    assert.equal(did, "deferred");
    assert.match(text, new RegExp(`HTTP ${status}, not an answer of mailserver-api`));
  });
}

for (const [status, verdict] of [
  [400, "malformed"],
  [401, "unauthorized"],
  [429, "busy"],
  [503, "temporary"],
  [200, "temporary"],
  [202, "accepted"],
  [404, "refused"],
  [422, "accepted"],
  [550, "refused"],
]) {
  test(`${status} ${verdict} is temporary`, async () => {
    answer = says(status, verdict);
    assert.equal((await deliver()).did, "deferred");
  });
}

test("a redirect is not followed: the token goes nowhere else, and nobody there can accept the mail", async () => {
  const elsewhere = says(303, "accepted", { Location: `${url}/elsewhere` });
  answer = (response) => (call.path === "/elsewhere" ? says(200, "accepted") : elsewhere)(response);
  assert.equal((await deliver()).did, "deferred");
  assert.equal(call.path, "/v1/messages");
});

test("no answer in time is temporary", async () => {
  answer = () => {};
  assert.deepEqual(await deliver({}, { TIMEOUT_SECONDS: "0.2" }), { did: "deferred", text: "no verdict within 0.2 s" });
});

test("a large mail has no more time than a small one: Cloudflare waits no longer for it", async () => {
  answer = () => {};
  const began = Date.now();
  assert.equal((await deliver({ rawSize: 25 * 1024 * 1024 }, { TIMEOUT_SECONDS: "0.2" })).did, "deferred");
  assert.ok(Date.now() - began < 10_000);
});

test("a TIMEOUT_SECONDS of an earlier version that is longer than Cloudflare waits is cut", async (t) => {
  const timeout = t.mock.method(AbortSignal, "timeout");
  answer = says(200, "accepted");
  await deliver({}, { TIMEOUT_SECONDS: "300" });
  assert.ok(timeout.mock.calls[0].arguments[0] <= 22_000);
});

test("a connection that breaks before the verdict is temporary", async () => {
  answer = (response) => response.destroy();
  assert.equal((await deliver()).did, "deferred");
});

test("a server that is down is temporary", async () => {
  const closed = createServer();
  await new Promise((listening) => closed.listen(0, "127.0.0.1", listening));
  const { port } = closed.address();
  await new Promise((done) => closed.close(done));
  const { did, text } = await deliver({}, { API_URL: `http://127.0.0.1:${port}` });
  assert.equal(did, "deferred");
  assert.match(text, /^mailserver-api: /);
});

for (const [name, bindings, words] of [
  ["no API_URL", { API_URL: undefined }, /API_URL/],
  ["an API_URL in the clear", { API_URL: "http://mail-api.example.com" }, /API_URL.*https/],
  ["no API_TOKEN", { API_TOKEN: undefined }, /API_TOKEN.*not set/],
  ["an API_TOKEN of two lines", { API_TOKEN: "secret-one\nsecret-two" }, /API_TOKEN.*one line/],
  ["a TIMEOUT_SECONDS that is no number", { TIMEOUT_SECONDS: "soon" }, /TIMEOUT_SECONDS.*soon/],
]) {
  test(`${name} is temporary, says which binding it is, and shows no secret`, async () => {
    const { did, text } = await deliver({}, bindings);
    assert.equal(did, "deferred");
    assert.match(text, words);
    assert.doesNotMatch(text, /secret-/);
    assert.equal(call, undefined);
  });
}

test("a line break in the envelope never becomes a header", async () => {
  answer = says(200, "accepted");
  assert.equal((await deliver({ from: "a@b.example\r\nAuthorization: Bearer x" })).did, "deferred");
  assert.equal(call, undefined);
});

test("an address that cannot be part of an SMTP answer is left out of the bounce", async () => {
  answer = says(404, "unknown-recipient");
  assert.doesNotMatch((await deliver({ to: "a b@example.com" })).text, /\(/);
});

test("the log has the outcome, Cloudflare's ray and times, but no address and no token", async () => {
  answer = says(503, "temporary", { "CF-Ray": "8f00-NRT" });
  await deliver();
  const lines = console.log.mock.calls.map(({ arguments: [line] }) => line);
  assert.equal(lines.length, 1);
  const { outcome, status, verdict, ray, size } = JSON.parse(lines[0]);
  assert.deepEqual([outcome, status, verdict, ray, size], ["deferred", 503, "temporary", "8f00-NRT", RAW.length]);
  assert.ok(!lines[0].includes("@") && !lines[0].includes(TOKEN));
});

// ---- Forwarding outside

const FORWARD = { key: "a".repeat(64), to: ["old@elsewhere.example", "two@elsewhere.example"] };

/** An API that names addresses; `reports` gets what the Worker tells it, and `refuse` so many reports fail first. */
function names(forward, reports, refuse = 0) {
  return (response) => {
    if (call.path !== "/v1/forwards") {
      response.writeHead(200, { "X-Mail-Verdict": "accepted" }).end(JSON.stringify({ verdict: "accepted", forward }));
      return;
    }
    if (refuse-- > 0) return void response.writeHead(503).end();
    reports.push(JSON.parse(call.body));
    response.writeHead(200).end();
  };
}

test("an accepted mail is forwarded to each address that is named, with a mark, and each is reported", async () => {
  const reports = [];
  const sent = [];
  answer = names(FORWARD, reports);
  const forward = async (to, headers) => void sent.push([to, headers.get("X-Mailserver-Forwarded")]);
  assert.deepEqual(await deliver({ forward }), { did: "accepted" });
  assert.deepEqual(sent, FORWARD.to.map((to) => [to, "reader@example.com"]));
  assert.deepEqual(reports, FORWARD.to.map((destination) => ({ key: FORWARD.key, destination, reason: "" })));
});

test("an address that fails is reported with the reason, the next one is tried, and the mail is accepted", async () => {
  const reports = [];
  answer = names(FORWARD, reports);
  const forward = async (to) => {
    if (to === FORWARD.to[0]) throw new Error("destination address is not verified");
  };
  assert.deepEqual(await deliver({ forward }), { did: "accepted" });
  assert.deepEqual(reports.map(({ reason }) => reason), ["destination address is not verified", ""]);
});

test("a report that is not taken is repeated, and the forward is not", async () => {
  const reports = [];
  const sent = [];
  answer = names({ ...FORWARD, to: ["old@elsewhere.example"] }, reports, 1);
  assert.deepEqual(await deliver({ forward: async (to) => void sent.push(to) }), { did: "accepted" });
  assert.equal(sent.length, 1);
  assert.equal(reports.length, 1);
});

test("when the time ends before all was forwarded, the sender comes again", async () => {
  answer = names(FORWARD, []);
  const forward = () => new Promise(() => {});
  const { did, text } = await deliver({ forward }, { TIMEOUT_SECONDS: "1" });
  assert.equal(did, "deferred");
  assert.match(text, /not all was forwarded in time/);
});

test("the API hears that the mail can be forwarded", async () => {
  answer = says(200, "accepted");
  await deliver();
  assert.equal(call.headers["x-can-forward"], "yes");
});
