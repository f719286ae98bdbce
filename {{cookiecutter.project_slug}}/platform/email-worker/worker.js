// Email Worker: hands each incoming mail to mailserver-api and tells the sender's server the result.
//
// Cloudflare calls `email` once for each recipient, while the sender's server waits. There are three ways out:
//   return       the mail is in Postfix's queue, on disk
//   setReject    a permanent refusal: the sender gets a bounce with our text
//   throw        a temporary failure: the sender's server keeps the mail and tries again
// Only mailserver-api's own verdict may bounce mail. Whatever else happens (no answer, a page of a proxy, a wrong
// token) is nothing the sender can fix, so it must never do more than delay the mail.
//
// Bindings:
//   API_URL          plain text, origin of mailserver-api, such as https://mail-api.example.com
//   API_TOKEN        secret, one of the tokens that mailserver-api accepts
//   TIMEOUT_SECONDS  plain text, optional: how long one mail may take, beside the time that its size asks for

const PATH = "/v1/messages";
// Cloudflare waits about 25 s for a Worker; mailserver-api answers within 20 s of the last byte.
const TIMEOUT_SECONDS = 22;
// A home's line may be slow: 1 Mbit/s. A fixed limit would turn the same large mail away for days, then for good.
const SLOWEST_BYTES_PER_SECOND = 128 * 1024;
const ACCEPTED = "accepted";
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

export default {
  async email(message, env) {
    const started = Date.now();
    const report = { size: message.rawSize };
    try {
      const answer = await post(message, settings(env));
      report.status = answer.status;
      report.verdict = answer.headers.get(VERDICT_HEADER);
      report.ray = answer.headers.get("CF-Ray");
      await drop(answer);
      report.outcome = decide(message, report.status, report.verdict, answer.headers.get(REASON_HEADER));
    } catch (error) {
      report.outcome = "deferred";
      report.reason = String(error.message ?? error);
      await defer(message, report.reason);
    } finally {
      report.seconds = (Date.now() - started) / 1000;
      console.log(JSON.stringify(report)); // no address and no content: logs are kept where mail is not
    }
  },
};

// The one line that decides what makes Cloudflare answer "try again later". README.md says how to check it live.
async function defer(message, reason) {
  throw new Error(reason);
}

/** Settings out of the bindings; throws an error that names the binding, what is wrong and how to fix it. */
function settings(env) {
  const url = URL.canParse(env.API_URL) ? new URL(PATH, env.API_URL) : null;
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
  return { url, token, seconds };
}

/** Stream the raw message to mailserver-api. Never decoded: text would change 8-bit bytes and break signatures. */
async function post(message, { url, token, seconds }) {
  const limit = seconds + Math.floor(message.rawSize / SLOWEST_BYTES_PER_SECOND);
  try {
    return await fetch(url, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${token}`,
        "Content-Type": "message/rfc822",
        "X-Envelope-From": message.from || "<>", // a bounce has no sender
        "X-Envelope-To": message.to,
      },
      body: message.raw,
      duplex: "half", // the standard's word for a body that is still arriving
      redirect: "manual", // never send a mail and the token wherever somebody points
      signal: AbortSignal.timeout(limit * 1000),
    });
  } catch (error) {
    const isLate = error.name === "TimeoutError" || error.name === "AbortError";
    throw new Error(isLate ? `no verdict within ${limit} s` : `mailserver-api: ${error.message}`);
  }
}

/** What the body says is in mailserver-api's log as well; leaving it unread would keep the connection. */
async function drop(answer) {
  try {
    await answer.body?.cancel();
  } catch {
    // The verdict is known; how the answer ends does not change it.
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
