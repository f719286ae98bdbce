-- With several hosts Valkey may be on another one, so every connection to it is encrypted (redis.conf). rspamd 4.1 loads its
-- scripts without that setting, which Valkey refuses: bayes and the sending limits would do nothing. So it is added here.
local rspamd_redis = require "rspamd_redis"

local CA = "/run/secrets/internal_ca_crt"

for _, name in ipairs({ "make_request", "connect", "connect_sync" }) do
  local connect = rspamd_redis[name]
  rspamd_redis[name] = function(options, ...)
    if type(options) == "table" and options.ssl == nil then
      options.ssl, options.ssl_ca = true, CA
    end
    return connect(options, ...)
  end
end
