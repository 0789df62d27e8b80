"""What channels and supervisors are held to in a simulation: their rules, written a second time, and who watches over them."""
