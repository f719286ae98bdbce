-- What Dovecot sends for our users comes through Postfix's listener "filters". To our own addresses it goes as any mail does.
-- To the world goes an automatic reply in the user's own name, and nothing else: signed and counted like what the user
{% if cookiecutter.relay == "ses" %}
-- sends. Its envelope keeps the user's address: SES refuses the null sender (501 Invalid MAIL FROM address provided).
{% elif cookiecutter.relay == "cloudflare" %}
-- sends. Its envelope keeps the user's address: Cloudflare takes mail from domains that are onboarded, and does not say what it does
-- with the null sender.
{% else %}
-- sends, and with the null sender, so that nothing answers it.
{% endif %}

local util = require "lua_util"

local function header(task, name)
  return tostring(task:get_request_header(name) or "")
end

local function check(task)
  if header(task, "MTA-Name") ~= "filters" or header(task, "Mailer") == "lmtp" then
    return
  end
  local sender = ((task:get_from("smtp") or {})[1] or {}).addr or ""
  local user = sender:lower():gsub("^([^+@]+)%+[^@]*", "%1")
  local from = task:get_from("mime") or {}
  local kind = task:get_header("Auto-Submitted") or ""
  if user == "" or #from ~= 1 or from[1].addr:lower() ~= user or not kind:match("^auto%-replied")
    or task:has_header("X-Sieve-Redirected-From") then
    task:insert_result("NOT_A_REPLY", 0.0)
    task:set_pre_result("reject", "Only automatic replies in one's own name leave this server without a log-in", "replies")
    return
  end
  task:set_user(user)
{% if cookiecutter.relay not in ("ses", "cloudflare") %}
  task:set_milter_reply({ change_from = "<>" })
{% endif %}
end

rspamd_config:register_symbol({
  name = "OWN_REPLY",
  type = "prefilter",
  priority = util.symbols_priorities.top,
  flags = "explicit_disable",
  callback = check,
})
