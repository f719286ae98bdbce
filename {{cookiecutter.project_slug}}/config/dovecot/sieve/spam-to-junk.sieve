# Runs before any rule of the user's: a repeated delivery is dropped, spam goes to Junk.
require ["duplicate", "environment", "fileinto", "index", "mailbox", "regex", "variables",
  "vnd.dovecot.environment", "vnd.dovecot.execute"];

# The key of a delivery: what mailserver-api put on top of an inbound mail, else Postfix's queue id. Only the topmost of
# either header is ours; the sender may have written others below. The very first Received is Dovecot's own.
set "key" "";
if header :index 1 :regex "X-Mailserver-Delivery" "^([0-9a-f]{64})$" {
  set "name" "X-Mailserver-Delivery";
  set "key" "${1}";
} elsif header :index 2 :regex "Received" "\\(Postfix\\)( with [A-Z0-9]+)? id ([0-9A-Za-z]+)" {
  set "name" "Received";
  set "key" "id ${2}";
}

if not string :is "${key}" "" {
  # The mark is written after the mail: a crash between the two makes a second mail, never none.
  if duplicate :uniqueid "${key}" :seconds 172800 {
    discard;
    stop;
  }
  # A look into the mailbox closes that gap. It costs a process, so it is taken only when this may be a second attempt:
  # when the time of Postfix's Received line, to ten seconds, is not that of Dovecot's. (date ignores :index.)
  if header :index 2 :regex "Received" "; .*( [A-Z][a-z][a-z] [0-9]{4} [0-9][0-9]:[0-9][0-9]:[0-9])[0-9] " {
    set "moment" "${1}";
  }
  if not allof (not string :is "${moment}" "", header :index 1 :contains "Received" "${moment}") {
    if environment :matches "vnd.dovecot.username" "*" {
      set "user" "${1}";
    }
    if execute "delivered" ["${user}", "${name}", "${key}"] {
      discard;
      stop;
    }
  }
}

if header :contains "X-Spam" "Yes" {
  fileinto :create "Junk";
  stop;
}
