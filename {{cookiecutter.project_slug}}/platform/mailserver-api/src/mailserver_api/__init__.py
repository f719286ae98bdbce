"""Receives inbound mail over HTTPS and hands it to postfix, answering with postfix's own verdict."""
