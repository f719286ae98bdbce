-- On several hosts each rspamd has the same DKIM keys, in its own folder, where signing and bin/dkim find them. What they have in
-- common is a hash in Valkey: each looks into it every moment, takes what is new there, and hands in what was changed in its own
-- folder. A signature never waits for Valkey, and a rspamd without keys is not healthy, so that no mail reaches it.

local redis = require "lua_redis"
local logger = require "rspamd_logger"
local util = require "rspamd_util"

local FOLDER, MAP, HASH = "/var/lib/rspamd/dkim", "/var/lib/rspamd/dkim/selectors.map", "dkim_keys"
local EVERY, SIGNS, REMOVED = 2.0, "signs ", ""
-- Word for bin/beside: nobody has a key yet.
local WANTED = "/run/rspamd/first-key"
-- What this folder and the hash had in common when they were last compared.
local agreed = {}

local function read(path)
  local opened = io.open(path)
  local text = opened and opened:read("*a")
  if opened then
    opened:close()
  end
  return text ~= "" and text or nil
end

local function write(path, text)
  local opened = io.open(path, "w")
  if not opened or not opened:write(text) or not opened:close() then
    error("cannot write " .. path)
  end
end

-- The folder: of each key its DNS record and itself, and of each domain the selector that signs.
local function folder()
  local found = {}
  for _, path in ipairs(util.glob(FOLDER .. "/*.key")) do
    local name, key = path:match("([^/]+)%.key$"), read(path)
    if key then
      found[name] = (read(FOLDER .. "/" .. name .. ".txt") or "") .. key
    end
  end
  for line in ((read(MAP) or "") .. "\n"):gmatch("([^\n]*)\n") do
    local domain, selector = line:match("^(%S+) (%S+)$")
    if domain then
      found[SIGNS .. domain] = selector
    end
  end
  return found
end

local function take_key(name, text)
  local path = FOLDER .. "/" .. name
  -- Of one that was removed nothing: an empty file is no key.
  local record, key = text:match("^(.-)(%-%-%-%-%-BEGIN.*)$")
  write(path .. ".txt", record or "")
  write(path .. ".key", key or text)
end

-- The keys before the map that chooses them.
local function take(changes, all)
  local lines, is_map = {}, false
  for name, text in pairs(changes) do
    if name:sub(1, #SIGNS) == SIGNS then
      is_map = true
    elseif name:match("^[a-z0-9.-]+$") then
      take_key(name, text)
    end
  end
  for name, text in pairs(all) do
    if name:sub(1, #SIGNS) == SIGNS and text ~= REMOVED then
      lines[#lines + 1] = name:sub(#SIGNS + 1) .. " " .. text .. "\n"
    end
  end
  if is_map then
    table.sort(lines)
    write(MAP, table.concat(lines))
  end
end

-- What to take from the hash, and what to hand in: nobody's yet, or changed here while it stayed the same there.
local function compare(here, there)
  local taken, given, first = {}, {}, {}
  for name, text in pairs(here) do
    if there[name] == nil then
      first[name] = text
    end
  end
  for name, text in pairs(there) do
    local own = here[name] or REMOVED
    if own ~= text and agreed[name] == text then
      given[name] = own
    else
      taken[name] = own ~= text and text or nil
      agreed[name] = text
    end
  end
  return taken, given, first
end

local function meet(there, send)
  local here = folder()
  local domain = os.getenv("MAIL_DOMAIN")
  if domain and not here[SIGNS .. domain] and not there[SIGNS .. domain] then
    -- The first of all: who hands its own in first is right, and the others take that.
    write(WANTED, "yes\n")
  end
  local taken, given, first = compare(here, there)
  for name, text in pairs(first) do
    send("HSETNX", name, text)
  end
  for name, text in pairs(given) do
    send("HSET", name, text)
  end
  if next(taken) then
    for name, text in pairs(there) do
      here[name] = given[name] or text
    end
    take(taken, here)
    logger.infox(rspamd_config, "dkim share: keys of another host were taken")
  end
end

rspamd_config:add_on_load(function(config, loop, worker)
  local servers = worker:is_primary_controller() and redis.parse_redis_server("dkim_share")
  if not servers then
    return
  end
  local function send(command, name, text)
    redis.redis_make_request_taskless(loop, config, servers, HASH, true, function(err)
      if err then
        logger.errx(config, "dkim share: %s is not handed in (%s)", name, err)
      elseif command == "HSET" then
        agreed[name] = text
      end
    end, command, { HASH, name, text })
  end
  config:add_periodic(loop, EVERY, function()
    redis.redis_make_request_taskless(loop, config, servers, HASH, false, function(err, pairs_of)
      if err then
        logger.warnx(config, "dkim share: Valkey does not answer (%s), the keys stay as they are", err)
        return
      end
      local there = {}
      for number = 1, #pairs_of, 2 do
        there[tostring(pairs_of[number])] = tostring(pairs_of[number + 1])
      end
      meet(there, send)
    end, "HGETALL", { HASH })
    return true
  end)
end)
