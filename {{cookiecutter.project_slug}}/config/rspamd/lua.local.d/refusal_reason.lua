-- A mail that is refused for its score is refused in words: how many points it has, and what most of them are for. The
-- sender reads it (mailserver-api passes it on as X-Mail-Reason); rules that refuse by themselves say their reason already.

local LONGEST = 90

rspamd_config:register_symbol({
  name = "REFUSAL_REASON",
  type = "postfilter",
  priority = require("lua_util").symbols_priorities.medium,
  flags = "explicit_disable",
  callback = function(task)
    if task:get_metric_action("default") ~= "reject" then
      return
    end
    local most, words = 0, nil
    for name, symbol in pairs((task:get_protocol_reply({ "metrics" }) or {}).symbols or {}) do
      if (symbol.score or 0) > most then
        most, words = symbol.score, symbol.description or name
      end
    end
    local score = (task:get_metric_score("default") or {})[1] or 0
    local limit = task:get_metric_threshold("reject") or 0
    local reason = string.format("it looks like spam: %.1f points, %.1f are too many", score, limit)
    if words then
      reason = reason .. "; above all: " .. words:gsub("[^ -~]", "?"):sub(1, LONGEST)
    end
    task:set_pre_result("reject", reason, "refusal_reason")
  end,
})
