"""The way of one mail, put together from the logs of every service that it went through."""
