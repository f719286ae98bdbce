-- Allowed and blocked senders of the server, its domains and its people, as usermgmt lists them. One worker asks usermgmt and
-- writes the lists into a file; all read that, so no mail waits, and while usermgmt is down the last lists go on, also after a
-- restart. What counts: a person's list before the domain's before the server's; in a list the whole address before its domain
-- before "*." and a domain above. A mail to several is allowed or blocked only if all of them want it.

local logger = require "rspamd_logger"
local priorities = require("lua_util").symbols_priorities
local ucl = require "ucl"
local util = require "rspamd_util"

local FILE, ASK_EVERY, LOOK_EVERY = "/var/lib/rspamd/sender-rules.json", 10.0, 5.0
-- An allowed sender's account may be stolen: what carries these is judged like anybody's mail.
local DANGEROUS = { "DBL_MALWARE", "DBL_PHISH", "MIME_BAD_ATTACHMENT", "MIME_BAD_EXTENSION", "MIME_DOUBLE_BAD_EXTENSION" }
local WANTED, PATTERN = "sender_rules_wanted", "sender_rules_pattern"
local rules, seen = nil, nil

local function look()
  local err, found = util.stat(FILE)
  if not err and found.mtime ~= seen then
    local file, parser = io.open(FILE), ucl.parser()
    local text = file and file:read("*a") or ""
    -- Half a file is still being written.
    if file and file:close() and text:sub(-1) == "\n" and parser:parse_text(text) then
      rules, seen = parser:get_object(), found.mtime
    end
  end
  return true
end

local function fetch(ask, state)
  if state.asking then
    return true
  end
  state.asking = true
  ask({ method = "GET", path = "/internal/sender-rules", tag = state.tag }, function(err, code, body, headers)
    state.asking = false
    if code == 200 then
      local file = io.open(FILE, "w")
      if file and file:write(tostring(body), "\n") and file:close() then
        state.tag = headers["etag"]
        return
      end
      logger.errx(rspamd_config, "sender rules: %s cannot be written", FILE)
    elseif err or code ~= 304 then
      logger.warnx(rspamd_config, "sender rules: usermgmt does not tell them (%s), the last ones go on", err or code)
    end
  end)
  return true
end

rspamd_config:add_on_load(function(config, loop, worker)
  if worker:is_primary_controller() then
    local state, ask = {}, rspamd_plugins.usermgmt.caller(loop, require("rspamd_resolver").init(loop, config))
    config:add_periodic(loop, ASK_EVERY, function()
      return fetch(ask, state)
    end)
  end
  if worker:is_scanner() then
    look()
    config:add_periodic(loop, LOOK_EVERY, look)
  end
end)

-- What a list says of an address, and by which entry.
local function entry(list, address)
  local domain = address:match("@([^@]+)$")
  if list[address] or not domain then
    return list[address], address
  elseif list[domain] then
    return list[domain], domain
  end
  while domain do
    if list["*." .. domain] then
      return list["*." .. domain], "*." .. domain
    end
    domain = domain:match("^[^.]+%.(.+)$")
  end
end

-- Anybody can write any envelope, so it blocks and never allows.
local function judge(list, senders)
  for number, address in ipairs(senders) do
    local kind, pattern = entry(list, address)
    if kind == "block" or (kind == "allow" and number == 1 and senders.one) then
      return kind, pattern
    end
  end
end

local function wanted_by(address, senders)
  local bare = address:lower():gsub("^([^+@]+)%+[^@]*", "%1")
  local domain = bare:match("@([^@]+)$") or ""
  local person = rules.addresses[bare] or rules.addresses["@" .. domain] or ""
  local kind, pattern = judge(rules.people[person] or {}, senders)
  if kind then
    return kind == "block" and "junk" or kind, pattern
  end
  kind, pattern = judge(rules.domains[domain] or {}, senders)
  if not kind then
    kind, pattern = judge(rules.server, senders)
  end
  return kind == "block" and "refuse" or kind, pattern
end

-- What all recipients want: one who junks it softens the refusal of another.
local function wanted_by_all(recipients, senders)
  local all, pattern = nil, nil
  for _, recipient in ipairs(recipients) do
    local kind, by = wanted_by(recipient.addr or "", senders)
    if not kind or (all and all ~= kind and (all == "allow" or kind == "allow")) then
      return nil
    elseif all ~= "junk" then
      all, pattern = kind, by
    end
  end
  return all, pattern
end

local function domain_above(address)
  local domain = (address or ""):lower():match("@([^@]+)$")
  return domain and (util.get_tld(domain) or domain)
end

-- Whether the domain of From confirms the mail: by DMARC or, where it publishes none, by SPF or DKIM for the same domain.
local function proven(task, from)
  for _, name in ipairs({ "DMARC_POLICY_REJECT", "DMARC_POLICY_QUARANTINE", "DMARC_POLICY_SOFTFAIL" }) do
    if task:has_symbol(name) then
      return false
    end
  end
  local domain = domain_above(from)
  local envelope = domain_above(((task:get_from("smtp") or {})[1] or {}).addr)
  if task:has_symbol("DMARC_POLICY_ALLOW") or (task:has_symbol("R_SPF_ALLOW") and envelope == domain) then
    return true
  end
  for _, signature in ipairs(((task:get_symbol("R_DKIM_ALLOW") or {})[1] or {}).options or {}) do
    if domain_above("@" .. signature:match("^[^:]*")) == domain then
      return true
    end
  end
  return false
end

local function is_dangerous(task)
  for _, name in ipairs(DANGEROUS) do
    if task:has_symbol(name) then
      return true
    end
  end
  return false
end

-- Before everything is judged: what is refused needs no scan, and what is allowed needs each, however bad its score is already.
rspamd_config:register_symbol({
  name = "SENDER_RULES",
  type = "prefilter",
  priority = priorities.medium,
  flags = "explicit_disable",
  callback = function(task)
    if not rules or task:get_user() then
      return
    end
    local from, senders = task:get_from("mime") or {}, {}
    for _, each in ipairs({ from[1] or {}, (task:get_from("smtp") or {})[1] or {}, unpack(from, 2) }) do
      senders[#senders + 1] = (each.addr or ""):lower()
    end
    senders.one = #from == 1
    local wanted, pattern = wanted_by_all(task:get_recipients("smtp") or {}, senders)
    if wanted == "refuse" then
      task:insert_result("SENDER_BLOCKED", 0.0, pattern)
      task:set_pre_result("reject", "This server takes no mail from you: " .. pattern .. " is blocked", "sender_rules")
    elseif wanted then
      task:get_mempool():set_variable(WANTED, wanted)
      task:get_mempool():set_variable(PATTERN, pattern)
      if wanted == "allow" then
        task:set_flag("pass_all")
      end
    end
  end,
})

-- A score just below Junk, or at it: what refuses by itself (viruses, long headers) still does. And before what asks for the
-- verdict of the virus scanner, which a mail needs that is not refused any more.
rspamd_config:register_symbol({
  name = "SENDER_RULES_APPLIED",
  type = "postfilter",
  priority = priorities.top + 1,
  flags = "explicit_disable",
  callback = function(task)
    local pool = task:get_mempool()
    local wanted, pattern = pool:get_variable(WANTED), pool:get_variable(PATTERN)
    local score, junk = task:get_metric_score("default")[1], task:get_metric_threshold("add header") or 6
    if wanted == "junk" then
      task:insert_result("SENDER_BLOCKED", math.max(junk - score, 0), pattern)
    elseif wanted == "allow" and not proven(task, ((task:get_from("mime") or {})[1] or {}).addr) then
      task:insert_result("SENDER_NOT_PROVEN", 0.0, pattern)
    elseif wanted == "allow" and not is_dangerous(task) then
      task:insert_result("SENDER_ALLOWED", math.min(junk - 1 - score, 0), pattern)
    end
  end,
})

for name, description in pairs({
  SENDER_ALLOWED = "The sender is on an allow list",
  SENDER_BLOCKED = "The sender is on a block list",
  SENDER_NOT_PROVEN = "The sender is on an allow list, and the mail may be forged",
}) do
  rspamd_config:set_metric_symbol({ name = name, score = 1.0, description = description, group = "sender_rules" })
end
