-- Names the addresses outside this server that a mail is forwarded to, once it is sure that the mail passes and is no spam:
-- mailserver-api, which waits for the verdict, hands them to the Email Worker. Aliases and people choose them, and usermgmt
-- lists them. A mail whose addresses cannot be named is deferred, so that none is forgotten. Mail of our own people never
-- passes the Worker: mailserver-api is told, so that their account page can say so.
{% if cookiecutter.forward_by_relay %}
-- First it is asked to forward that mail by the relay (forward_by_relay.lua).
{% endif %}

local http = require "rspamd_http"
local logger = require "rspamd_logger"
local priorities = require("lua_util").symbols_priorities
local ucl = require "ucl"

local FILE = "/var/lib/rspamd/forwards.json"
local SERVICE, URL, LONGEST_TRY = "mailserver-api", "http://%s:8000/internal/forwards", 5.0
local MARK, FORWARDED = "X-Mailserver-Delivery", "X-Mailserver-Forwarded"
-- What Dovecot sends on between mailboxes was looked at when it came in; and the probe is nobody's.
{% if cookiecutter.forward_by_relay %}
local WITHIN = { filters = true, probe = true, forwards = true }
{% else %}
local WITHIN = { filters = true, probe = true }
{% endif %}
local lists = nil

rspamd_config:add_on_load(function(config, loop, worker)
  lists = rspamd_plugins.usermgmt.list(config, loop, worker, "/internal/forwards", FILE, "forwards")
end)

local function bare(address)
  return (address:lower():gsub("^([^+@]+)%+[^@]*", "%1"))
end

-- Where mail to an address is forwarded; nil: nowhere. Whatever is listed is not left to the catch-all.
local function destinations(forwards, address)
  local found = forwards[bare(address)] or forwards["@" .. (address:lower():match("@([^@]+)$") or "")]
  return found and #found > 0 and found or nil
end

-- The key by which mailserver-api knows a mail: only the topmost is ours.
local function mark(task)
  local value = ((task:get_header_full(MARK) or {})[1] or {}).value or ""
  return value:match("^%x+$") and #value == 64 and value or nil
end

-- Whether it was forwarded from this very address before.
local function came_back(task, recipient)
  for _, each in ipairs(task:get_header_full(FORWARDED) or {}) do
    if bare((each.decoded or each.value or ""):match("^%s*(.-)%s*$")) == bare(recipient) then
      return true
    end
  end
end

-- Tells mailserver-api; 404 is a mail whose caller has gone: it comes again.
local function tell(task, named, failed)
  rspamd_plugins.usermgmt.find({ task = task }, function(address)
    local started = address and http.request({
      task = task,
      url = string.format(URL, address),
      method = "POST",
      headers = { Host = SERVICE },
      mime_type = "application/json",
      body = ucl.to_format(named, "json-compact"),
      timeout = LONGEST_TRY,
      callback = function(err, code)
        if code ~= 200 and code ~= 404 then
          failed(err or code)
        end
      end,
    })
    if not started then
      failed("no address")
    end
  end, SERVICE)
end

local function of_our_people(task, forwards)
  local id = task:get_queue_id()
  for _, each in ipairs(id and task:get_recipients("smtp") or {}) do
    local found = destinations(forwards, each.addr or "")
    if found then
      local named = { key = id, recipient = each.addr, destinations = found, reason = "own" }
{% if cookiecutter.forward_by_relay %}
      rspamd_plugins.forward_by_relay.hand_over(task, named, function()
        tell(task, named, function(reason)
          logger.warnx(task, "forwards: mailserver-api does not hear that this mail is not forwarded (%s)", reason)
        end)
      end)
{% else %}
      tell(task, named, function(reason)
        logger.warnx(task, "forwards: mailserver-api does not hear that this mail is not forwarded (%s)", reason)
      end)
{% endif %}
    end
  end
end

-- After all others, for only then the verdict is final: a pre-result of theirs ends the postfilters.
rspamd_config:register_symbol({
  name = "FORWARDS",
  type = "postfilter",
  priority = priorities.top + 1,
  flags = "explicit_disable",
  callback = function(task)
    local forwards = lists and lists()
    local passes = task:has_flag("milter") and task:get_metric_action("default") == "no action"
    if not forwards or not passes or WITHIN[tostring(task:get_request_header("MTA-Name") or "")] then
      return
    elseif task:get_user() then
      return of_our_people(task, forwards)
    end
    local to, key = task:get_recipients("smtp") or {}, mark(task)
    local found = key and #to == 1 and destinations(forwards, to[1].addr or "")
    if found then
      local reason = came_back(task, to[1].addr) and "loop" or ""
      local named = { key = key, recipient = to[1].addr, destinations = found, reason = reason }
      tell(task, named, function(why)
        logger.errx(task, "forwards: mailserver-api does not take the addresses (%s): deferred", why)
        task:set_pre_result("soft reject", "Forwarding cannot be arranged now, please try again later", "forwards")
      end)
    end
  end,
})
