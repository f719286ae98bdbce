-- Postfix cuts a header field at 60,000 bytes when a filter looks at the mail, and says nothing. A mail that is cut is
-- worth less than one that is refused: the sender is told.

local LONGEST = 59000

rspamd_config:register_symbol({
  name = "HEADER_TOO_LONG",
  type = "prefilter",
  priority = require("lua_util").symbols_priorities.top,
  flags = "explicit_disable",
  callback = function(task)
    local length, name = 0, nil
    for line in ((tostring(task:get_raw_headers() or "")) .. "\nx"):gmatch("([^\n]*)\n") do
      if not line:match("^[ \t]") then
        length, name = 0, line:match("^([^:%s]+)")
      end
      length = length + #line + 1
      if length > LONGEST then
        local reason = string.format("The header %s is longer than %d bytes", name or "", LONGEST)
        task:insert_result("HEADER_TOO_LONG", 0.0, name)
        task:set_pre_result("reject", reason, "header_length")
        return
      end
    end
  end,
})
