-- The rule of the virus scanner is dropped without an error when its configuration cannot be used.
-- This check stands in its place: without the rule every mail gets a temporary failure.
rspamd_config:register_symbol({
  name = "VIRUS_SCANNER_MISSING",
  type = "normal",
  score = 0.0,
  callback = function(_)
    return not rspamd_config:get_symbols()["CLAM_VIRUS"]
  end,
})
