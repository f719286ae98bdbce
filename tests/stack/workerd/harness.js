// Stands in for Cloudflare's mail server: one POST is one mail to one recipient; the answer says what the Worker did.
import worker from "worker.js";

export default {
  async fetch(request, env, ctx) {
    const { searchParams } = new URL(request.url);
    const bindings = Object.fromEntries([...searchParams].filter(([name]) => name === name.toUpperCase()));
    let rejected;
    const message = {
      from: searchParams.get("from"),
      to: searchParams.get("to"),
      raw: request.body,
      rawSize: Number(searchParams.get("size")),
      headers: new Headers(JSON.parse(searchParams.get("headers") ?? "[]")),
      setReject: (reason) => (rejected ??= reason),
    };
    try {
      await worker.email(message, { ...env, ...bindings }, ctx);
    } catch (error) {
      return Response.json({ did: "thrown", text: error.message });
    }
    return Response.json(rejected === undefined ? { did: "accepted", text: "" } : { did: "rejected", text: rejected });
  },
};
