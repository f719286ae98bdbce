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
      // The servers of the addresses outside: FORWARD_URL takes what Cloudflare would pass on, or says why not. A
      // connection to it that breaks is this harness's own trouble.
      forward: async (to, headers) => {
        const body = JSON.stringify({ to, mark: searchParams.get("mark"), headers: [...(headers ?? [])] });
        const pass = () => fetch(bindings.FORWARD_URL ?? env.FORWARD_URL, { method: "POST", body });
        const answer = await pass().catch(pass);
        if (!answer.ok) throw new Error(await answer.text());
      },
    };
    try {
      await worker.email(message, { ...env, ...bindings }, ctx);
    } catch (error) {
      return Response.json({ did: "thrown", text: error.message });
    }
    return Response.json(rejected === undefined ? { did: "accepted", text: "" } : { did: "rejected", text: rejected });
  },
};
