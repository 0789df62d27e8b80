import pykka

from lightspeed.actors.context import current_actor


def test_outside_any_actor_there_is_none():
    assert current_actor() is None


def test_inside_an_actor_of_any_class_it_is_that_actor():
    class Mirror(pykka.ThreadingActor):
        def on_receive(self, message):
            return current_actor() is self

    mirror = Mirror.start()
    assert mirror.ask("who am I?")
    mirror.stop()


def test_the_private_name_of_pykka_that_it_needs_is_there():
    assert pykka.Actor._actor_loop.__code__.co_varnames[0] == "self", "Pykka changed _actor_loop: see actors/current.py"
