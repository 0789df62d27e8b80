"""What happens in a topic, and when: values in, values out. No actor, thread, clock or log."""
