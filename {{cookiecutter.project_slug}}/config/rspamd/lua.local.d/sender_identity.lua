-- A logged-in user writes under an address of their own: every address in From, Sender, Resent-From and Resent-Sender
-- is the envelope sender, which Postfix has checked against the accounts and aliases (reject_sender_login_mismatch), or
-- the name they logged in with. Anything else is refused with the reason.

local FROM, OTHERS = "From", { "Sender", "Resent-From", "Resent-Sender" }
local ADDRESS = "[%w%.!#$&'*/=?^_`{|}~+-]+@[%w%.-]+%.%w+"
local util = require "rspamd_util"

-- user+tag@domain is user@domain.
local function plain(address)
  local name, domain = address:lower():match("^(.*)@([^@]+)$")
  if not name then
    return ""
  end
  return name:gsub("^([^+]+)%+.*$", "%1") .. "@" .. domain
end

-- The addresses of a header, or nothing and what is wrong with it.
local function addresses(task, header)
  local found = {}
  for _, entry in ipairs(task:get_header_full(header) or {}) do
    local parsed = util.parse_mail_address(entry.decoded or entry.value or "", task:get_mempool()) or {}
    if #parsed == 0 then
      return nil, string.format("%s has no address that can be read", header)
    end
    for _, one in ipairs(parsed) do
      if not one.addr or not one.addr:match("^[^%s<>,;:\"]+@[^%s<>,;:\"@]+$") then
        return nil, string.format("%s has no address that can be read", header)
      end
      found[#found + 1] = one.addr
    end
    -- "boss@example.com" <me@example.com>: many mail programs show only the name, or a comment.
    for shown in (entry.decoded or ""):gmatch(ADDRESS) do
      found[#found + 1] = shown
    end
  end
  return found
end

local function check(task)
  local user = task:get_user()
  if not user then
    return
  end
  local own = { [plain(user)] = true }
  local envelope = (task:get_from("smtp") or {})[1]
  if envelope and envelope.addr and envelope.addr ~= "" then
    own[plain(envelope.addr)] = true
  end
  local function refuse(reason)
    task:insert_result("SENDER_IDENTITY", 0.0, reason)
    task:set_pre_result("reject", reason, "sender_identity")
  end
  if #(task:get_header_full(FROM) or {}) ~= 1 then
    return refuse("A mail needs exactly one From header")
  end
  for _, header in ipairs({ FROM, OTHERS[1], OTHERS[2], OTHERS[3] }) do
    local found, wrong = addresses(task, header)
    if not found then
      return refuse(wrong)
    end
    for _, address in ipairs(found) do
      if not own[plain(address)] then
        return refuse(string.format("%s names %s, which is not an address of yours that this mail is sent as: use the same " ..
          "address as sender, or ask your administrator for an alias", header, address))
      end
    end
  end
end

rspamd_config:register_symbol({
  name = "SENDER_IDENTITY",
  type = "prefilter",
  priority = require("lua_util").symbols_priorities.top,
  flags = "explicit_disable",
  callback = check,
})
