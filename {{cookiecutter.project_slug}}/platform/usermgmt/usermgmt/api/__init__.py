"""The JSON API, version 1: the services of the pages for programs. Its document is /api/v1/openapi.json."""
