"""The gallery: a page in which a run's photos are looked at, compared and decided on, and what follows from that."""
