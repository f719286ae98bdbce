-- How scripts of this filter reach usermgmt: rspamd's own resolver asks unbound, which does not know this service and shall
-- not reach it. The engine's does: a question in the form of DNS (RFC 1035, section 4) for its address, without the id in front.

local http = require "rspamd_http"
local mempool = require "rspamd_mempool"
local udp = require "rspamd_udp"

local ENGINE, QUESTION = "127.0.0.11", "\1\0\0\1\0\0\0\0\0\0\8usermgmt\0\0\1\0\1"
local LONGEST_TRY, LARGEST = 10.0, 32 * 1024 * 1024

-- Asks for the address, and calls back with it or with nothing. It ends the answer, if there is one: the engine sends nothing
-- behind it. Whether anything was asked at all is returned.
local function find(options, found)
  options.host, options.port, options.timeout = ENGINE, 53, 2.0
  options.data = { string.char(math.random(0, 255), math.random(0, 255)), QUESTION }
  options.callback = function(ok, answer)
    answer = ok and tostring(answer) or ""
    local known = #answer > #QUESTION + 4 and answer:byte(8) > 0
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

rspamd_plugins.usermgmt = { find = find, caller = caller }
