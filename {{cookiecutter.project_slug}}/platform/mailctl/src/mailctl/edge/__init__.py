"""What lives at Cloudflare: compared with edge/edge.yml, brought in line with it, tried; and DKIM keys."""
