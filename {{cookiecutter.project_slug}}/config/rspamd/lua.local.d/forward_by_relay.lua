-- Forwards by the relay, for an answer of forward_by_relay. Mail of our own people is handed to mailserver-api with its verdict
-- and the signature that rspamd puts on it only afterwards. mailserver-api gives copies to Postfix's listener "forwards", so
-- they come by here again: nothing is signed then, for there are strangers' mails among them.

local http = require "rspamd_http"
local logger = require "rspamd_logger"
local priorities = require("lua_util").symbols_priorities
local ucl = require "ucl"

local SERVICE, URL, LONGEST_TRY = "mailserver-api", "http://%s:8000/internal/forwards/mail", 20.0

-- The signature, on top of the mail.
local function signed(task)
  local made = (task:get_protocol_reply({ "dkim" }) or {})["dkim-signature"]
  local text = {}
  for _, each in ipairs(type(made) == "table" and made or { made }) do
    text[#text + 1] = "DKIM-Signature: " .. each:gsub("\r?\n", "\r\n") .. "\r\n"
  end
  text[#text + 1] = tostring(task:get_content())
  return table.concat(text)
end

-- Hands a mail over; the first line says where to. `failed` is called when mailserver-api does not take it.
local function hand_over(task, named, failed)
  local function not_taken(why)
    logger.warnx(task, "forwards: mailserver-api does not take a mail of our own people (%s): it is not forwarded", why)
    failed()
  end
  local line = { key = named.key, recipient = named.recipient, destinations = named.destinations, reason = "" }
  rspamd_plugins.usermgmt.find({ task = task }, function(address)
    local started = address and http.request({
      task = task,
      url = string.format(URL, address),
      method = "POST",
      headers = { Host = SERVICE },
      mime_type = "message/rfc822",
      body = ucl.to_format(line, "json-compact") .. "\n" .. signed(task),
      timeout = LONGEST_TRY,
      callback = function(err, code)
        if code ~= 200 then
          not_taken(err or code)
        end
      end,
    })
    if not started then
      not_taken("no address")
    end
  end, SERVICE)
end

rspamd_plugins.forward_by_relay = { hand_over = hand_over }

local function is_copy(task)
  return tostring(task:get_request_header("MTA-Name") or "") == "forwards"
end

-- A copy was judged as it came in; from here its SPF is wrong. It is scanned as any mail is, and no score stops it.
rspamd_config:register_symbol({
  name = "FORWARDED_WHOLE",
  type = "prefilter",
  priority = priorities.medium,
  flags = "explicit_disable",
  callback = function(task)
    if is_copy(task) then
      task:set_flag("pass_all")
    end
  end,
})

rspamd_config:register_symbol({
  name = "FORWARDED_COPY",
  type = "postfilter",
  priority = priorities.low,
  flags = "explicit_disable",
  callback = function(task)
    local score, junk = task:get_metric_score("default")[1], task:get_metric_threshold("add header") or 6
    if is_copy(task) then
      task:insert_result("FORWARDED_COPY", math.min(junk - 1 - score, 0))
    end
  end,
})

rspamd_config:set_metric_symbol({
  name = "FORWARDED_COPY",
  score = 1.0,
  description = "A copy that is forwarded outside",
  group = "forwards",
})
