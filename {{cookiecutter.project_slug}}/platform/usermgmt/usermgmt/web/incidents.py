"""What the monitor of the host calls what is wrong, so that pages say it in the reader's language.

The titles of monitor/conditions.yml of mailctl; a test holds the two together.
"""

TITLES = (
    "Docker does not answer",
    "A service is down",
    "The tunnel is disconnected, no mail comes in",
    "The database does not answer",
    "The relay refuses the log-in",
    "Names cannot be resolved",
    "The virus scanner gives no verdict, mail is deferred",
    "Mail is not delivered",
    "Mail waits for more than an hour",
    "The queue is long",
    "Mail was given up",
    "DNS block lists refuse to answer",
    "A certificate ends soon",
    "The virus signatures are old",
    "A disk is full or not there",
    "A disk is filling up",
    "A backup, copy or drill is late",
    "Somebody else changed the copies in S3",
    "A DNS record is not as it should be",
    "What runs is not what git describes",
    "Mail is held by a deployment that has not ended well",
    "The probe mail does not come back",
    "Mail waits at Cloudflare",
    "Nothing looks for new commits",
    "A token of the agent ends, or is refused",
    "A commit waits for its checks",
    "The last commit does not run",
    "The clock is not right",
    "Alarms cannot be sent",
    "The monitor cannot ask everything",
)
