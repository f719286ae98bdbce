-- No mail passes without a verdict of the virus scanner: it is deferred with a temporary failure instead.
--
-- rspamd by itself lets mail pass in three cases: the scanner does not answer (a symbol without a score), the rule was
-- dropped because its configuration could not be used, and the scanner answers with an error of its own (the rule
-- fails on it, and nothing is recorded). So the verdicts are counted here, and what has none is not delivered.

local logger = require "rspamd_logger"
local priorities = require("lua_util").symbols_priorities
local clamav = require "lua_scanners/clamav"
local common = require "lua_scanners/common"

local VERDICT = "virus_scan_verdict"
-- What clamd alerts of (clamd.conf), and its symbol for attachments.lua. Of the limits only that of time is none: a busy scanner
-- has no verdict yet.
local ALERTS = {
  { "Heuristics%.OLE2%.ContainsMacros", "MACRO_DOCUMENT" },
  { "Heuristics%.Limits%.Exceeded%.Max[^S]", "ARCHIVE_TOO_LARGE" },
  { "Heuristics%.Limits%.Exceeded%.MaxScanSize", "ARCHIVE_TOO_LARGE" },
}
-- What is not delivered anyhow needs no verdict.
local REFUSED = { ["reject"] = true, ["soft reject"] = true }

local function has_verdict(task)
  task:get_mempool():set_variable(VERDICT, "yes")
end

-- Called with the outcome "clean" or "found", to be remembered. It is not: a virus known since a minute ago must be
-- found in the second copy, too.
common.save_cache = function(task)
  has_verdict(task)
  return false
end

local yield_result = common.yield_result
common.yield_result = function(task, rule, found, weight, failed, part)
  for _, alert in ipairs(ALERTS) do
    if type(found) == "string" and found:match(alert[1]) then
      has_verdict(task)
      return task:insert_result(alert[2], 0.0)
    end
  end
  if not failed then
    has_verdict(task)
  end
  return yield_result(task, rule, found, weight, failed, part)
end

assert(type(clamav.check) == "function" and type(yield_result) == "function", "unknown scanner interface")

rspamd_config:register_symbol({
  name = "VIRUS_SCAN_MISSING",
  type = "postfilter",
  priority = priorities.top,
  flags = "ignore_passthrough,explicit_disable",
  callback = function(task)
    if task:get_mempool():get_variable(VERDICT) or REFUSED[task:get_metric_action("default")] then
      return
    end
    logger.errx(task, "no verdict of the virus scanner: deferred")
    task:insert_result("VIRUS_SCAN_MISSING", 0.0)
    task:set_pre_result("soft reject", "The virus scanner does not answer, please try again later", "virus_scan")
  end,
})
