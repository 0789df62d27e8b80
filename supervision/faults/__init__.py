"""What goes wrong on purpose: a plan of faults as a value, and how a channel's actors carry it out."""
