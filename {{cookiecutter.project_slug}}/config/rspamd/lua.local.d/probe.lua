-- The probe (make probe) comes through Postfix's listener "probe", which only its own container reaches. It counts as sent by
-- somebody who logged in with its address: so it is judged and signed as what people send.

rspamd_config:register_symbol({
  name = "OWN_PROBE",
  type = "prefilter",
  priority = require("lua_util").symbols_priorities.top,
  flags = "explicit_disable",
  callback = function(task)
    local sender = ((task:get_from("smtp") or {})[1] or {}).addr or ""
    if tostring(task:get_request_header("MTA-Name") or "") == "probe" and sender:lower():match("^mailctl%-probe@") then
      task:set_user(sender:lower())
    end
  end,
})
