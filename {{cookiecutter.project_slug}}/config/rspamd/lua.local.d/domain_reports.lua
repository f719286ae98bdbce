-- Other servers report how mail in our domains' names fares with them (DMARC), and whether mail reaches us encrypted (TLS), by
-- mail to postmaster (edge/edge.yml). Such a mail goes to usermgmt, for its pages. What that has counted, and committed, nobody
-- needs to read: it ends here. Whatever else comes to postmaster goes on to the mailbox, and while usermgmt does not answer, the
-- sender tries again later. Only a mail that its From domain vouches for (RFC 7489, 7.2.1.1) may be such a report at all.

local http = require "rspamd_http"
local logger = require "rspamd_logger"

local URL = "http://%s:8080/internal/domain-reports?reporter=%s"
-- The answers: counted; no report.
local COUNTED, NONE = 201, 200
-- As in usermgmt/feedback/reader.py; and longer than that takes, shorter than task_timeout (options.inc) with a virus scan.
local LARGEST, LONGEST_TRY = 10 * 1024 * 1024, 20.0
local REFUSED = { ["reject"] = true, ["soft reject"] = true }

local function has_attachment(task)
  for _, part in ipairs(task:get_parts() or {}) do
    local ending = (part:get_filename() or ""):lower():match("%.(%w+)$")
    if ending == "zip" or ending == "gz" or ending == "xml" or ending == "json" then
      return true
    end
  end
end

-- The From domain, if this mail may be a report.
local function reporter(task)
  local to, from = task:get_recipients("smtp") or {}, task:get_from("mime") or {}
  local wanted = task:has_flag("milter") and not task:get_user() and not REFUSED[task:get_metric_action("default")]
    and #to == 1 and to[1].addr:lower():match("^postmaster[+@]") and #from == 1
    and task:has_symbol("DMARC_POLICY_ALLOW") and task:get_size() <= LARGEST and has_attachment(task)
  return wanted and from[1].domain:lower():match("^[%w.-]+$")
end

local function answered(task, err, code)
  if code == COUNTED then
    task:set_pre_result("discard", "the report was counted", "domain_reports")
  elseif code ~= NONE then
    logger.warnx(task, "domain reports: usermgmt does not answer (%s): deferred", err or code)
    task:set_pre_result("soft reject", "This report cannot be read now, please try again later", "domain_reports")
  end
end

rspamd_config:register_symbol({
  name = "DOMAIN_REPORT",
  type = "postfilter",
  priority = require("lua_util").symbols_priorities.low,
  flags = "explicit_disable",
  callback = function(task)
    local from = reporter(task)
    if not from then
      return
    end
    rspamd_plugins.usermgmt.find({ task = task }, function(address)
      local started = address and http.request({
        task = task,
        url = string.format(URL, address, from),
        method = "POST",
        headers = { Host = "127.0.0.1" },
        mime_type = "message/rfc822",
        body = task:get_content(),
        timeout = LONGEST_TRY,
        callback = function(err, code)
          answered(task, err, code)
        end,
      })
      if not started then
        answered(task, "no address")
      end
    end)
  end,
})
