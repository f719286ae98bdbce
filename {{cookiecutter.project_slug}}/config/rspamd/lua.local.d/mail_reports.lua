-- Tells usermgmt what happened to each mail that Postfix asked about, and why, for its page "Mail": who wrote to whom, the
-- subject, score and symbols, and nothing else of the mail. It is told beside the scan: no mail waits for usermgmt. While that
-- does not answer, reports wait here, in memory and in bounded number.

local logger = require "rspamd_logger"
local ucl = require "ucl"
local util = require "rspamd_util"

local MOST_WAITING, AT_ONCE, AGAIN = 2000, 20, 5.0
local waiting, ask, sending = {}, nil, false
local send

local function answered(count, err, code)
  sending = false
  if err or code >= 500 then
    logger.warnx(rspamd_config, "mail reports: usermgmt does not take them (%s), %s wait", err or code, #waiting)
    return
  end
  if code ~= 204 then
    logger.errx(rspamd_config, "mail reports: usermgmt refused %s of them with %s", count, code)
  end
  for _ = 1, count do
    table.remove(waiting, 1)
  end
  send()
end

function send()
  if sending or not ask or #waiting == 0 then
    return
  end
  sending = true
  local batch = {}
  for number = 1, math.min(#waiting, AT_ONCE) do
    batch[number] = waiting[number]
  end
  local body = ucl.to_format(batch, "json-compact")
  ask({ method = "POST", path = "/internal/mail-reports", body = body }, function(err, code)
    answered(#batch, err, code)
  end)
end

rspamd_config:add_on_load(function(config, ev_base, worker)
  if worker:is_scanner() then
    ask = rspamd_plugins.usermgmt.caller(ev_base, require("rspamd_resolver").init(ev_base, config))
    config:add_periodic(ev_base, AGAIN, function()
      send()
      return true
    end)
  end
end)

-- What a mail is found by in the mailbox, as in before-delivery.sieve: the mark of mailserver-api, else Postfix's queue id.
local function place(task)
  local mark = (task:get_header_full("X-Mailserver-Delivery") or {})[1]
  if not task:get_user() and mark and (mark.value or ""):match("^%x+$") and #mark.value == 64 then
    return "X-Mailserver-Delivery", mark.value
  end
  local id = task:get_queue_id()
  return "Received", id and "id " .. id
end

local function reasons(task)
  local found = {}
  for name, symbol in pairs((task:get_protocol_reply({ "metrics" }) or {}).symbols or {}) do
    local virus = name == "CLAM_VIRUS" and symbol.options and symbol.options[1]
    found[#found + 1] = { name = name, score = symbol.score, text = virus or symbol.description }
  end
  return found
end

local function addresses(list)
  local found = {}
  for _, entry in ipairs(list or {}) do
    found[#found + 1] = entry.addr
  end
  return found
end

-- The mail of `make probe` is nobody's, and would come every hour.
local function is_probe(task)
  local to = task:get_recipients("smtp") or {}
  return #to == 1 and ((to[1].addr or ""):lower():match("^mailctl%-probe[+@]")) ~= nil
end

rspamd_config:register_symbol({
  name = "MAIL_REPORT",
  type = "idempotent",
  flags = "empty,explicit_disable,ignore_passthrough",
  callback = function(task)
    -- Not what mailserver-api, an operator or a user's learning asks about, nor a report that has a page of its own.
    if not task:has_flag("milter") or is_probe(task) or task:get_metric_action() == "discard" then
      return
    end
{% if cookiecutter.forward_by_relay %}
    -- A copy that is forwarded outside: the mail itself has its report.
    if tostring(task:get_request_header("MTA-Name") or "") == "forwards" then
      return
    end
{% endif %}
    if #waiting >= MOST_WAITING then
      logger.errx(task, "mail reports: too many wait, this one is lost")
      return
    end
    local header, key = place(task)
    local action = task:get_metric_action()
    waiting[#waiting + 1] = {
      report = util.random_hex(32),
      at = util.get_time(),
      action = action,
      score = task:get_metric_score()[1],
      threshold = task:get_metric_threshold(action == "reject" and action or "add header"),
      sender = (addresses(task:get_from("mime"))[1]),
      envelope_sender = (addresses(task:get_from("smtp"))[1]),
      recipients = addresses(task:get_recipients("smtp")),
      user = task:get_user(),
      subject = task:get_subject(),
      size = task:get_size(),
      header = header,
      key = key,
      reasons = reasons(task),
    }
    send()
  end,
})
