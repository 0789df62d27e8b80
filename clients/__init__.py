"""Clients of a channel within its process: what each is told comes into an inbox of its own."""

from lightspeed.clients.async_client import AsyncClient
from lightspeed.clients.client import Client
from lightspeed.clients.inbox import Gap, Inbox, Lagged, Notice, Removed, TopicDown, TopicUp

__all__ = ["AsyncClient", "Client", "Gap", "Inbox", "Lagged", "Notice", "Removed", "TopicDown", "TopicUp"]
