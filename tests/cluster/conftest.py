from redis_server import server, server_of

__all__ = ["server", "server_of"]
