"""Text for terminals; the client shows the same."""

from gateway.client.text import PlainStream, ago, duration, line, moment, number_of, plain, size

__all__ = ["PlainStream", "ago", "duration", "line", "moment", "number_of", "plain", "size"]
