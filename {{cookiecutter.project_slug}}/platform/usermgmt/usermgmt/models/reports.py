"""What other servers report about mail in the name of our domains, and about mail to them."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from usermgmt.models.base import MOMENT, ROW_ID, TABLE_OPTIONS, Base, address_column, utc_now
from usermgmt.models.directory import Domain


class DomainReport(Base):
    """One report about one domain. `reporter` is the domain whose mail brought it, as DMARC has proven.

    `kind` is `dmarc` or `tls`, `policy` what the reporter saw published. By `digest`, of reporter and id, a
    report that comes again is known.
    """

    __tablename__ = "domain_reports"
    __table_args__ = (
        Index("ix_domain_reports_domain_id", "domain_id", "day"),
        Index("ix_domain_reports_day", "day"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domains.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(8))
    reporter: Mapped[str] = mapped_column(address_column(253))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    day: Mapped[date] = mapped_column(Date)
    received_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)
    policy: Mapped[str] = mapped_column(String(16))

    domain: Mapped[Domain] = relationship(lazy="joined")
    rows: Mapped[list[DomainReportRow]] = relationship(passive_deletes=True, lazy="selectin")


class DomainReportRow(Base):
    """How much mail from one network fared in one way, or how many TLS sessions with one host.

    `verdict` is a name of usermgmt.feedback.forms or a failure of RFC 8460. `about` is another domain that
    passed. `source` is empty for all that is not listed one by one.
    """

    __tablename__ = "domain_report_rows"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    report_id: Mapped[int] = mapped_column(ForeignKey("domain_reports.id", ondelete="CASCADE"), index=True)
    source: Mapped[str] = mapped_column(address_column(253))
    header_from: Mapped[str] = mapped_column(address_column(253))
    verdict: Mapped[str] = mapped_column(String(32))
    about: Mapped[str] = mapped_column(address_column(253))
    disposition: Mapped[str] = mapped_column(String(16))
    count: Mapped[int] = mapped_column(BigInteger)
