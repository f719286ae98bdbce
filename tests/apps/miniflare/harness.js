// The mail server of Email Routing (routing.js, the harness of tests/stack), and beside it what else Cloudflare does
// for the Worker: POST /cron?now= is a minute of the cron trigger, GET /objects is what the bucket holds.
import routing from "routing.js";
import worker from "worker.js";

export default {
  async fetch(request, env, ctx) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/cron") {
      await worker.scheduled({ scheduledTime: Number(searchParams.get("now")), cron: "* * * * *" }, env, ctx);
      return new Response();
    }
    if (pathname === "/objects") {
      const found = [];
      let page;
      do {
        page = await env.SPOOL.list({ include: ["customMetadata"], cursor: page?.cursor });
        found.push(...page.objects.map(({ key, size, customMetadata }) => ({ key, size, ...customMetadata })));
      } while (page.truncated);
      return Response.json(found);
    }
    return routing.fetch(request, env, ctx);
  },
};
