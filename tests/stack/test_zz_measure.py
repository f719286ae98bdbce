import concurrent.futures
import re
import statistics
import time

from tests.stack.clients import PASSWORD, Accounts, Mailbox


def times(stack, box, password, n=40):
    found = []
    for _ in range(n):
        one = Mailbox(box.address, stack.info, password)
        started = time.perf_counter()
        one.imap
        found.append((time.perf_counter() - started) * 1000)
        one.imap.logout()
    return f"median {statistics.median(found):.1f} ms, mean {statistics.mean(found):.1f}, p90 {sorted(found)[int(n * 0.9)]:.1f}"


def test_measure(stack, mailboxes, capsys):
    reader = mailboxes.new()
    owner = Accounts.of_reader(stack.info, reader.address)
    shown = owner.submit("account", "account/app-passwords", name="Phone", old_password=PASSWORD).text
    app = re.search(r"<code>([\w-]{23})</code>", shown)[1]
    lines = []
    for name, pw in (("app", app), ("own", PASSWORD)):
        times(stack, reader, pw, 3)
        lines.append(f"on {name} {times(stack, reader, pw)}")

    def burst(n):
        started = time.perf_counter()

        def one(_):
            b = Mailbox(reader.address, stack.info, app)
            b.imap.logout()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(n)))
        return n / (time.perf_counter() - started)

    lines.append(f"on burst {burst(200):.1f}/s")
    conf = stack.repository / "config/dovecot/dovecot.conf"
    text = conf.read_text()
    conf.write_text(
        text.replace(
            "auth_policy_server_url = http://usermgmt:8080/internal/log-ins", "auth_policy_server_url ="
        )
    )
    stack.docker("restart", "dovecot")
    stack.healthy("dovecot")
    for name, pw in (("app", app), ("own", PASSWORD)):
        times(stack, reader, pw, 3)
        lines.append(f"off {name} {times(stack, reader, pw)}")
    lines.append(f"off burst {burst(200):.1f}/s")
    open("/tmp/wt-tmp-thr/measured.txt", "w").write("\n".join(lines))
