"""All that the server knows of one person: handed over (GDPR, articles 15 and 20), or erased (article 17)."""
