-- Attachments that are no virus, and still do not come in. The choice: "reject", and the sender reads why, or "junk".
local CHOICE = {
  -- A document with macros: how most malware comes by mail. The virus scanner finds them, also in archives.
  MACRO_DOCUMENT = "reject",
  -- An archive with a password, which nobody can scan.
  MIME_ENCRYPTED_ARCHIVE = "junk",
  -- An archive that unpacks to more than the virus scanner looks at, for instance a bomb. With "junk", what is in it comes in.
  ARCHIVE_TOO_LARGE = "reject",
}
local WORDS = {
  MACRO_DOCUMENT = "a document in it has macros, which this server does not take: send it without, as PDF, .docx or .xlsx",
  MIME_ENCRYPTED_ARCHIVE = "an archive in it has a password, so it cannot be scanned: send it without one",
  ARCHIVE_TOO_LARGE = "an archive in it unpacks to more than can be scanned: send less at once",
}
-- clamd's MaxFileSize, as far as it looks into one file, and says nothing about the rest.
local LARGEST = 100 * 1024 * 1024

local function unpacks_to_too_much(task)
  for _, part in ipairs(task:get_parts() or {}) do
    for _, file in ipairs(part:is_archive() and part:get_archive():get_files_full(10000) or {}) do
      if (file.uncompressed_size or 0) > LARGEST then
        return true
      end
    end
  end
end

-- After sender_rules.lua: no allow list takes these in. Mail of our own people is refused as well, and never marked as junk.
rspamd_config:register_symbol({
  name = "ATTACHMENTS",
  type = "postfilter",
  priority = require("lua_util").symbols_priorities.low + 1,
  flags = "explicit_disable",
  callback = function(task)
    if not task:has_symbol("ARCHIVE_TOO_LARGE") and unpacks_to_too_much(task) then
      task:insert_result("ARCHIVE_TOO_LARGE", 0.0)
    end
    local score, junk = task:get_metric_score("default")[1], task:get_metric_threshold("add header") or 6
    for symbol, choice in pairs(CHOICE) do
      if task:has_symbol(symbol) and choice == "junk" then
        task:insert_result("UNWANTED_ATTACHMENT", math.max(junk - score, 0), symbol)
      elseif task:has_symbol(symbol) then
        task:set_pre_result("reject", WORDS[symbol], "attachments")
      end
    end
  end,
})

for name, description in pairs({
  MACRO_DOCUMENT = "A document has macros",
  ARCHIVE_TOO_LARGE = "An archive unpacks to more than can be scanned",
  UNWANTED_ATTACHMENT = "An attachment cannot be scanned",
}) do
  rspamd_config:set_metric_symbol({ name = name, score = 1.0, description = description, group = "attachments" })
end
