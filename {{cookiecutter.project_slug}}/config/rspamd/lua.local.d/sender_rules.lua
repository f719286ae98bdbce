-- Allowed and blocked senders of the server, its domains and its people, as usermgmt lists them. A person's list counts before the domain's before the server's; in a list the whole address before its domain
-- before "*." and a domain above. A mail to several is allowed or blocked only if all of them want it. People may also have a
-- limit of their own from which a mail goes to Junk: of a mail to several the highest counts.

local priorities = require("lua_util").symbols_priorities
local util = require "rspamd_util"

local FILE = "/var/lib/rspamd/sender-rules.json"
-- An allowed sender's account may be stolen: what carries these is judged like anybody's mail.
local DANGEROUS = { "DBL_MALWARE", "DBL_PHISH", "MIME_BAD_ATTACHMENT", "MIME_BAD_EXTENSION", "MIME_DOUBLE_BAD_EXTENSION" }
local DISOWNED = { "DMARC_POLICY_REJECT", "DMARC_POLICY_QUARANTINE", "DMARC_POLICY_SOFTFAIL" }
local lists, rules = nil, nil

rspamd_config:add_on_load(function(config, loop, worker)
  lists = rspamd_plugins.usermgmt.list(config, loop, worker, "/internal/sender-rules", FILE, "sender rules")
end)

-- What a list says of these senders, and by which entry. Anybody can write any envelope, so only From allows.
local function judge(list, senders)
  for number, address in ipairs(senders) do
    local domain = address:match("@([^@]+)$")
    local pattern = list[address] and address or domain
    while domain and not list[pattern] do
      pattern = "*." .. domain
      domain = domain:match("^[^.]+%.(.+)$")
    end
    local kind = pattern and list[pattern]
    if kind == "block" or (kind == "allow" and number == 1 and senders.one) then
      return kind, pattern
    end
  end
end

-- Whose address it is, as usermgmt numbers people, and its domain.
local function person_of(address)
  local bare = address:lower():gsub("^([^+@]+)%+[^@]*", "%1")
  local domain = bare:match("@([^@]+)$") or ""
  return rules.addresses[bare] or rules.addresses["@" .. domain] or "", domain
end

local function wanted_by(address, senders)
  local person, domain = person_of(address)
  for _, list in ipairs({ rules.people[person] or {}, rules.domains[domain] or {}, rules.server }) do
    local kind, pattern = judge(list, senders)
    if kind then
      return kind == "block" and (list == rules.people[person] and "junk" or "refuse") or kind, pattern
    end
  end
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

local function highest_limit(recipients, usual)
  local highest = nil
  for _, recipient in ipairs(recipients) do
    local limit = (rules.junk or {})[person_of(recipient.addr or "")] or usual
    highest = math.max(highest or limit, limit)
  end
  return highest or usual
end

local function has_any(task, names)
  for _, name in ipairs(names) do
    if task:has_symbol(name) then
      return true
    end
  end
  return false
end

local function domain_above(address)
  local domain = (address or ""):lower():match("@([^@]+)$")
  return domain and (util.get_tld(domain) or domain)
end

local function address_of(task, kind)
  return ((task:get_from(kind) or {})[1] or {}).addr
end

-- Whether the domain of From confirms the mail: by DMARC or, where it publishes none, by SPF or DKIM for the same domain.
local function proven(task)
  local domain = domain_above(address_of(task, "mime"))
  if has_any(task, DISOWNED) or not domain then
    return false
  elseif task:has_symbol("DMARC_POLICY_ALLOW") then
    return true
  end
  for _, signature in ipairs(((task:get_symbol("R_DKIM_ALLOW") or {})[1] or {}).options or {}) do
    if domain_above("@" .. signature:match("^[^:]*")) == domain then
      return true
    end
  end
  return task:has_symbol("R_SPF_ALLOW") and domain_above(address_of(task, "smtp")) == domain
end

-- Before all others: what is refused needs no scan, and what is allowed needs each, however bad its score is already.
rspamd_config:register_symbol({
  name = "SENDER_RULES",
  type = "prefilter",
  priority = priorities.medium,
  flags = "explicit_disable",
  callback = function(task)
    rules = lists and lists()
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
      task:cache_set("sender_rules", { wanted, pattern })
      if wanted == "allow" then
        task:set_flag("pass_all")
      end
    end
  end,
})

-- A score at the limit of Junk, or just below it: what refuses by itself (a virus, a long header) still does. Postfilters of a
-- low priority come first: after this one refusal_reason.lua looks at the score, and last rspamd.local.lua at the verdict of
-- the virus scanner, which a mail needs that is not refused any more.
rspamd_config:register_symbol({
  name = "SENDER_RULES_APPLIED",
  type = "postfilter",
  priority = priorities.low,
  flags = "explicit_disable",
  callback = function(task)
    local wanted, pattern = unpack(task:cache_get("sender_rules") or {})
    local score, junk = task:get_metric_score("default")[1], task:get_metric_threshold("add header") or 6
    if wanted == "junk" then
      task:insert_result("SENDER_BLOCKED", math.max(junk - score, 0), pattern)
    elseif wanted and not proven(task) then
      task:insert_result("SENDER_NOT_PROVEN", 0.0, pattern)
    elseif wanted and not has_any(task, DANGEROUS) then
      task:insert_result("SENDER_ALLOWED", math.min(junk - 1 - score, 0), pattern)
    elseif not wanted and rules and not task:get_user() then
      local limit = highest_limit(task:get_recipients("smtp") or {}, junk)
      if score >= limit and score < junk then
        task:insert_result("PERSONAL_LIMIT", junk - score, tostring(limit))
      elseif score >= junk and score < limit then
        task:insert_result("PERSONAL_LIMIT", junk - 1 - score, tostring(limit))
      end
    end
  end,
})

for name, description in pairs({
  SENDER_ALLOWED = "The sender is on an allow list",
  SENDER_BLOCKED = "The sender is on a block list",
  SENDER_NOT_PROVEN = "The sender is on an allow list, and the mail may be forged",
  PERSONAL_LIMIT = "The recipients have a limit of their own for Junk",
}) do
  rspamd_config:set_metric_symbol({ name = name, score = 1.0, description = description, group = "sender_rules" })
end
