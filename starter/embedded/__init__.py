"""The real servers that `make run`, `make demo` and the tests start on this machine, each from a wheel.

Nothing here is used in production: there PostgreSQL, Temporal, SMTP and Slack come from outside, by settings.
"""
