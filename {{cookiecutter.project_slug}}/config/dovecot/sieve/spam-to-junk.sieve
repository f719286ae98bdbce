# What rspamd marked goes to Junk, before any rule of the user's.
require ["fileinto", "mailbox"];

if header :contains "X-Spam" "Yes" {
  fileinto :create "Junk";
  stop;
}
