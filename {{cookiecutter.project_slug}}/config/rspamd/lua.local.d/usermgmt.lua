-- How scripts of this filter reach usermgmt and mailserver-api: rspamd's own resolver asks unbound, which does not know these
-- services and shall not reach them. The engine's does: a question in the form of DNS (RFC 1035, section 4) for its address, without the id in front.

local http = require "rspamd_http"
local logger = require "rspamd_logger"
local mempool = require "rspamd_mempool"
local ucl = require "ucl"
local udp = require "rspamd_udp"
local util = require "rspamd_util"

local ENGINE, QUESTION = "127.0.0.11", "\1\0\0\1\0\0\0\0\0\0%s%s\0\0\1\0\1"
local LONGEST_TRY, LARGEST = 10.0, 32 * 1024 * 1024
local ASK_EVERY, LOOK_EVERY = 10.0, 5.0

-- Asks for the address, and calls back with it or with nothing. It ends the answer, if there is one: the engine sends nothing
-- behind it. Whether anything was asked at all is returned.
local function find(options, found, name)
  name = name or "usermgmt"
  local question = QUESTION:gsub("%%s", string.char(#name), 1):gsub("%%s", name, 1)
  options.host, options.port, options.timeout = ENGINE, 53, 2.0
  options.data = { string.char(math.random(0, 255), math.random(0, 255)), question }
  options.callback = function(ok, answer)
    answer = ok and tostring(answer) or ""
    local known = #answer > #question + 4 and answer:byte(8) > 0
    found(known and table.concat({ answer:byte(-4, -1) }, ".") or nil)
  end
  return udp.sendto(options)
end

-- A function of one worker that sends one request at a time and calls `done(err, code, body, headers)`.
local function caller(loop, resolver)
  local pool = nil

  local function send(address, request, done)
    local started = http.request({
      config = rspamd_config,
      ev_base = loop,
      resolver = resolver,
      url = string.format("http://%s:8080%s", address, request.path),
      method = request.method,
      -- A name under which nginx passes nothing on to usermgmt.
      headers = { Host = "127.0.0.1", ["If-None-Match"] = request.tag },
      mime_type = "application/json",
      body = request.body,
      timeout = LONGEST_TRY,
      max_size = LARGEST,
      callback = done,
    })
    if not started then
      done("no connection")
    end
  end

  return function(request, done)
    if pool then
      pool:destroy()
    end
    pool = mempool.create()
    local asked = find({ config = rspamd_config, ev_base = loop, pool = pool }, function(address)
      if address then
        send(address, request, done)
      else
        done("no address")
      end
    end)
    if not asked then
      done("no resolver")
    end
  end
end

-- When a worker starts: a function that gives a document of usermgmt, nothing before the first. One worker asks and writes it into a file that all read: no
-- mail waits, and while usermgmt is down the last one goes on, also after a restart.
local function list(config, loop, worker, path, file, what)
  local document, seen = nil, nil

  local function look()
    local err, found = util.stat(file)
    local opened = not err and found.mtime ~= seen and io.open(file)
    if opened then
      local text, parser = opened:read("*a"), ucl.parser()
      opened:close()
      -- Half a file is still being written.
      if text:sub(-1) == "\n" and parser:parse_text(text) then
        document, seen = parser:get_object(), found.mtime
      end
    end
    return true
  end

  -- `known` remembers the tag of what is in the file, and that an answer is due.
  local function fetch(ask, known)
    if known.asking then
      return
    end
    known.asking = true
    ask({ method = "GET", path = path, tag = known.tag }, function(err, code, body, headers)
      known.asking = false
      local opened = code == 200 and io.open(file, "w")
      if opened and opened:write(tostring(body), "\n") and opened:close() then
        known.tag = headers["etag"]
      elseif code ~= 304 then
        logger.warnx(rspamd_config, "%s: no new ones (%s), the last ones go on", what, err or code)
      end
    end)
  end

  if worker:is_primary_controller() then
    local known, ask = {}, caller(loop, require("rspamd_resolver").init(loop, config))
    config:add_periodic(loop, ASK_EVERY, function()
      fetch(ask, known)
      return true
    end)
  end
  if worker:is_scanner() then
    look()
    config:add_periodic(loop, LOOK_EVERY, look)
  end
  return function()
    return document
  end
end

rspamd_plugins.usermgmt = { find = find, caller = caller, list = list }
