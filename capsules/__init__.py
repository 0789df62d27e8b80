"""What a topic that failed leaves behind: a file by which the failure can be repeated elsewhere."""

from lightspeed.actors.errors import CapsuleRefused, InvalidCapsule, TokenUsed
from lightspeed.capsules.options import Capsules

__all__ = ["CapsuleRefused", "Capsules", "InvalidCapsule", "TokenUsed"]
