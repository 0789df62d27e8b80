"""The asserts and refutes of `lightspeed.testing.asserts` for an `AsyncClient`: each is awaited, and says what it says there."""

from lightspeed.testing import asserts
from lightspeed.testing.asserts import awaited

assert_reply = awaited(asserts.assert_reply)
assert_push = awaited(asserts.assert_push)
assert_broadcast = awaited(asserts.assert_broadcast)
assert_presence = awaited(asserts.assert_presence)
refute_reply = awaited(asserts.refute_reply)
refute_push = awaited(asserts.refute_push)
refute_broadcast = awaited(asserts.refute_broadcast)
refute_presence = awaited(asserts.refute_presence)
